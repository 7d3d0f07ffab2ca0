#include "data/base/log.h"

#include "data/base/clock.h"

#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STALLED_MS = 1000 };

char *log_text(const char *level, const char *event, va_list ap)
{
    char time[CLOCK_TEXT];
    clock_text(clock_utc_ms(), time);
    json_t *line = json_pack("{s:s, s:s, s:s}", "time", time, "level", level, "event", event);
    if (!line)
        return NULL;
    for (const char *key = va_arg(ap, const char *); key; key = va_arg(ap, const char *)) {
        const char *value = va_arg(ap, const char *);
        json_object_set_new(line, key, json_string(value ? value : ""));
    }
    char *text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    /* In the place of the zero byte, behind which one more is needed. */
    size_t len = text ? strlen(text) : 0;
    char *longer = text ? realloc(text, len + 2) : NULL;
    if (!longer) {
        free(text);
        return NULL;
    }
    memcpy(longer + len, "\n", 2);
    return longer;
}

void log_event(const char *level, const char *event, ...)
{
    va_list ap;
    va_start(ap, event);
    char *text = log_text(level, event, ap);
    va_end(ap);
    struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
    /* Nobody can be told that the log is gone. */
    if (text && poll(&out, 1, STALLED_MS) != 0 && write(STDERR_FILENO, text, strlen(text)) < 0) {
    }
    free(text);
}

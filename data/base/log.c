#include "data/base/log.h"

#include "data/base/clock.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void log_event(const char *level, const char *event, ...)
{
    char time[CLOCK_TEXT];
    clock_text(clock_utc_ms(), time);
    json_t *line = json_pack("{s:s, s:s, s:s}", "time", time, "level", level, "event", event);
    if (!line)
        return;

    va_list ap;
    va_start(ap, event);
    for (const char *key = va_arg(ap, const char *); key; key = va_arg(ap, const char *)) {
        const char *value = va_arg(ap, const char *);
        json_object_set_new(line, key, json_string(value ? value : ""));
    }
    va_end(ap);

    char *text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    if (!text)
        return;
    size_t len = strlen(text);
    text[len] = '\n';
    /* Nobody can be told that the log is gone. */
    if (write(STDERR_FILENO, text, len + 1) < 0) {
    }
    free(text);
}

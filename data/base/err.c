#include "data/base/err.h"

#include "data/base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *slug;
    bool fault;
} table[] = {
#define X(name, slug, fault) [ERR_##name] = { slug, fault },
    ERR_TABLE(X)
#undef X
};

/* Names from archives and requests stand in messages, and messages stand in JSON: what is not
 * UTF-8 or would break the line is replaced, a character cut in two at the end is dropped. */
static void clean(const char *text, bool is_cut, char *ret)
{
    size_t len = strlen(text), out = 0;
    for (size_t i = 0; i < len;) {
        uint32_t point;
        size_t n = utf8_next(text + i, len - i, &point);
        if (n == 0 && is_cut && len - i < 4)
            break;
        if (n == 0 || utf8_is_control(point)) {
            ret[out++] = n ? ' ' : '?';
            i += n ? n : 1;
            continue;
        }
        memcpy(ret + out, text + i, n);
        out += n;
        i += n;
    }
    ret[out] = 0;
}

enum err_code err_setv(struct err *e, enum err_code code, const char *format, va_list ap)
{
    if (e) {
        /* Formatted beside e, whose old message may be an argument. */
        char text[sizeof e->message];
        int n = vsnprintf(text, sizeof text, format, ap);
        clean(text, n >= (int)sizeof text, e->message);
        e->code = code;
    }
    return code;
}

enum err_code err_set(struct err *e, enum err_code code, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    err_setv(e, code, format, ap);
    va_end(ap);
    return code;
}

enum err_code err_errno(struct err *e, int errno_value, const char *format, ...)
{
    enum err_code code = ERR_IO;
    if (errno_value == ENOSPC || errno_value == EDQUOT || errno_value == EFBIG)
        code = ERR_DISK_FULL;
    else if (errno_value == ENOMEM || errno_value == EAGAIN) /* no room for a thread */
        code = ERR_NOMEM;

    va_list ap;
    va_start(ap, format);
    err_setv(e, code, format, ap);
    va_end(ap);
    if (e) {
        size_t at = strlen(e->message);
        char text[128];
        snprintf(e->message + at, sizeof e->message - at, ": %s",
                 strerror_r(errno_value, text, sizeof text));
    }
    return code;
}

const char *err_slug(enum err_code code)
{
    return table[code].slug;
}

bool err_is_fault(enum err_code code)
{
    return table[code].fault;
}

enum err_code err_from_slug(const char *slug)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].slug, slug) == 0)
            return (enum err_code)i;
    return ERR_INTERNAL;
}

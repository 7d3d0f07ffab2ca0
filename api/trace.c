#include "api/trace.h"

#include <string.h>

static bool is_hex(const char *text, size_t len)
{
    return strspn(text, "0123456789abcdef") >= len;
}

static bool is_zero(const char *text, size_t len)
{
    return strspn(text, "0") >= len;
}

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* version "-" trace-id "-" parent-id "-" flags; a later version may have more behind a "-". */
void trace_parse(const char *header, struct trace *ret)
{
    enum {
        ID = 3,
        PARENT = ID + TRACE_ID + 1,
        FLAGS = PARENT + TRACE_SPAN_ID + 1,
        LEN = FLAGS + 2
    };
    *ret = (struct trace){ .sampled = false };
    size_t len = header ? strlen(header) : 0;
    if (len < LEN || header[ID - 1] != '-' || header[PARENT - 1] != '-' ||
        header[FLAGS - 1] != '-' || !is_hex(header, 2) || memcmp(header, "ff", 2) == 0)
        return;
    bool first = memcmp(header, "00", 2) == 0;
    if (len > LEN && (first || header[LEN] != '-'))
        return;
    const char *id = header + ID, *parent = header + PARENT, *flags = header + FLAGS;
    if (!is_hex(id, TRACE_ID) || is_zero(id, TRACE_ID) || !is_hex(parent, TRACE_SPAN_ID) ||
        is_zero(parent, TRACE_SPAN_ID) || !is_hex(flags, 2))
        return;
    memcpy(ret->id, id, TRACE_ID);
    memcpy(ret->parent, parent, TRACE_SPAN_ID);
    ret->sampled = digit(flags[1]) & 1;
}

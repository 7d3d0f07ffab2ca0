#include "data/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){ .max = max };
}

void buf_fini(struct buf *b)
{
    free(b->data);
    *b = (struct buf){ .max = b->max };
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = 0;
}

enum err_code buf_reserve(struct buf *b, size_t len, struct err *e)
{
    if (len > b->max || b->len > b->max - len)
        return err_set(e, ERR_BODY_TOO_LARGE, "more than the limit of %zu bytes", b->max);
    size_t need = b->len + len;
    if (b->data && need <= b->cap)
        return ERR_OK;

    size_t cap = b->cap ? b->cap : 256;
    while (cap < need)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    if (cap > b->max)
        cap = b->max;
    uint8_t *grown = cap < SIZE_MAX ? realloc(b->data, cap + 1) : NULL;
    if (!grown)
        return err_set(e, ERR_NOMEM, "no memory for %zu bytes", cap);
    b->data = grown;
    b->cap = cap;
    return ERR_OK;
}

void buf_terminate(struct buf *b)
{
    b->data[b->len] = 0;
}

enum err_code buf_append(struct buf *b, const void *bytes, size_t len, struct err *e)
{
    enum err_code r = buf_reserve(b, len, e);
    if (r)
        return r;
    if (len)
        memcpy(b->data + b->len, bytes, len);
    b->len += len;
    buf_terminate(b);
    return ERR_OK;
}

enum err_code buf_printf(struct buf *b, struct err *e, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    char *text = NULL;
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    if (n < 0)
        return err_set(e, ERR_NOMEM, "no memory to format text");
    enum err_code r = buf_append(b, text, (size_t)n, e);
    free(text);
    return r;
}

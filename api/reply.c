#include "api/reply.h"

#include "data/base/cleanup.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { REPLY_MAX = 1 << 30 };

void reply_init(struct reply *r)
{
    *r = (struct reply){ .fd = -1 };
    buf_init(&r->body, REPLY_MAX);
}

void reply_fini(struct reply *r)
{
    buf_fini(&r->body);
    if (r->source.context)
        r->source.leave(STEAL(r->source.context));
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

void reply_reset(struct reply *r)
{
    reply_fini(r);
    reply_init(r);
}

bool reply_has_header(const struct reply *r, const char *name)
{
    for (int i = 0; i < r->header_count; i++)
        if (strcmp(r->headers[i].name, name) == 0)
            return true;
    return false;
}

void reply_header(struct reply *r, const char *name, const char *format, ...)
{
    assert(r->header_count < REPLY_HEADERS);
    struct reply_header *h = &r->headers[r->header_count++];
    h->name = name;
    va_list ap;
    va_start(ap, format);
    vsnprintf(h->value, sizeof h->value, format, ap);
    va_end(ap);
}

struct sink {
    struct buf *out;
    struct err *e;
    enum err_code r;
};

static int sink_append(const char *bytes, size_t len, void *context)
{
    struct sink *sink = context;
    sink->r = buf_append(sink->out, bytes, len, sink->e);
    return sink->r ? -1 : 0;
}

enum err_code reply_json(struct reply *r, int status, const json_t *value, struct err *e)
{
    struct sink sink = { .out = &r->body, .e = e, .r = ERR_OK };
    buf_reset(&r->body);
    /* 15 digits: what people read; an accuracy of 0.925 is not written 0.92500000000000004. */
    size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15);
    if (json_dump_callback(value, sink_append, &sink, flags) != 0)
        return sink.r ? sink.r : err_set(e, ERR_NOMEM, "no memory to write the reply");
    enum err_code code = buf_append(&r->body, "\n", 1, e);
    if (code)
        return code;
    r->status = status;
    r->type = "application/json";
    return ERR_OK;
}

enum err_code reply_json_take(struct reply *r, int status, json_t *value, struct err *e)
{
    enum err_code code = reply_json(r, status, value, e);
    json_decref(value);
    return code;
}

enum err_code reply_list(struct reply *r, const char *name, json_t *list, struct err *e)
{
    json_t *o = json_pack("{s:o}", name, list);
    return o ? reply_json_take(r, 200, o, e) : err_set(e, ERR_NOMEM, "no memory for a list");
}

void reply_fixed(struct reply *r, int status, const char *type, const void *bytes, size_t len)
{
    r->status = status;
    r->type = type;
    r->fixed = bytes;
    r->fixed_len = len;
}

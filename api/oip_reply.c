#include "api/oip_reply.h"

#include "api/score_reply.h"
#include "data/base/cleanup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { BINARY_MAX = 1 << 30, CLASS_TEXT_MAX = 1024 };

struct writing {
    const struct oip_request *q;
    const struct score_batch *b;
    struct buf *json, *binary;
    struct err *e;
};

static enum err_code append_float(const struct writing *w, bool first, float x)
{
    char text[FLOAT_TEXT];
    float_text(x, text);
    return buf_printf(w->json, w->e, "%s%s", first ? "" : ",", text);
}

static enum err_code json_probabilities(const struct writing *w)
{
    const struct score_batch *b = w->b;
    size_t count = (size_t)b->count * (size_t)b->classes;
    enum err_code r = buf_printf(w->json, w->e, ",\"data\":[");
    for (size_t i = 0; !r && i < count; i++)
        r = append_float(w, i == 0, b->probabilities[i]);
    return r ? r : buf_printf(w->json, w->e, "]");
}

static enum err_code class_text(const struct writing *w, const struct score_class *c,
                                struct buf *ret)
{
    char value[FLOAT_TEXT];
    float_text(c->probability, value);
    buf_reset(ret);
    return buf_printf(ret, w->e, "%s:%d:%s", value, c->index,
                      serve_ref_labels(w->b->ref)[c->index]);
}

static enum err_code append_class(const struct writing *w, const struct buf *text, bool binary,
                                  bool first)
{
    uint32_t len = (uint32_t)text->len;
    const uint8_t prefix[] = { (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16),
                               (uint8_t)(len >> 24) };
    enum err_code r;
    if (binary) {
        r = buf_append(w->binary, prefix, sizeof prefix, w->e);
        return r ? r : buf_append(w->binary, text->data, text->len, w->e);
    }
    r = first ? ERR_OK : buf_printf(w->json, w->e, ",");
    return r ? r : json_ascii((const char *)text->data, w->json, w->e);
}

static enum err_code classes(const struct writing *w, int top, bool binary)
{
    const struct score_batch *b = w->b;
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, CLASS_TEXT_MAX);
    enum err_code r = binary ? ERR_OK : buf_printf(w->json, w->e, ",\"data\":[");
    for (int i = 0; !r && i < b->count; i++)
        for (int k = 0; !r && k < top; k++) {
            r = class_text(w, &b->ranked[i * b->top + k], &text);
            if (!r)
                r = append_class(w, &text, binary, i == 0 && k == 0);
        }
    return r || binary ? r : buf_printf(w->json, w->e, "]");
}

static enum err_code write_output(const struct writing *w, const struct oip_output *o,
                                  const char *name)
{
    const struct score_batch *b = w->b;
    int top = o->classification < b->classes ? o->classification : b->classes;
    size_t before = w->binary->len;
    enum err_code r = buf_printf(w->json, w->e, "{\"name\":");
    if (!r)
        r = json_ascii(name, w->json, w->e);
    if (!r)
        r = buf_printf(w->json, w->e, ",\"datatype\":\"%s\",\"shape\":[%d,%d]",
                       top ? "BYTES" : "FP32", b->count, top ? top : b->classes);
    if (!r && top)
        r = classes(w, top, o->binary);
    else if (!r && o->binary)
        r = buf_append(w->binary, b->probabilities,
                       (size_t)b->count * (size_t)b->classes * sizeof *b->probabilities, w->e);
    else if (!r)
        r = json_probabilities(w);
    if (!r && o->binary)
        r = buf_printf(w->json, w->e, ",\"parameters\":{\"binary_data_size\":%zu}",
                       w->binary->len - before);
    return r ? r : buf_printf(w->json, w->e, "}");
}

static enum err_code write_id(const struct writing *w)
{
    if (!w->q->id)
        return ERR_OK;
    enum err_code r = buf_printf(w->json, w->e, "\"id\":");
    if (!r)
        r = json_ascii(w->q->id, w->json, w->e);
    return r ? r : buf_printf(w->json, w->e, ",");
}

enum err_code oip_reply_write(const struct oip_request *q, const struct score_batch *b,
                              struct reply *ret, struct err *e)
{
    CLEANUP(buf_fini) struct buf binary;
    buf_init(&binary, BINARY_MAX);
    struct buf *json = &ret->body;
    const struct writing w = { .q = q, .b = b, .json = json, .binary = &binary, .e = e };
    const char *name = classifier_output(serve_ref_classifier(b->ref));
    enum err_code r = buf_printf(json, e, "{");
    if (!r)
        r = write_id(&w);
    if (!r)
        r = buf_printf(json, e,
                       "\"model_name\":\"%s\",\"model_version\":\"%" PRId64 "\",\"outputs\":[",
                       serve_ref_model(b->ref), serve_ref_version(b->ref));
    for (int i = 0; !r && i < q->output_count; i++) {
        r = i ? buf_printf(json, e, ",") : ERR_OK;
        if (!r)
            r = write_output(&w, &q->outputs[i], name);
    }
    if (!r)
        r = buf_printf(json, e, "]}");
    size_t header = json->len;
    if (!r && binary.len)
        r = buf_append(json, binary.data, binary.len, e);
    if (r)
        return r;
    ret->status = 200;
    ret->type = binary.len ? "application/octet-stream" : "application/json";
    if (binary.len)
        reply_header(ret, "Inference-Header-Content-Length", "%zu", header);
    return ERR_OK;
}

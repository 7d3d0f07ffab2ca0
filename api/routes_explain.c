/* What a network becomes on this machine: the compiled plan of a file, nothing of which is kept. */
#include "api/request.h"
#include "api/routes.h"
#include "data/base/cleanup.h"
#include "nn/explain.h"

#include <inttypes.h>
#include <stdlib.h>

enum { PIECE = 64 << 10, RUNS = 20 };

CLEANUP_DEFINE(struct network, network_free);
CLEANUP_DEFINE(struct plan, plan_free);

static enum err_code receive(struct request *r, struct buf *ret, struct err *e)
{
    CLEANUP(cleanup_free) uint8_t *piece = malloc(PIECE);
    if (!piece)
        return err_set(e, ERR_NOMEM, "no memory to receive a network");
    for (;;) {
        ssize_t n = body_stream_read(r->stream, piece, PIECE, e);
        if (n < 0)
            return e->code;
        if (n == 0)
            break;
        uint64_t max = r->server->limits.max_backbone_bytes;
        if ((uint64_t)n > max - ret->len)
            return err_set(e, ERR_BODY_TOO_LARGE, "the network is over %" PRIu64 " bytes", max);
        enum err_code code = buf_append(ret, piece, (size_t)n, e);
        if (code)
            return code;
    }
    return ret->len ? ERR_OK : err_set(e, ERR_BODY_MISSING, "the network is empty");
}

static json_t *row_json(const struct explain_row *row, double total)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:i, s:f, s:f}", "name", row->name,
                     "primitive", row->primitive, "implementation", row->implementation, "input",
                     row->input, "output", row->output, "weight", row->weight, "bytes",
                     (json_int_t)row->bytes, "lane", row->lane, "microseconds", row->microseconds,
                     "share", total > 0 ? row->microseconds / total : 0);
}

static json_t *explain_json(const struct plan *p, const struct explain *x, int batch, int threads)
{
    json_t *steps = json_array();
    for (int i = 0; i < x->count; i++)
        if (json_array_append_new(steps, row_json(&x->rows[i], x->microseconds))) {
            json_decref(steps);
            return NULL;
        }
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:f, s:I, s:I, s:o}", "engine", plan_engine_text(),
                     "batch", batch, "repeat", x->repeat, "threads", threads, "runs", x->runs,
                     "microseconds", x->microseconds, "plan_bytes", (json_int_t)plan_bytes(p),
                     "scratch_bytes", (json_int_t)plan_scratch_bytes(p), "steps", steps);
}

static enum err_code explain_plan(struct request *r, const struct plan_options *o,
                                  const struct buf *bytes, struct err *e)
{
    CLEANUP(network_free_p) struct network *network = NULL;
    CLEANUP(plan_free_p) struct plan *plan = NULL;
    struct explain x;
    enum err_code code = network_load(bytes->data, bytes->len, &network, e);
    if (!code)
        code = plan_new(network, o, &plan, e);
    if (!code)
        code = plan_explain(plan, RUNS, &x, e);
    if (code)
        return code;
    json_t *all = explain_json(plan, &x, o->batch, o->threads);
    explain_fini(&x);
    return all ? reply_json_take(&r->reply, 200, all, e)
               : err_set(e, ERR_NOMEM, "no memory to answer with a plan");
}

static enum err_code explain(struct request *r, struct err *e)
{
    int64_t batch = 1, threads = 1;
    request_query_int(r, "batch", &batch);
    request_query_int(r, "threads", &threads);
    if (!r->has_body)
        return err_set(e, ERR_BODY_MISSING, "an ONNX file is expected");
    CLEANUP(buf_fini) struct buf bytes;
    buf_init(&bytes, NETWORK_BYTES_MAX);
    struct plan_options o = { .output = request_query(r, "output"),
                              .batch = (int)batch,
                              .threads = (int)threads };
    enum err_code code = receive(r, &bytes, e);
    return code ? code : explain_plan(r, &o, &bytes, e);
}

const struct route routes_explain[] = {
    { "POST", "/api/v1/explain", BODY_BACKBONE, RUN_UPLOAD, explain,
      "Show what an ONNX network is compiled to, with the time of each step", ACCESS_TRAIN },
    { 0 },
};

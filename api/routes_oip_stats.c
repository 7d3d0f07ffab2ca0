/* The statistics extension of the Open Inference Protocol, in Triton's form: what each version has
 * scored since the daemon started, through whichever protocol.
 *
 *   success, fail    requests, from their last byte to their reply's
 *   queue            pictures, while they waited for a scoring thread
 *   compute_input    from a picture's file to the network's input
 *   compute_infer    the network, which takes one picture at a time
 *   compute_output   from its output to ranked classes */
#include "api/request.h"
#include "api/routes.h"
#include "daemon/models.h"
#include "daemon/score_stats.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static json_t *duration(const struct score_duration *d)
{
    return json_pack("{s:I, s:I}", "count", (json_int_t)d->count, "ns", 1000 * (json_int_t)d->us);
}

static json_t *stages(const struct score_stats_row *row)
{
    return json_pack("{s:o, s:o, s:o}", "compute_input", duration(&row->decode), "compute_infer",
                     duration(&row->compute), "compute_output", duration(&row->rank));
}

static json_t *inference_stats(const struct score_stats_row *row)
{
    static const struct score_duration none;
    json_t *o = stages(row);
    if (!o || json_object_set_new(o, "success", duration(&row->succeeded)) < 0 ||
        json_object_set_new(o, "fail", duration(&row->failed)) < 0 ||
        json_object_set_new(o, "queue", duration(&row->queue)) < 0 ||
        json_object_set_new(o, "cache_hit", duration(&none)) < 0 ||
        json_object_set_new(o, "cache_miss", duration(&none)) < 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

/* What the network has run, by the size of its batches: always one. */
static json_t *batch_stats(const struct score_stats_row *row)
{
    json_t *one = stages(row);
    if (!row->compute.count || !one ||
        json_object_set_new(one, "batch_size", json_integer(1)) < 0) {
        json_decref(one);
        return json_array();
    }
    return json_pack("[o]", one);
}

static json_t *memory_usage(uint64_t bytes)
{
    return bytes ? json_pack("[{s:s, s:i, s:I}]", "type", "CPU", "id", 0, "byte_size",
                             (json_int_t)bytes)
                 : json_array();
}

static enum err_code append(struct request *r, const struct score_stats_row *row, json_t *list,
                            struct err *e)
{
    char version[24];
    snprintf(version, sizeof version, "%" PRId64, row->version);
    uint64_t bytes = serve_version_bytes(r->server->parts.serve, row->model, row->version);
    json_t *o = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:o, s:{}, s:o, s:o}", "name", row->model, "version", version,
        "last_inference", (json_int_t)row->last_ms, "inference_count", (json_int_t)row->scored,
        "execution_count", (json_int_t)row->compute.count, "inference_stats", inference_stats(row),
        "response_stats", "batch_stats", batch_stats(row), "memory_usage", memory_usage(bytes));
    return json_array_append_new(list, o) < 0 ? err_set(e, ERR_NOMEM, "no memory for statistics")
                                              : ERR_OK;
}

/* Those of the model that have any, and `shown` (0: none) among them in its place. */
static enum err_code append_model(struct request *r, const char *model, int64_t shown,
                                  int64_t version, json_t *list, struct err *e)
{
    CLEANUP(cleanup_free) struct score_stats_row *rows = NULL;
    size_t count = 0;
    struct score_stats_row empty = { .version = shown };
    snprintf(empty.model, sizeof empty.model, "%s", model);
    enum err_code code = score_stats_read(r->server->parts.stats, model, version, &rows, &count, e);
    for (size_t i = 0; !code && i < count; i++) {
        if (shown && shown < rows[i].version)
            code = append(r, &empty, list, e);
        if (shown <= rows[i].version)
            shown = 0;
        if (!code)
            code = append(r, &rows[i], list, e);
    }
    return code || !shown ? code : append(r, &empty, list, e);
}

static enum err_code reply_stats(struct request *r, json_t *list, struct err *e)
{
    return reply_list(&r->reply, "model_stats", list, e);
}

static enum err_code all_stats(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *models = NULL;
    CLEANUP(json_decref_p) json_t *list = json_array();
    enum err_code code = models_list(r->server->parts.state, NULL, MODELS_ALL, &models, e);
    for (size_t i = 0; !code && i < json_array_size(models); i++) {
        const json_t *one = json_array_get(models, i);
        code = append_model(r, json_string_value(json_object_get(one, "name")),
                            json_integer_value(json_object_get(one, "production")), 0, list, e);
    }
    return code ? code : reply_stats(r, STEAL(list), e);
}

static enum err_code model_stats(struct request *r, struct err *e)
{
    const char *model = request_param(r, "m");
    int64_t production = 0;
    CLEANUP(json_decref_p) json_t *list = json_array();
    enum err_code code = models_alias(r->server->parts.state, model, "production", &production, e);
    if (code && code != ERR_VERSION_UNKNOWN)
        return code;
    code = append_model(r, model, production, 0, list, e);
    return code ? code : reply_stats(r, STEAL(list), e);
}

static enum err_code version_stats(struct request *r, struct err *e)
{
    const char *model = request_param(r, "m");
    int64_t version;
    CLEANUP(json_decref_p) json_t *shown = NULL;
    CLEANUP(json_decref_p) json_t *list = json_array();
    enum err_code code = request_version(r, &version, e);
    if (!code)
        code = models_version_show(r->server->parts.state, model, version, &shown, e);
    if (!code)
        code = append_model(r, model, version, version, list, e);
    return code ? code : reply_stats(r, STEAL(list), e);
}

const struct route routes_oip_stats[] = {
    { "GET", "/v2/models/stats", BODY_NONE, RUN_TASK, all_stats, "What every model has scored",
      ACCESS_SCORE },
    { "GET", "/v2/models/{m}/stats", BODY_NONE, RUN_TASK, model_stats,
      "What a model's versions have scored", ACCESS_SCORE },
    { "GET", "/v2/models/{m}/versions/{v}/stats", BODY_NONE, RUN_TASK, version_stats,
      "What a version has scored", ACCESS_SCORE },
    { 0 },
};

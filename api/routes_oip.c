/* The Open Inference Protocol v2, as Triton and KServe serve it over HTTP and tritonclient.http
 * speaks it. */
#include "api/inference.h"
#include "api/oip_model.h"
#include "api/oip_reply.h"
#include "api/oip_request.h"
#include "api/request.h"
#include "api/routes.h"
#include "daemon/audit.h"
#include "daemon/models.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

CLEANUP_DEFINE(struct serve_ref, serve_release);

/* -- the server ----------------------------------------------------------------------------------
 */

static enum err_code server_metadata(struct request *r, struct err *e)
{
    json_t *o = json_pack("{s:s, s:s, s:[s, s, s, s, s, s]}", "name", "kennel", "version",
                          KENNEL_VERSION, "extensions", "binary_tensor_data", "classification",
                          "model_configuration", "model_repository", "parameters", "statistics");
    return o ? reply_json_take(&r->reply, 200, o, e) : err_set(e, ERR_NOMEM, "no memory");
}

/* "A 200 status code indicates true and a 4xx status code indicates false. The HTTP response body
 * should be empty." */
static void reply_health(struct request *r, bool good)
{
    reply_fixed(&r->reply, good ? 200 : 400, NULL, "", 0);
}

static enum err_code live(struct request *r, struct err *e)
{
    (void)e;
    reply_health(r, true);
    return ERR_OK;
}

static enum err_code ready(struct request *r, struct err *e)
{
    (void)e;
    reply_health(r, core_ready(r->server));
    return ERR_OK;
}

/* -- a model -------------------------------------------------------------------------------------
 */

static enum err_code model_ready(struct request *r, struct err *e)
{
    CLEANUP(serve_release_p) struct serve_ref *ref = NULL;
    enum err_code code = inference_borrow(r, &ref, e);
    if (code && code != ERR_NOT_PROMOTED && code != ERR_MODEL_UNLOADED)
        return code;
    reply_health(r, !code);
    return ERR_OK;
}

/* ["1", "2"]: oldest first. */
static enum err_code version_names(struct request *r, json_t **ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *all = NULL;
    CLEANUP(json_decref_p) json_t *names = json_array();
    enum err_code code =
        models_version_numbers(r->server->parts.state, request_param(r, "m"), &all, e);
    for (size_t i = json_array_size(all); !code && i > 0; i--) {
        char text[24];
        snprintf(text, sizeof text, "%" PRId64,
                 (int64_t)json_integer_value(json_array_get(all, i - 1)));
        if (json_array_append_new(names, json_string(text)) < 0)
            code = err_set(e, ERR_NOMEM, "no memory for a list of versions");
    }
    if (!code)
        *ret = STEAL(names);
    return code;
}

static enum err_code model_metadata(struct request *r, struct err *e)
{
    CLEANUP(serve_release_p) struct serve_ref *ref = NULL;
    json_t *versions = NULL;
    const char *asked = request_param(r, "v");
    enum err_code code = inference_borrow(r, &ref, e);
    if (!code && asked[0])
        versions = json_pack("[s]", asked);
    else if (!code)
        code = version_names(r, &versions, e);
    if (code)
        return code;
    json_t *o = oip_model_metadata(ref, versions);
    return o ? reply_json_take(&r->reply, 200, o, e) : err_set(e, ERR_NOMEM, "no memory");
}

static enum err_code model_config(struct request *r, struct err *e)
{
    CLEANUP(serve_release_p) struct serve_ref *ref = NULL;
    enum err_code code = inference_borrow(r, &ref, e);
    if (code)
        return code;
    json_t *o = oip_model_config(ref);
    return o ? reply_json_take(&r->reply, 200, o, e) : err_set(e, ERR_NOMEM, "no memory");
}

/* -- inference -----------------------------------------------------------------------------------
 */

static enum err_code write_inference(struct request *r, const struct score_batch *batch,
                                     void *context, struct err *e)
{
    const struct oip_request *q = context;
    enum err_code code = oip_reply_write(q, batch, &r->reply, e);
    return code ? code : inference_pack(r, e);
}

static void free_inference(void *context)
{
    oip_request_fini(context);
    free(context);
}

static enum err_code submit(struct request *r, struct serve_ref *ref, struct oip_request *q,
                            int64_t deadline, struct err *e)
{
    int64_t now = clock_monotonic_us();
    bool sooner = q->timeout_us && q->timeout_us < deadline - now;
    const struct score_batch_plan plan = { .request = r,
                                           .ref = ref,
                                           .items = q->items,
                                           .count = q->count,
                                           .top = oip_request_top(q),
                                           .deadline_us = sooner ? now + q->timeout_us : deadline,
                                           .write = write_inference,
                                           .free_context = free_inference,
                                           .context = q };
    return score_batch_submit(&plan, e);
}

static enum err_code infer(struct request *r, struct err *e)
{
    CLEANUP(serve_release_p) struct serve_ref *ref = NULL;
    CLEANUP(cleanup_free) struct oip_request *q = calloc(1, sizeof *q);
    if (!q)
        return err_set(e, ERR_NOMEM, "no memory for an inference");
    enum err_code code = inference_begin(r, &ref, e);
    if (code || !ref)
        return code;
    const struct tensors t = tensors_of(ref, r->server->limits.max_picture_bytes);
    code = oip_request_read(&t, r->body.data, r->body.len, r->inference_header_length, q, e);
    if (code)
        return code;
    code = submit(r, ref, q, request_deadline(r), e);
    if (code) {
        oip_request_fini(q);
        return code;
    }
    (void)STEAL(ref);
    (void)STEAL(q);
    return ERR_OK;
}

/* -- the repository ------------------------------------------------------------------------------
 */

static enum err_code append_index(struct request *r, const json_t *model, bool ready_only,
                                  json_t *list, struct err *e)
{
    const char *name = json_string_value(json_object_get(model, "name"));
    json_int_t version = json_integer_value(json_object_get(model, "production"));
    CLEANUP(serve_release_p) struct serve_ref *ref = NULL;
    struct err why = { 0 };
    char text[24] = "";
    bool is_ready = serve_borrow(r->server->parts.serve, name, 0, &ref, &why) == ERR_OK;
    if (!is_ready && ready_only)
        return ERR_OK;
    if (version)
        snprintf(text, sizeof text, "%" PRId64, (int64_t)(ref ? serve_ref_version(ref) : version));
    json_t *row = json_pack("{s:s, s:s, s:s, s:s}", "name", name, "version", text, "state",
                            is_ready ? "READY" : "UNAVAILABLE", "reason", why.message);
    return json_array_append_new(list, row) < 0 ? err_set(e, ERR_NOMEM, "no memory for an index")
                                                : ERR_OK;
}

static enum err_code repository_index(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    CLEANUP(json_decref_p) json_t *models = NULL;
    CLEANUP(json_decref_p) json_t *list = json_array();
    bool ready_only = false;
    const struct json_field fields[] = {
        { .name = "ready", .kind = JSON_KIND_BOOL, .into = &ready_only },
    };
    enum err_code code = request_json(r, &body, e);
    if (!code)
        code = json_take(body, "the request", fields, 1, e);
    if (!code)
        code = models_list(r->server->parts.state, NULL, MODELS_ALL, &models, e);
    for (size_t i = 0; !code && i < json_array_size(models); i++)
        code = append_index(r, json_array_get(models, i), ready_only, list, e);
    return code ? code : reply_json(&r->reply, 200, list, e);
}

/* Models are as they were trained: what would change one is refused. */
static enum err_code check_parameters(struct request *r, const char *allowed, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    json_t *parameters = NULL;
    const struct json_field fields[] = {
        { .name = "parameters", .kind = JSON_KIND_OBJECT, .into = &parameters },
    };
    enum err_code code = request_json(r, &body, e);
    if (!code)
        code = json_take(body, "the request", fields, 1, e);
    const char *name;
    json_t *value;
    json_object_foreach (parameters, name, value) {
        if (!code && (!allowed || strcmp(name, allowed) != 0))
            code = err_set(e, ERR_FIELD_UNKNOWN, "the parameter \"%.80s\" is not supported", name);
    }
    return code;
}

static enum err_code load_production(struct request *r, struct err *e)
{
    struct serve *serve = r->server->parts.serve;
    const char *model = request_param(r, "m");
    struct serve_ref *next = NULL;
    int64_t version = 0;
    enum err_code code = models_alias(r->server->parts.state, model, "production", &version, e);
    if (code == ERR_VERSION_UNKNOWN)
        return err_set(e, ERR_NOT_PROMOTED, "model \"%s\" has no version in production", model);
    if (!code)
        code = serve_load(serve, model, version, &next, e);
    if (!code)
        serve_swap(serve, next);
    return code;
}

/* No row says what is loaded, so the line is written when it has been done. */
static enum err_code audit(struct request *r, const char *what, bool loaded, struct err *e)
{
    char subject[100];
    snprintf(subject, sizeof subject, "model/%.64s", request_param(r, "m"));
    CLEANUP(json_decref_p) json_t *after = json_pack("{s:b}", "loaded", loaded);
    if (!after)
        return err_set(e, ERR_NOMEM, "no memory for the audit log");
    return audit_add(r->server->parts.state, r->who, what, subject, after, e);
}

static enum err_code repository_load(struct request *r, struct err *e)
{
    struct serve *serve = r->server->parts.serve;
    enum err_code code = check_parameters(r, NULL, e);
    if (code)
        return code;
    serve_moves_lock(serve);
    code = load_production(r, e);
    serve_moves_unlock(serve);
    if (!code)
        code = audit(r, "model.load", true, e);
    if (!code)
        reply_fixed(&r->reply, 200, NULL, "", 0);
    return code;
}

/* There are no dependents. */
static enum err_code repository_unload(struct request *r, struct err *e)
{
    enum err_code code = check_parameters(r, "unload_dependents", e);
    if (!code)
        code = serve_unload(r->server->parts.serve, request_param(r, "m"), e);
    if (!code)
        code = audit(r, "model.unload", false, e);
    if (!code)
        reply_fixed(&r->reply, 200, NULL, "", 0);
    return code;
}

const struct route routes_oip[] = {
    { "GET", "/v2", BODY_NONE, RUN_INLINE, server_metadata, "The server's metadata", ACCESS_SCORE },
    { "GET", "/v2/health/live", BODY_NONE, RUN_INLINE, live, "Is the process alive",
      ACCESS_PUBLIC },
    { "GET", "/v2/health/ready", BODY_NONE, RUN_INLINE, ready,
      "Is every production version loaded and warm", ACCESS_PUBLIC },
    { "GET", "/v2/models/{m}", BODY_NONE, RUN_TASK, model_metadata, "A model's metadata",
      ACCESS_SCORE },
    { "GET", "/v2/models/{m}/versions/{v}", BODY_NONE, RUN_TASK, model_metadata,
      "A version's metadata", ACCESS_SCORE },
    { "GET", "/v2/models/{m}/ready", BODY_NONE, RUN_TASK, model_ready,
      "Is there a production version", ACCESS_SCORE },
    { "GET", "/v2/models/{m}/versions/{v}/ready", BODY_NONE, RUN_TASK, model_ready,
      "Can a version be loaded", ACCESS_SCORE },
    { "GET", "/v2/models/{m}/config", BODY_NONE, RUN_TASK, model_config, "A model's configuration",
      ACCESS_SCORE },
    { "GET", "/v2/models/{m}/versions/{v}/config", BODY_NONE, RUN_TASK, model_config,
      "A version's configuration", ACCESS_SCORE },
    { "POST", "/v2/models/{m}/infer", BODY_TENSORS, RUN_SCORE, infer,
      "Classify pictures or prepared tensors with the production version", ACCESS_SCORE },
    { "POST", "/v2/models/{m}/versions/{v}/infer", BODY_TENSORS, RUN_TASK, infer,
      "Classify pictures or prepared tensors with one version", ACCESS_SCORE },
    { "POST", "/v2/repository/index", BODY_JSON_OPTIONAL, RUN_TASK, repository_index,
      "List models and whether they can be scored", ACCESS_SCORE },
    { "POST", "/v2/repository/models/{m}/load", BODY_JSON_OPTIONAL, RUN_TASK, repository_load,
      "Load a model's production version, anew if it is loaded", ACCESS_PROMOTE },
    { "POST", "/v2/repository/models/{m}/unload", BODY_JSON_OPTIONAL, RUN_TASK, repository_unload,
      "Give up a model's production version until it is loaded again", ACCESS_PROMOTE },
    { 0 },
};

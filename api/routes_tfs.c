/* TensorFlow Serving's REST interface: prediction, status and metadata of a model. */
#include "api/inference.h"
#include "api/routes.h"
#include "api/tfs_reply.h"
#include "api/tfs_request.h"
#include "daemon/models.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <stdlib.h>
#include <string.h>

CLEANUP_DEFINE(struct serve_ref, serve_release);

/* -- prediction ----------------------------------------------------------------------------------
 */

static enum err_code write_predictions(struct request *r, const struct score_batch *batch,
                                       void *context, struct err *e)
{
    const struct tfs_request *q = context;
    enum err_code code = tfs_reply_predictions(q->columnar, batch, &r->reply, e);
    return code ? code : inference_pack(r, e);
}

static void free_request(void *context)
{
    tfs_request_fini(context);
    free(context);
}

static enum err_code predict(struct request *r, struct err *e)
{
    CLEANUP(serve_release_p) struct serve_ref *ref = NULL;
    CLEANUP(cleanup_free) struct tfs_request *q = calloc(1, sizeof *q);
    if (!q)
        return err_set(e, ERR_NOMEM, "no memory for a prediction");
    enum err_code code = inference_begin(r, &ref, e);
    if (code || !ref)
        return code;
    const struct tensors t = tensors_of(ref, r->server->limits.max_picture_bytes);
    code = tfs_request_read(&t, r->body.data, r->body.len, q, e);
    if (code)
        return code;
    const struct score_batch_plan plan = { .request = r,
                                           .ref = ref,
                                           .items = q->items,
                                           .count = q->count,
                                           .deadline_us = request_deadline(r),
                                           .write = write_predictions,
                                           .free_context = free_request,
                                           .context = q };
    code = score_batch_submit(&plan, e);
    if (code) {
        tfs_request_fini(q);
        return code;
    }
    (void)STEAL(ref);
    (void)STEAL(q);
    return ERR_OK;
}

/* In TensorFlow Serving's words: both signatures are for prediction. */
static enum err_code wrong_method(struct request *r, struct err *e)
{
    const char *method = strrchr(r->match.route->pattern, ':') + 1;
    return err_set(e, ERR_TENSOR_UNKNOWN,
                   "Expected %s signature method_name to be tensorflow/serving/%s. It was: "
                   "tensorflow/serving/predict",
                   method, method);
}

/* -- status and metadata -------------------------------------------------------------------------
 */

/* Newest first, as TensorFlow Serving lists them. */
static enum err_code all_rows(struct request *r, json_t *rows, struct err *e)
{
    CLEANUP(json_decref_p) json_t *all = NULL;
    enum err_code code =
        models_version_numbers(r->server->parts.state, request_param(r, "m"), &all, e);
    for (size_t i = 0; !code && i < json_array_size(all); i++) {
        json_int_t version = json_integer_value(json_array_get(all, i));
        if (json_array_append_new(rows, tfs_reply_version(version)) < 0)
            code = err_set(e, ERR_NOMEM, "no memory for a status");
    }
    return code;
}

static enum err_code one_row(struct request *r, int64_t version, json_t *rows, struct err *e)
{
    CLEANUP(cleanup_free) char *path = NULL;
    enum err_code code =
        models_version_path(r->server->parts.state, request_param(r, "m"), version, &path, e);
    if (!code && json_array_append_new(rows, tfs_reply_version(version)) < 0)
        code = err_set(e, ERR_NOMEM, "no memory for a status");
    return code;
}

static enum err_code status(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *rows = json_array();
    int64_t version;
    enum err_code code = inference_version(r, &version, e);
    if (!code)
        code = version ? one_row(r, version, rows, e) : all_rows(r, rows, e);
    return code ? code : reply_list(&r->reply, "model_version_status", STEAL(rows), e);
}

static enum err_code metadata(struct request *r, struct err *e)
{
    CLEANUP(serve_release_p) struct serve_ref *ref = NULL;
    enum err_code code = inference_borrow(r, &ref, e);
    if (code)
        return code;
    json_t *o = tfs_reply_metadata(ref);
    return o ? reply_json_take(&r->reply, 200, o, e) : err_set(e, ERR_NOMEM, "no memory");
}

#define ONE "/v1/models/{m}"
#define VERSION "/v1/models/{m}/versions/{v}"
#define LABEL "/v1/models/{m}/labels/{l}"

const struct route routes_tfs[] = {
    { "POST", ONE ":predict", BODY_TENSORS, RUN_SCORE, predict,
      "Classify pictures or prepared tensors with the production version", ACCESS_SCORE },
    { "POST", VERSION ":predict", BODY_TENSORS, RUN_TASK, predict,
      "Classify pictures or prepared tensors with one version", ACCESS_SCORE },
    { "POST", LABEL ":predict", BODY_TENSORS, RUN_TASK, predict,
      "Classify pictures or prepared tensors with the version of an alias", ACCESS_SCORE },
    { "POST", ONE ":classify", BODY_TENSORS, RUN_INLINE, wrong_method,
      "Refused: the signatures are for prediction", ACCESS_SCORE },
    { "POST", VERSION ":classify", BODY_TENSORS, RUN_INLINE, wrong_method,
      "Refused: the signatures are for prediction", ACCESS_SCORE },
    { "POST", LABEL ":classify", BODY_TENSORS, RUN_INLINE, wrong_method,
      "Refused: the signatures are for prediction", ACCESS_SCORE },
    { "POST", ONE ":regress", BODY_TENSORS, RUN_INLINE, wrong_method,
      "Refused: the signatures are for prediction", ACCESS_SCORE },
    { "POST", VERSION ":regress", BODY_TENSORS, RUN_INLINE, wrong_method,
      "Refused: the signatures are for prediction", ACCESS_SCORE },
    { "POST", LABEL ":regress", BODY_TENSORS, RUN_INLINE, wrong_method,
      "Refused: the signatures are for prediction", ACCESS_SCORE },
    { "GET", ONE, BODY_NONE, RUN_TASK, status, "The status of every version", ACCESS_SCORE },
    { "GET", VERSION, BODY_NONE, RUN_TASK, status, "The status of a version", ACCESS_SCORE },
    { "GET", LABEL, BODY_NONE, RUN_TASK, status, "The status of an alias's version", ACCESS_SCORE },
    { "GET", ONE "/metadata", BODY_NONE, RUN_TASK, metadata, "The production version's signatures",
      ACCESS_SCORE },
    { "GET", VERSION "/metadata", BODY_NONE, RUN_TASK, metadata, "A version's signatures",
      ACCESS_SCORE },
    { "GET", LABEL "/metadata", BODY_NONE, RUN_TASK, metadata,
      "The signatures of an alias's version", ACCESS_SCORE },
    { 0 },
};

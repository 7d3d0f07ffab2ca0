/* Pictures in, labels out: the workshop's contract and ours. */
#include "api/request.h"
#include "api/routes.h"
#include "api/score_body.h"
#include "api/score_reply.h"
#include "api/version_choice.h"

enum { TOP_DEFAULT = 5 };

static enum err_code write_workshop(struct request *r, const struct score_result *result,
                                    struct err *e)
{
    return score_reply_workshop(&result->predictions[0], &r->reply.body, e);
}

static enum err_code write_predictions(struct request *r, const struct score_result *result,
                                       struct err *e)
{
    return score_reply_predictions(result, r->prediction_id, &r->reply.body, e);
}

static void finish(struct request *r, const struct score_result *result,
                   enum err_code (*write)(struct request *, const struct score_result *,
                                          struct err *))
{
    request_scored(r, result);
    struct err e = result->err;
    enum err_code code = result->code;
    if (!code && !result->count)
        code = err_set(&e, ERR_INTERNAL, "no prediction");
    if (!code)
        code = write(r, result, &e);
    if (code) {
        e.code = code;
        request_fail(r, &e);
    } else {
        r->reply.status = 200;
        r->reply.type = "application/json";
        version_choice_tell(r, result->version);
    }
    const struct buf *sent = r->picture.len ? &r->picture : &r->body;
    const struct version_choice_picture picture = { .input = SCORE_PICTURE,
                                                    .bytes = sent->data,
                                                    .len = sent->len };
    version_choice_answered(r, result, &picture);
    request_finish(r);
}

static void done_workshop(void *context, const struct score_result *result)
{
    finish(context, result, write_workshop);
}

static void done_predictions(void *context, const struct score_result *result)
{
    finish(context, result, write_predictions);
}

static enum err_code submit(struct request *r, const char *model, int64_t version, int top,
                            void (*done)(void *, const struct score_result *), struct err *e)
{
    const struct buf *picture;
    enum err_code code = score_body_picture(r, &picture, e);
    struct serve_ref *ref = NULL;
    if (!code)
        code = version_choice_borrow(r, model, version, &ref, e);
    if (code)
        return code;
    if (!ref)
        return ERR_OK; /* a task thread will call again */
    code = version_choice_name(r, e);
    if (code) {
        serve_release(ref);
        return code;
    }
    struct score_request q = { .ref = ref,
                               .bytes = picture->data,
                               .len = picture->len,
                               .top = top,
                               .deadline_us = request_deadline(r),
                               .gone = request_client_gone,
                               .done = done,
                               .context = r };
    r->deferred = true;
    code = scorer_submit(r->server->parts.scorer, &q, e);
    if (code)
        serve_release(ref);
    return code;
}

static enum err_code score_default(struct request *r, struct err *e)
{
    return submit(r, NULL, 0, 1, done_workshop, e);
}

static enum err_code score_service(struct request *r, struct err *e)
{
    return submit(r, request_param(r, "name"), 0, 1, done_workshop, e);
}

static enum err_code score_predictions(struct request *r, int64_t version, struct err *e)
{
    int64_t top = TOP_DEFAULT;
    request_query_int(r, "top", &top);
    return submit(r, request_param(r, "m"), version, (int)top, done_predictions, e);
}

static enum err_code score_model(struct request *r, struct err *e)
{
    return score_predictions(r, 0, e);
}

static enum err_code score_version(struct request *r, struct err *e)
{
    int64_t version;
    enum err_code code = request_version(r, &version, e);
    return code ? code : score_predictions(r, version, e);
}

const struct route routes_score[] = {
    { "POST", "/score", BODY_SCORE_JSON, RUN_SCORE, score_default,
      "Classify a picture with the default model", ACCESS_SCORE },
    { "POST", "/api/v1/service/{name}/score", BODY_SCORE_JSON, RUN_SCORE, score_service,
      "Classify a picture with a named model, in the workshop's form", ACCESS_SCORE },
    { "POST", "/api/v1/models/{m}/score", BODY_SCORE, RUN_SCORE, score_model,
      "Classify a picture with the production version", ACCESS_SCORE },
    { "POST", "/api/v1/models/{m}/versions/{v}/score", BODY_SCORE, RUN_SCORE, score_version,
      "Classify a picture with one version", ACCESS_SCORE },
    { 0 },
};

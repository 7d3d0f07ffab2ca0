/* A new version gets its traffic step by step. */
#include "api/request.h"
#include "api/routes.h"
#include "daemon/rollouts.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

enum { REASON_MAX = 1000 };

static enum err_code reply(struct request *r, enum err_code code, json_t *shown, struct err *e)
{
    return code ? code : reply_json_take(&r->reply, 200, shown, e);
}

static enum err_code start(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    json_t *shown = NULL, *decision = NULL;
    enum err_code code = request_json(r, &body, e);
    if (code)
        return code;
    code = rollouts_start(r->server->parts.rollouts, request_param(r, "m"), body, r->who, &shown,
                          &decision, e);
    if (code) {
        r->problem_name = "gate";
        r->problem_extra = decision;
    }
    return reply(r, code, shown, e);
}

static enum err_code show(struct request *r, struct err *e)
{
    json_t *shown = NULL;
    enum err_code code = rollouts_show(r->server->parts.rollouts, request_param(r, "m"), &shown, e);
    return reply(r, code, shown, e);
}

static enum err_code quit(struct request *r, struct err *e)
{
    json_t *shown = NULL;
    enum err_code code =
        rollouts_abort(r->server->parts.rollouts, request_param(r, "m"), r->who, &shown, e);
    return reply(r, code, shown, e);
}

static enum err_code approve(struct request *r, struct err *e)
{
    json_t *shown = NULL;
    enum err_code code =
        rollouts_approve(r->server->parts.rollouts, request_param(r, "m"), r->who, &shown, e);
    return reply(r, code, shown, e);
}

static enum err_code reject(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    json_t *shown = NULL;
    const char *reason = NULL;
    const struct json_field fields[] = {
        { "reason", JSON_KIND_STRING, true, &reason, 1, REASON_MAX },
    };
    enum err_code code = request_json(r, &body, e);
    if (!code)
        code = json_take(body, "the request", fields, 1, e);
    if (!code)
        code = rollouts_reject(r->server->parts.rollouts, request_param(r, "m"), reason, r->who,
                               &shown, e);
    return reply(r, code, shown, e);
}

#define ROLLOUT "/api/v1/models/{m}/rollout"

const struct route routes_rollout[] = {
    { "PUT", ROLLOUT, BODY_JSON, RUN_TASK, start, "Roll a version out", ACCESS_PROMOTE },
    { "GET", ROLLOUT, BODY_NONE, RUN_TASK, show, "Show the model's newest rollout", ACCESS_TRAIN },
    { "DELETE", ROLLOUT, BODY_NONE, RUN_TASK, quit, "End the rollout: production answers all",
      ACCESS_PROMOTE },
    { "POST", ROLLOUT "/approve", BODY_NONE, RUN_TASK, approve,
      "Let a rollout that waits go to its next step", ACCESS_PROMOTE },
    { "POST", ROLLOUT "/reject", BODY_JSON, RUN_TASK, reject,
      "End the rollout because the version is not wanted", ACCESS_PROMOTE },
    { 0 },
};

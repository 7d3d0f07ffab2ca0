/* What was right, told later. */
#include "api/request.h"
#include "api/routes.h"
#include "daemon/rollouts.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

static enum err_code feedback(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    json_t *kept = NULL;
    const char *id = NULL, *label = NULL;
    struct prediction_told told;
    const struct json_field fields[] = {
        { "prediction_id", JSON_KIND_STRING, true, &id, 1, IDENT_MAX },
        { "label", JSON_KIND_STRING, true, &label, 1, LABEL_MAX },
    };
    enum err_code code = request_json(r, &body, e);
    if (!code)
        code = json_take(body, "the request", fields, 2, e);
    if (!code)
        code =
            predictions_feedback(r->server->parts.predictions, id, label, r->who, &kept, &told, e);
    if (code)
        return code;
    if (r->server->parts.follow)
        return reply_json_take(&r->reply, 202, kept, e);
    rollouts_told(r->server->parts.rollouts, &told);
    return reply_json_take(&r->reply, 200, kept, e);
}

const struct route routes_feedback[] = {
    { "POST", "/api/v1/feedback", BODY_JSON, RUN_TASK, feedback,
      "Tell what was on a picture that was scored", ACCESS_SCORE },
    { 0 },
};

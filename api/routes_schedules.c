/* When a model is retrained without being asked. */
#include "api/request.h"
#include "api/routes.h"
#include "daemon/jobs.h"
#include "daemon/schedules.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

static struct state *state_of(const struct request *r)
{
    return r->server->parts.state;
}

static enum err_code set(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    struct schedule_request q = { 0 };
    json_t *one;
    const struct json_field fields[] = {
        { .name = "cron", .kind = JSON_KIND_STRING, .into = &q.cron },
        { .name = "new_pictures", .kind = JSON_KIND_INT, .into = &q.new_pictures },
        { .name = "max_age", .kind = JSON_KIND_STRING, .into = &q.max_age },
        { .name = "priority", .kind = JSON_KIND_INT, .into = &q.priority },
    };
    enum err_code code = request_json(r, &body, e);
    if (!code)
        code = json_take(body, "the request", fields, sizeof fields / sizeof *fields, e);
    if (!code)
        code = schedules_set(state_of(r), request_param(r, "m"), &q, r->who, &one, e);
    return code ? code : reply_json_take(&r->reply, 200, one, e);
}

static enum err_code show(struct request *r, struct err *e)
{
    json_t *one;
    enum err_code code = schedules_show(state_of(r), request_param(r, "m"), &one, e);
    return code ? code : reply_json_take(&r->reply, 200, one, e);
}

static enum err_code remove_one(struct request *r, struct err *e)
{
    enum err_code code = schedules_remove(state_of(r), request_param(r, "m"), r->who, e);
    if (!code)
        reply_fixed(&r->reply, 204, NULL, "", 0);
    return code;
}

const struct route routes_schedules[] = {
    { "PUT", "/api/v1/models/{m}/schedule", BODY_JSON, RUN_TASK, set,
      "Retrain at times, after new pictures or at an age", ACCESS_TRAIN },
    { "GET", "/api/v1/models/{m}/schedule", BODY_NONE, RUN_TASK, show, "Show a schedule",
      ACCESS_TRAIN },
    { "DELETE", "/api/v1/models/{m}/schedule", BODY_NONE, RUN_TASK, remove_one,
      "Retrain only when asked", ACCESS_TRAIN },
    { 0 },
};

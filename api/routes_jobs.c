/* Retraining: the trigger, and what became of it. */
#include "api/routes.h"
#include "api/trigger.h"
#include "daemon/jobs.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"

#include <string.h>

enum { LIST_DEFAULT = 100 };

static struct jobs *jobs_of(const struct request *r)
{
    return r->server->parts.jobs;
}

static enum err_code retrain(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    json_t *job;
    enum err_code code = request_json(r, &body, e);
    if (!code)
        code = trigger_submit(r, request_param(r, "m"), body, &job, e);
    return code ? code : reply_json_take(&r->reply, 202, job, e);
}

static enum err_code list(struct request *r, struct err *e)
{
    const char *state = request_query(r, "state");
    int64_t limit = LIST_DEFAULT;
    json_t *all;
    request_query_int(r, "limit", &limit);
    enum err_code code =
        jobs_list(jobs_of(r), state, request_query(r, "model"), (int)limit, &all, e);
    return code ? code : reply_list(&r->reply, "jobs", all, e);
}

/* *ret_final is set when the job has ended. */
static enum err_code reply_job(struct request *r, bool *ret_final, struct err *e)
{
    json_t *job;
    enum err_code code = jobs_show(jobs_of(r), request_param(r, "id"), &job, e);
    if (code)
        return code;
    const char *state = json_string_value(json_object_get(job, "state"));
    bool final = state && jobs_state_is_final(state);
    code = reply_json_take(&r->reply, 200, job, e);
    if (!code && !final)
        reply_header(&r->reply, "Retry-After", "1");
    *ret_final = final;
    return code;
}

static bool look_again(void *context, bool last)
{
    struct request *r = context;
    struct err e;
    bool final = false;
    enum err_code code = reply_job(r, &final, &e);
    if (!code && !final && !last) {
        reply_reset(&r->reply);
        return false;
    }
    if (code)
        request_fail(r, &e);
    request_finish(r);
    return true;
}

static enum err_code show(struct request *r, struct err *e)
{
    int64_t wait = 0;
    bool final = false;
    request_query_int(r, "wait", &wait);
    enum err_code code = reply_job(r, &final, e);
    const char *id = request_param(r, "id");
    if (code || final || !wait || strlen(id) > PARK_KEY)
        return code;
    reply_reset(&r->reply);
    r->deferred = true;
    return park_add(r->server->park, id, clock_monotonic_us() + wait * 1000000, look_again, r, e);
}

static enum err_code cancel(struct request *r, struct err *e)
{
    json_t *job;
    enum err_code code = jobs_cancel(jobs_of(r), request_param(r, "id"), r->who, &job, e);
    return code ? code : reply_json_take(&r->reply, 200, job, e);
}

const struct route routes_jobs[] = {
    { "POST", "/api/v1/models/{m}/retrain", BODY_JSON_OPTIONAL, RUN_TASK, retrain,
      "Retrain a model", ACCESS_TRAIN },
    { "GET", "/api/v1/jobs", BODY_NONE, RUN_TASK, list, "List jobs", ACCESS_TRAIN },
    { "GET", "/api/v1/jobs/{id}", BODY_NONE, RUN_TASK, show, "Show a job, or wait for its end",
      ACCESS_TRAIN },
    { "POST", "/api/v1/jobs/{id}/cancel", BODY_NONE, RUN_TASK, cancel, "Cancel a job",
      ACCESS_TRAIN },
    { 0 },
};

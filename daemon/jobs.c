#include "daemon/jobs.h"

#include "daemon/models.h"
#include "daemon/queue.h"
#include "daemon/runner.h"
#include "daemon/submission.h"
#include "daemon/ulid.h"
#include "data/base/clock.h"
#include "data/base/json.h"

#include <string.h>

struct jobs {
    struct state *state; /* borrowed */
    struct runner *runner;
    struct ulid_source ids;
};

CLEANUP_DEFINE(struct jobs, jobs_free);

enum err_code jobs_new(struct state *s, const struct jobs_options *o, struct jobs **ret,
                       struct err *e)
{
    CLEANUP(jobs_free_p) struct jobs *j = calloc(1, sizeof *j);
    if (!j)
        return err_set(e, ERR_NOMEM, "no memory for jobs");
    j->state = s;
    ulid_source_init(&j->ids);
    enum err_code r = runner_new(s, o, &j->runner, e);
    if (r)
        return r;
    runner_recover(j->runner);
    *ret = STEAL(j);
    return ERR_OK;
}

enum err_code jobs_start(struct jobs *j, struct err *e)
{
    return runner_start(j->runner, e);
}

void jobs_free(struct jobs *j)
{
    if (!j)
        return;
    runner_free(j->runner);
    ulid_source_fini(&j->ids);
    free(j);
}

void jobs_listen(struct jobs *j, jobs_listener fn, void *context)
{
    runner_listen(j->runner, fn, context);
}

bool jobs_state_is_final(const char *state)
{
    enum job_state s;
    return job_state_parse(state, &s) && job_state_is_final(s);
}

/* --- replies --------------------------------------------------------------------------------- */

#define SELECT_JOB                                                                                 \
    "SELECT j.id, m.name, j.state, j.mode, j.created_ms, j.started_ms, j.ended_ms, "               \
    "j.requested_by, j.seed, j.dataset_version, j.tags, j.attempt, j.progress, "                   \
    "j.forward_passes, j.version, j.error_code, j.error_message, v.decision, j.priority, "         \
    "j.limits "                                                                                    \
    "FROM job j JOIN model m ON m.id = j.model "                                                   \
    "LEFT JOIN version v ON v.model = j.model AND v.number = j.version "

static enum err_code put_column(json_t *reply, const char *name, struct db_rows *row, int column,
                                struct err *e)
{
    json_t *value = NULL;
    enum err_code r = db_json(row, column, &value, e);
    return r ? r : json_put(reply, name, value, e);
}

/* Memory knows a running job's progress sooner than the row. */
static enum err_code put_progress(struct jobs *j, json_t *reply, struct db_rows *row, struct err *e)
{
    json_t *latest = NULL;
    if (strcmp(db_text(row, 2), job_state_text(JOB_RUNNING)) == 0)
        latest = runner_progress(j->runner, db_text(row, 0));
    return latest ? json_put(reply, "progress", latest, e)
                  : put_column(reply, "progress", row, 12, e);
}

static json_t *error_json(struct db_rows *row)
{
    if (db_is_null(row, 15))
        return json_null();
    return json_pack("{s:s, s:s?}", "code", db_text(row, 15), "message", db_text(row, 16));
}

static enum err_code row_json(struct jobs *j, struct db_rows *row, json_t **ret, struct err *e)
{
    CLEANUP(json_decref_p)
    json_t *reply = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
        db_json_text(row, 0), "model", db_json_text(row, 1), "state", db_json_text(row, 2), "mode",
        db_json_text(row, 3), "created", db_json_time(row, 4), "started", db_json_time(row, 5),
        "ended", db_json_time(row, 6), "requested_by", db_json_text(row, 7), "seed",
        db_json_int(row, 8), "priority", db_json_int(row, 18), "dataset_version",
        db_json_int(row, 9), "attempt", db_json_int(row, 11), "forward_passes",
        db_json_int(row, 13), "version", db_json_int(row, 14), "error", error_json(row));
    if (!reply)
        return err_set(e, ERR_NOMEM, "no memory to show a job");
    enum err_code r = put_column(reply, "tags", row, 10, e);
    if (!r)
        r = put_column(reply, "limits", row, 19, e);
    if (!r)
        r = put_progress(j, reply, row, e);
    if (!r)
        r = put_column(reply, "gate", row, 17, e);
    if (!r)
        *ret = STEAL(reply);
    return r;
}

enum err_code jobs_show(struct jobs *j, const char *id, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_read(state_db(j->state), &t, e);
    if (!r)
        r = db_get(t, &row, e, SELECT_JOB "WHERE j.id = ?", DB_TEXT(id));
    if (!r && !row)
        r = err_set(e, ERR_JOB_UNKNOWN, "there is no job \"%.80s\"", id);
    return r ? r : row_json(j, row, ret, e);
}

/* One statement for each filter, so that each has its index. */
static enum err_code query(struct db_tx *t, const char *state, const char *model, int limit,
                           struct db_rows **ret, struct err *e)
{
    int64_t id = 0;
    enum err_code r = model ? models_find(t, model, &id, e) : ERR_OK;
    if (r)
        return r;
    if (state && model)
        return db_query(t, ret, e,
                        SELECT_JOB "WHERE j.model = ? AND j.state = ? ORDER BY j.id DESC LIMIT ?",
                        DB_INT(id), DB_TEXT(state), DB_INT(limit));
    if (model)
        return db_query(t, ret, e, SELECT_JOB "WHERE j.model = ? ORDER BY j.id DESC LIMIT ?",
                        DB_INT(id), DB_INT(limit));
    if (state)
        return db_query(t, ret, e, SELECT_JOB "WHERE j.state = ? ORDER BY j.id DESC LIMIT ?",
                        DB_TEXT(state), DB_INT(limit));
    return db_query(t, ret, e, SELECT_JOB "ORDER BY j.id DESC LIMIT ?", DB_INT(limit));
}

enum err_code jobs_list(struct jobs *j, const char *state, const char *model, int limit,
                        json_t **ret, struct err *e)
{
    enum job_state parsed;
    if (state && !job_state_parse(state, &parsed))
        return err_set(e, ERR_FIELD_RANGE,
                       "state must be queued, running, succeeded, rejected, failed or cancelled, "
                       "is \"%.60s\"",
                       state);
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    CLEANUP(json_decref_p) json_t *list = json_array();
    if (!list)
        return err_set(e, ERR_NOMEM, "no memory to list jobs");
    enum err_code r = db_read(state_db(j->state), &t, e);
    if (!r)
        r = query(t, state, model, limit, &rows, e);
    bool more = false;
    while (!r && !(r = db_next(rows, &more, e)) && more) {
        json_t *one = NULL;
        r = row_json(j, rows, &one, e);
        if (!r && json_array_append_new(list, one) < 0)
            r = err_set(e, ERR_NOMEM, "no memory to list jobs");
    }
    if (!r)
        *ret = STEAL(list);
    return r;
}

/* --- changes --------------------------------------------------------------------------------- */

enum err_code jobs_submit(struct jobs *j, const char *model, const struct retrain_request *q,
                          const char *who, json_t **ret, struct err *e)
{
    struct submitted done = { 0 };
    json_t *job;
    enum err_code r = ulid_next(&j->ids, clock_utc_ms(), done.id, e);
    if (!r)
        r = submission_add(j->state, model, q, who, &done, e);
    if (r)
        return r;
    if (done.how != SUBMITTED_REPEATED)
        runner_wake(j->runner);
    if (done.how == SUBMITTED_NEW)
        runner_tell(j->runner, done.id);
    r = jobs_show(j, done.id, &job, e);
    if (!r && done.how != SUBMITTED_NEW)
        r = json_put(job, done.how == SUBMITTED_REPEATED ? "repeated" : "coalesced", json_true(),
                     e);
    if (!r)
        *ret = job;
    return r;
}

enum err_code jobs_cancel(struct jobs *j, const char *id, const char *who, json_t **ret,
                          struct err *e)
{
    enum job_state was = JOB_QUEUED;
    enum err_code r = queue_cancel(j->state, id, who, &was, e);
    if (r)
        return r;
    if (was == JOB_RUNNING)
        runner_kill(j->runner, id);
    runner_tell(j->runner, id);
    return jobs_show(j, id, ret, e);
}

static enum err_code count_states(struct db_tx *t, json_t *states, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = ERR_OK;
    for (int i = 0; !r && i < JOB_STATES; i++)
        r = json_put(states, job_state_text((enum job_state)i), json_integer(0), e);
    bool more = false;
    if (!r)
        r = db_query(t, &rows, e, "SELECT state, count(*) FROM job GROUP BY state");
    while (!r && !(r = db_next(rows, &more, e)) && more)
        r = json_put(states, db_text(rows, 0), db_json_int(rows, 1), e);
    return r;
}

enum err_code jobs_count(struct jobs *j, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    CLEANUP(json_decref_p) json_t *states = json_object();
    if (!states)
        return err_set(e, ERR_NOMEM, "no memory to count jobs");
    enum err_code r = db_read(state_db(j->state), &t, e);
    if (!r)
        r = count_states(t, states, e);
    if (!r)
        r = db_get(t, &row, e,
                   "SELECT coalesce(sum(d.pictures), 0), coalesce(sum(j.forward_passes), 0) FROM "
                   "job j JOIN dataset_version d ON d.dataset = j.dataset AND "
                   "d.number = j.dataset_version WHERE j.version IS NOT NULL");
    if (r)
        return r;
    json_t *counts = json_pack("{s:O, s:o, s:o}", "states", states, "pictures", db_json_int(row, 0),
                               "forward_passes", db_json_int(row, 1));
    if (!counts)
        return err_set(e, ERR_NOMEM, "no memory to count jobs");
    *ret = counts;
    return ERR_OK;
}

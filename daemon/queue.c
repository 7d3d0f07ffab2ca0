#include "daemon/queue.h"

#include "daemon/gate.h"
#include "daemon/job_events.h"
#include "data/base/clock.h"
#include "data/base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static const char *const state_texts[JOB_STATES] = {
    [JOB_QUEUED] = "queued",     [JOB_RUNNING] = "running", [JOB_SUCCEEDED] = "succeeded",
    [JOB_REJECTED] = "rejected", [JOB_FAILED] = "failed",   [JOB_CANCELLED] = "cancelled",
};

static const bool moves[JOB_STATES][JOB_STATES] = {
    [JOB_QUEUED] = { [JOB_RUNNING] = true, [JOB_CANCELLED] = true },
    [JOB_RUNNING] = { [JOB_QUEUED] = true,
                      [JOB_SUCCEEDED] = true,
                      [JOB_REJECTED] = true,
                      [JOB_FAILED] = true,
                      [JOB_CANCELLED] = true },
};

const char *job_state_text(enum job_state s)
{
    return state_texts[s];
}

bool job_state_parse(const char *text, enum job_state *ret)
{
    for (int i = 0; i < JOB_STATES; i++) {
        if (strcmp(text, state_texts[i]) == 0) {
            *ret = (enum job_state)i;
            return true;
        }
    }
    return false;
}

bool job_state_is_final(enum job_state s)
{
    for (int to = 0; to < JOB_STATES; to++)
        if (moves[s][to])
            return false;
    return true;
}

bool job_move_is_legal(enum job_state from, enum job_state to)
{
    return moves[from][to];
}

void job_fini(struct job *j)
{
    json_decref(j->gate);
    json_decref(j->overrides);
    *j = (struct job){ 0 };
}

/* --- reading a job -------------------------------------------------------------------------- */

static enum err_code read_overrides(json_t *object, struct backbone_overrides *ret, struct err *e)
{
    int64_t resize = 0;
    const struct json_field fields[] = {
        { "feature", JSON_KIND_STRING, false, &ret->feature, 0, 0 },
        { "mean", JSON_KIND_STRING, false, &ret->mean, 0, 0 },
        { "std", JSON_KIND_STRING, false, &ret->std, 0, 0 },
        { "color", JSON_KIND_STRING, false, &ret->color, 0, 0 },
        { "resize", JSON_KIND_INT, false, &resize, 0, 0 },
    };
    enum err_code r =
        json_take(object, "backbone overrides", fields, sizeof fields / sizeof *fields, e);
    if (!r)
        ret->resize = (int)resize;
    return r;
}

static enum err_code read_recipe(struct db_rows *row, int column, struct recipe *ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *recipe = NULL;
    enum err_code r = db_json(row, column, &recipe, e);
    return r ? r : recipe_parse(recipe, ret, e);
}

static enum err_code read_limits(struct db_rows *row, int column, struct job_limits *ret,
                                 struct err *e)
{
    CLEANUP(json_decref_p) json_t *limits = NULL;
    enum err_code r = db_json(row, column, &limits, e);
    return r ? r : job_limits_merge(NULL, limits, ret, e);
}

static enum err_code read_row(struct db_rows *row, struct job *ret, struct err *e)
{
    struct retrain_spec *spec = &ret->spec;
    ret->model = db_int(row, 0);
    ret->champion = db_is_null(row, 1) ? 0 : db_int(row, 1);
    spec->seed = db_int(row, 2);
    spec->has_champion = ret->champion != 0;
    enum err_code r = db_json(row, 3, &ret->gate, e);
    spec->measure_latency = !r && gate_wants_latency(ret->gate);
    if (!r)
        r = read_recipe(row, 4, &spec->recipe, e);
    if (!r)
        r = db_digest(row, 5, &spec->manifest, e);
    if (!r)
        r = db_digest(row, 6, &spec->backbone, e);
    if (!r)
        r = db_json(row, 7, &ret->overrides, e);
    if (!r)
        r = read_overrides(ret->overrides, &spec->overrides, e);
    if (!r && spec->has_champion)
        r = db_digest(row, 8, &spec->champion, e);
    return r ? r : read_limits(row, 9, &ret->limits, e);
}

enum err_code queue_read(struct state *s, int threads, struct job *job, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_get(t, &row, e,
                   "SELECT j.model, j.champion, j.seed, j.gate, j.recipe, d.digest, b.digest, "
                   "b.overrides, c.artifact, j.limits FROM job j "
                   "JOIN dataset_version d ON d.dataset = j.dataset AND "
                   "d.number = j.dataset_version JOIN backbone b ON b.id = j.backbone "
                   "LEFT JOIN version c ON c.model = j.model AND c.number = j.champion "
                   "WHERE j.id = ?",
                   DB_TEXT(job->id));
    if (!r && !row)
        r = err_set(e, ERR_JOB_UNKNOWN, "there is no job \"%s\"", job->id);
    job->spec.threads = threads;
    job->spec.limits = state_limits(s)->image;
    return r ? r : read_row(row, job, e);
}

static enum err_code find_next(struct db_tx *t, struct job *ret, bool *ret_found, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e,
                             "SELECT j.id, j.attempt, j.deaths FROM job j WHERE j.state = 'queued' "
                             "AND j.ended_ms IS NULL "
                             "AND NOT EXISTS (SELECT 1 FROM job o WHERE o.state = 'running' AND "
                             "o.ended_ms IS NULL AND o.model = j.model) "
                             "ORDER BY j.priority DESC, j.id LIMIT 1");
    if (r)
        return r;
    *ret_found = row != NULL;
    if (row) {
        *ret = (struct job){ .attempt = db_int(row, 1) + 1, .deaths = db_int(row, 2) };
        snprintf(ret->id, sizeof ret->id, "%s", db_text(row, 0));
    }
    return ERR_OK;
}

enum err_code queue_claim(struct state *s, struct job *ret, bool *ret_found, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    struct job job = { 0 };
    bool found = false;
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = find_next(t, &job, &found, e);
    if (!r && found)
        r = db_exec(t, e,
                    "UPDATE job SET state = 'running', attempt = ?, started_ms = ?, "
                    "progress = NULL, champion = (SELECT a.version FROM alias a WHERE "
                    "a.model = job.model AND a.name = 'production') "
                    "WHERE id = ? AND state = 'queued'",
                    DB_INT(job.attempt), DB_INT(clock_utc_ms()), DB_TEXT(job.id));
    if (!r && found)
        r = job_event_add(t, job.id, e);
    if (!r && found)
        r = db_commit(&t, e);
    if (r)
        return r;
    *ret_found = found;
    if (found)
        *ret = job;
    return ERR_OK;
}

enum err_code queue_running(struct state *s, struct job **ret, size_t *ret_count, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    CLEANUP(cleanup_free) struct job *jobs = NULL;
    size_t count = 0;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_query(t, &rows, e,
                     "SELECT id, attempt FROM job WHERE state = 'running' AND ended_ms IS NULL "
                     "ORDER BY id");
    bool more = false;
    while (!r && !(r = db_next(rows, &more, e)) && more) {
        struct job *grown = reallocarray(jobs, count + 1, sizeof *jobs);
        if (!grown)
            return err_set(e, ERR_NOMEM, "no memory for %zu jobs", count + 1);
        jobs = grown;
        jobs[count] = (struct job){ .attempt = db_int(rows, 1) };
        snprintf(jobs[count].id, sizeof jobs->id, "%s", db_text(rows, 0));
        count++;
    }
    if (r)
        return r;
    *ret = STEAL(jobs);
    *ret_count = count;
    return ERR_OK;
}

/* --- moves ---------------------------------------------------------------------------------- */

static enum err_code requeue(struct db_tx *t, const char *id, int64_t attempt,
                             const struct job_end *end, struct err *e)
{
    return db_exec(t, e,
                   "UPDATE job SET state = 'queued', attempt = attempt - ?, deaths = deaths + ?, "
                   "champion = NULL, progress = NULL "
                   "WHERE id = ? AND state = 'running' AND attempt = ?",
                   DB_INT(end->uncounted), DB_INT(end->died), DB_TEXT(id), DB_INT(attempt));
}

static enum err_code fail(struct db_tx *t, const char *id, int64_t attempt,
                          const struct job_end *end, struct err *e)
{
    return db_exec(t, e,
                   "UPDATE job SET state = 'failed', error_code = ?, error_message = ?, "
                   "ended_ms = ?, progress = NULL "
                   "WHERE id = ? AND state = 'running' AND attempt = ?",
                   DB_TEXT(end->code), DB_TEXT(end->message), DB_INT(clock_utc_ms()), DB_TEXT(id),
                   DB_INT(attempt));
}

enum err_code queue_end(struct state *s, const char *id, int64_t attempt, const struct job_end *end,
                        bool *ret_moved, struct err *e)
{
    assert(end->state == JOB_QUEUED || end->state == JOB_FAILED);
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = end->state == JOB_QUEUED ? requeue(t, id, attempt, end, e)
                                     : fail(t, id, attempt, end, e);
    if (r)
        return r;
    bool moved = db_changes(t) > 0;
    if (moved)
        r = job_event_add(t, id, e);
    if (!r)
        r = db_commit(&t, e);
    if (!r)
        *ret_moved = moved;
    return r;
}

enum err_code queue_end_with_version(struct db_tx *t, const struct job *j, enum job_state state,
                                     int64_t version, int64_t forward_passes, bool *ret_moved,
                                     struct err *e)
{
    assert(state == JOB_SUCCEEDED || state == JOB_REJECTED);
    enum err_code r =
        db_exec(t, e,
                "UPDATE job SET state = ?, version = ?, forward_passes = ?, "
                "ended_ms = ?, progress = NULL "
                "WHERE id = ? AND state = 'running' AND attempt = ?",
                DB_TEXT(job_state_text(state)), DB_INT(version), DB_INT(forward_passes),
                DB_INT(clock_utc_ms()), DB_TEXT(j->id), DB_INT(j->attempt));
    bool moved = !r && db_changes(t) > 0;
    if (moved)
        r = job_event_add(t, j->id, e);
    if (!r)
        *ret_moved = moved;
    return r;
}

static enum err_code read_state(struct db_tx *t, const char *id, enum job_state *ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, "SELECT state FROM job WHERE id = ?", DB_TEXT(id));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_JOB_UNKNOWN, "there is no job \"%.80s\"", id);
    if (!job_state_parse(db_text(row, 0), ret))
        return err_set(e, ERR_DATABASE, "job %s has the unknown state \"%s\"", id, db_text(row, 0));
    return ERR_OK;
}

static enum err_code audit_cancel(struct db_tx *t, const char *id, enum job_state was,
                                  const char *who, struct err *e)
{
    char subject[JOB_ID_MAX + 8];
    snprintf(subject, sizeof subject, "job/%s", id);
    CLEANUP(json_decref_p) json_t *before = json_pack("{s:s}", "state", job_state_text(was));
    CLEANUP(json_decref_p)
    json_t *after = json_pack("{s:s}", "state", job_state_text(JOB_CANCELLED));
    if (!before || !after)
        return err_set(e, ERR_NOMEM, "no memory to cancel job %s", id);
    return db_audit(t, who, "job.cancel", subject, before, after, e);
}

enum err_code queue_cancel(struct state *s, const char *id, const char *who,
                           enum job_state *ret_was, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum job_state was = JOB_QUEUED;
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = read_state(t, id, &was, e);
    if (!r && !job_move_is_legal(was, JOB_CANCELLED))
        r = err_set(e, ERR_JOB_STATE, "job %s cannot be cancelled: it has ended (%s)", id,
                    job_state_text(was));
    if (!r)
        r = db_exec(t, e,
                    "UPDATE job SET state = 'cancelled', cancel_requested = 1, ended_ms = ?, "
                    "progress = NULL WHERE id = ? AND state = ?",
                    DB_INT(clock_utc_ms()), DB_TEXT(id), DB_TEXT(job_state_text(was)));
    if (!r)
        r = audit_cancel(t, id, was, who, e);
    if (!r)
        r = job_event_add(t, id, e);
    if (!r)
        r = db_commit(&t, e);
    if (!r)
        *ret_was = was;
    return r;
}

enum err_code queue_is_running(struct state *s, const char *id, int64_t attempt, bool *ret,
                               struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_get(t, &row, e,
                   "SELECT 1 FROM job WHERE id = ? AND state = 'running' AND attempt = ?",
                   DB_TEXT(id), DB_INT(attempt));
    if (!r)
        *ret = row != NULL;
    return r;
}

enum err_code queue_set_progress(struct state *s, const char *id, int64_t attempt,
                                 const json_t *progress, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(cleanup_free) char *text = NULL;
    enum err_code r = db_json_column(progress, &text, e);
    if (!r)
        r = db_write(state_db(s), &t, e);
    if (!r)
        r = db_exec(
            t, e, "UPDATE job SET progress = ? WHERE id = ? AND state = 'running' AND attempt = ?",
            DB_TEXT(text), DB_TEXT(id), DB_INT(attempt));
    return r ? r : db_commit(&t, e);
}

#include "daemon/schedules.h"

#include "daemon/cron.h"
#include "daemon/db.h"
#include "daemon/jobs.h"
#include "daemon/models.h"
#include "daemon/record.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "data/base/log.h"

#include <stdio.h>
#include <string.h>

#define MINUTE_MS INT64_C(60000)
#define AGE_MAX_MS (INT64_C(3650) * 1440 * MINUTE_MS)
enum { NAME_MAX_BYTES = 64 };

/* Columns of a schedule with what its model's latest job says. */
#define SELECT_SCHEDULE                                                                            \
    "SELECT m.name, s.cron, s.new_pictures, s.max_age_ms, s.priority, s.next_ms, s.retry_ms, "     \
    "s.last_ms, s.last_job, s.last_error, s.who, s.created_ms, "                                   \
    "coalesce((SELECT j.created_ms FROM job j WHERE j.model = m.id ORDER BY j.id DESC LIMIT 1), "  \
    "s.created_ms), (SELECT coalesce(sum(v.added), 0) FROM dataset_version v "                     \
    "WHERE v.dataset = m.dataset AND v.number > coalesce((SELECT j.dataset_version FROM job j "    \
    "WHERE j.model = m.id ORDER BY j.id DESC LIMIT 1), 0)), m.id "                                 \
    "FROM schedule s JOIN model m ON m.id = s.model "

static int64_t max_age_end(struct db_rows *row)
{
    return db_is_null(row, 3) ? INT64_MAX : db_int(row, 12) + db_int(row, 3);
}

/* When it is due if no picture comes; INT64_MAX: never. */
static int64_t next_time(struct db_rows *row)
{
    int64_t next = db_is_null(row, 5) ? INT64_MAX : db_int(row, 5);
    int64_t age = max_age_end(row);
    next = age < next ? age : next;
    return next > db_int(row, 6) ? next : db_int(row, 6);
}

/* --- setting and showing ---------------------------------------------------------------------- */

static json_t *time_json(int64_t ms)
{
    char text[CLOCK_TEXT];
    if (ms == INT64_MAX)
        return json_null();
    clock_text(ms, text);
    return json_string(text);
}

static json_t *age_json(struct db_rows *row)
{
    static const struct {
        int64_t minutes;
        char unit;
    } units[] = { { 1440, 'd' }, { 60, 'h' }, { 1, 'm' } };
    if (db_is_null(row, 3))
        return json_null();
    int64_t minutes = db_int(row, 3) / MINUTE_MS;
    size_t i = 0;
    while (minutes % units[i].minutes)
        i++;
    return json_sprintf("%lld%c", (long long)(minutes / units[i].minutes), units[i].unit);
}

static enum err_code show(struct db_tx *t, const char *model, json_t **ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    int64_t id = 0;
    enum err_code r = models_find(t, model, &id, e);
    if (!r)
        r = db_get(t, &row, e, SELECT_SCHEDULE "WHERE m.id = ?", DB_INT(id));
    if (!r && !row)
        r = err_set(e, ERR_SCHEDULE_UNKNOWN, "model \"%.80s\" has no schedule", model);
    if (r)
        return r;
    json_t *made = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "model",
        db_json_text(row, 0), "cron", db_json_text(row, 1), "new_pictures", db_json_int(row, 2),
        "max_age", age_json(row), "priority", db_json_int(row, 4), "next",
        time_json(next_time(row)), "pictures", db_json_int(row, 13), "last", db_json_time(row, 7),
        "last_job", db_json_text(row, 8), "last_error", db_json_text(row, 9), "requested_by",
        db_json_text(row, 10), "created", db_json_time(row, 11));
    if (!made)
        return err_set(e, ERR_NOMEM, "no memory to show a schedule");
    *ret = made;
    return ERR_OK;
}

static enum err_code parse_age(const char *text, int64_t *ret, struct err *e)
{
    char unit = 0, more = 0;
    unsigned n = 0;
    bool sound = text[0] >= '0' && text[0] <= '9' && strlen(text) <= 8 &&
                 sscanf(text, "%u%c%c", &n, &unit, &more) == 2;
    int64_t minutes = unit == 'd' ? 1440 : unit == 'h' ? 60 : unit == 'm' ? 1 : 0;
    if (!sound || !n || !minutes || n * minutes * MINUTE_MS > AGE_MAX_MS)
        return err_set(e, ERR_FIELD_RANGE,
                       "the request: max_age must be like 90m, 12h or 7d, at most 3650d, is "
                       "\"%.40s\"",
                       text);
    *ret = n * minutes * MINUTE_MS;
    return ERR_OK;
}

static enum err_code write_row(struct db_tx *t, const char *model, const struct schedule_request *q,
                               int64_t age, int64_t next, const char *who, struct err *e)
{
    return db_exec(
        t, e,
        "INSERT INTO schedule (model, cron, new_pictures, max_age_ms, priority, next_ms, "
        "who, created_ms) SELECT id, ?, ?, ?, ?, ?, ?, ? FROM model WHERE name = ? "
        "ON CONFLICT (model) DO UPDATE SET cron = excluded.cron, "
        "new_pictures = excluded.new_pictures, max_age_ms = excluded.max_age_ms, "
        "priority = excluded.priority, next_ms = excluded.next_ms, retry_ms = 0, "
        "last_error = NULL, who = excluded.who, created_ms = excluded.created_ms",
        DB_TEXT(q->cron), DB_INT_OR_NULL(q->new_pictures), DB_INT_OR_NULL(age), DB_INT(q->priority),
        DB_INT_OR_NULL(next), DB_TEXT(who), DB_INT(clock_utc_ms()), DB_TEXT(model));
}

static enum err_code audit(struct db_tx *t, const char *who, const char *what, const char *model,
                           const json_t *before, const json_t *after, struct err *e)
{
    char subject[NAME_MAX_BYTES + 16];
    snprintf(subject, sizeof subject, "model/%.64s", model);
    return db_audit(t, who, what, subject, before, after, e);
}

enum err_code schedules_set(struct state *s, const char *model, const struct schedule_request *q,
                            const char *who, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *before = NULL;
    CLEANUP(json_decref_p) json_t *after = NULL;
    struct cron cron;
    int64_t age = 0, next = 0;
    if (!q->cron && !q->new_pictures && !q->max_age)
        return err_set(e, ERR_FIELD_MISSING,
                       "the request: one of cron, new_pictures and max_age is needed");
    enum err_code r = q->cron ? cron_parse(q->cron, &cron, e) : ERR_OK;
    if (!r && q->cron)
        next = cron_next(&cron, clock_utc_ms());
    if (!r && q->max_age)
        r = parse_age(q->max_age, &age, e);
    if (!r)
        r = db_write(state_db(s), &t, e);
    if (!r)
        r = show(t, model, &before, e);
    if (r == ERR_SCHEDULE_UNKNOWN)
        r = ERR_OK;
    if (!r)
        r = write_row(t, model, q, age, next, who, e);
    if (!r)
        r = show(t, model, &after, e);
    if (!r)
        r = audit(t, who, "schedule.set", model, before, after, e);
    if (r)
        return r;
    db_announce(t);
    r = db_commit(&t, e);
    if (!r)
        *ret = STEAL(after);
    return r;
}

enum err_code schedules_show(struct state *s, const char *model, json_t **ret, struct err *e)
{
    return record_show(s, show, model, ret, e);
}

enum err_code schedules_remove(struct state *s, const char *model, const char *who, struct err *e)
{
    static const struct record_removal removal = {
        .find = show,
        .sql = "DELETE FROM schedule WHERE model = (SELECT id FROM model WHERE name = ?)",
        .what = "schedule.remove",
        .subject = "model/",
    };
    return record_remove(s, &removal, model, who, e);
}

/* --- running ---------------------------------------------------------------------------------- */

struct due {
    int64_t model;
    char name[NAME_MAX_BYTES + 1], cron[CRON_TEXT_MAX + 1];
    const char *cause; /* NULL: nothing is due */
    int64_t priority;
};

static const char *cause_of(struct db_rows *row, int64_t now)
{
    if (db_int(row, 6) > now)
        return NULL;
    if (!db_is_null(row, 5) && db_int(row, 5) <= now)
        return "cron";
    if (!db_is_null(row, 2) && db_int(row, 13) >= db_int(row, 2))
        return "new_pictures";
    return max_age_end(row) <= now ? "max_age" : NULL;
}

/* The first one that is due, and when the others are. */
static enum err_code find_due(struct state *s, int64_t now, struct due *ret, int64_t *ret_next,
                              struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_query(t, &rows, e, SELECT_SCHEDULE "ORDER BY s.model");
    bool more = false;
    while (!r && !ret->cause && !(r = db_next(rows, &more, e)) && more) {
        int64_t next = next_time(rows);
        ret->cause = cause_of(rows, now);
        if (ret->cause) {
            ret->model = db_int(rows, 14);
            ret->priority = db_int(rows, 4);
            snprintf(ret->name, sizeof ret->name, "%s", db_text(rows, 0));
            snprintf(ret->cron, sizeof ret->cron, "%s",
                     db_is_null(rows, 1) ? "" : db_text(rows, 1));
        }
        /* Refused for want of pictures: asked again at its time. */
        if (next <= now || (!db_is_null(rows, 2) && db_int(rows, 6) > now))
            next = db_int(rows, 6) > now ? db_int(rows, 6) : now;
        *ret_next = next < *ret_next ? next : *ret_next;
    }
    return r;
}

/* The next time is after now, not after the one that was due: what was missed is made up for once.
 */
static enum err_code write_done(struct state *s, const struct due *due, const char *job,
                                const char *error, int64_t now, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    struct cron cron;
    int64_t next = 0;
    enum err_code r = due->cron[0] ? cron_parse(due->cron, &cron, e) : ERR_OK;
    if (!r && due->cron[0])
        next = cron_next(&cron, now);
    if (!r)
        r = db_write(state_db(s), &t, e);
    if (!r)
        r = db_exec(t, e,
                    "UPDATE schedule SET next_ms = CASE WHEN cron IS NULL THEN NULL ELSE ? END, "
                    "retry_ms = ?, last_ms = ?, last_job = coalesce(?, last_job), last_error = ? "
                    "WHERE model = ? AND coalesce(cron, '') = ?",
                    DB_INT(next), DB_INT(error ? now + MINUTE_MS : 0), DB_INT(now), DB_TEXT(job),
                    DB_TEXT(error), DB_INT(due->model), DB_TEXT(due->cron));
    return r ? r : db_commit(&t, e);
}

static enum err_code submit(struct state *s, struct jobs *jobs, const struct due *due, int64_t now,
                            struct err *e)
{
    CLEANUP(json_decref_p) json_t *tags = json_pack("{s:s}", "trigger", due->cause);
    CLEANUP(json_decref_p) json_t *job = NULL;
    if (!tags)
        return err_set(e, ERR_NOMEM, "no memory for a job");
    const struct retrain_request q = { .tags = tags, .priority = due->priority, .coalesce = true };
    struct err refusal = { 0 };
    enum err_code r = jobs_submit(jobs, due->name, &q, "schedule", &job, &refusal);
    if (r)
        log_event("warning", "schedule_refused", "model", due->name, "code", err_slug(r), "message",
                  refusal.message, NULL);
    return write_done(s, due, json_string_value(json_object_get(job, "id")),
                      r ? refusal.message : NULL, now, e);
}

enum err_code schedules_run(struct state *s, struct jobs *jobs, int64_t now, int64_t *ret_next,
                            struct err *e)
{
    for (;;) {
        struct due due = { 0 };
        int64_t next = INT64_MAX;
        enum err_code r = find_due(s, now, &due, &next, e);
        if (!r && due.cause)
            r = submit(s, jobs, &due, now, e);
        if (r)
            return r;
        if (due.cause)
            continue;
        *ret_next = next;
        return ERR_OK;
    }
}

#include "daemon/rollout_row.h"

#include "daemon/events.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"

#include <inttypes.h>
#include <string.h>

static const char *const texts[ROLLOUT_STATES] = {
    [ROLLOUT_RUNNING] = "running",     [ROLLOUT_WAITING] = "waiting",
    [ROLLOUT_COMPLETED] = "completed", [ROLLOUT_ROLLED_BACK] = "rolled_back",
    [ROLLOUT_REJECTED] = "rejected",   [ROLLOUT_ABORTED] = "aborted",
};

#define TO(s) (1u << ROLLOUT_##s)
static const unsigned moves[ROLLOUT_STATES] = {
    [ROLLOUT_RUNNING] =
        TO(RUNNING) | TO(WAITING) | TO(COMPLETED) | TO(ROLLED_BACK) | TO(REJECTED) | TO(ABORTED),
    [ROLLOUT_WAITING] = TO(RUNNING) | TO(COMPLETED) | TO(ROLLED_BACK) | TO(REJECTED) | TO(ABORTED),
};

const char *rollout_state_text(enum rollout_state s)
{
    return texts[s];
}

bool rollout_may_move(enum rollout_state from, enum rollout_state to)
{
    return (moves[from] & 1u << to) != 0;
}

static enum rollout_state parse_state(const char *text)
{
    int s = 0;
    while (s < ROLLOUT_STATES - 1 && strcmp(texts[s], text) != 0)
        s++;
    return (enum rollout_state)s;
}

int rollout_row_percent(const struct rollout_row *r)
{
    return r->plan.step_count ? r->plan.steps[r->step] : 0;
}

static json_t *number_or_null(int64_t n)
{
    return n ? json_integer(n) : json_null();
}

static enum err_code announce(struct db_tx *t, const struct rollout_row *r, const char *what,
                              const char *who, const char *reason, const json_t *before,
                              struct err *e)
{
    char type[40], subject[80];
    snprintf(type, sizeof type, "rollout.%s", what);
    snprintf(subject, sizeof subject, "model/%s", r->model);
    CLEANUP(json_decref_p)
    json_t *data = json_pack("{s:s, s:I, s:s, s:o, s:o, s:I, s:i, s:s, s:s?}", "model", r->model,
                             "rollout", (json_int_t)r->id, "state", texts[r->state], "canary",
                             number_or_null(r->plan.canary), "shadow",
                             number_or_null(r->plan.shadow), "production", (json_int_t)r->baseline,
                             "percent", rollout_row_percent(r), "who", who, "reason", reason);
    if (!data)
        return err_set(e, ERR_NOMEM, "no memory for a rollout's event");
    enum err_code code = event_add(t, type, subject, data, e);
    return code ? code : db_audit(t, who, type, subject, before, data, e);
}

enum err_code rollout_row_add(struct db_tx *t, struct rollout_row *r, const char *reason,
                              struct err *e)
{
    CLEANUP(json_decref_p) json_t *plan = rollout_plan_json(&r->plan);
    CLEANUP(cleanup_free) char *text = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    int64_t now = clock_utc_ms();
    if (!plan)
        return err_set(e, ERR_NOMEM, "no memory for a rollout");
    enum err_code code = db_json_column(plan, &text, e);
    if (!code)
        code = db_exec(t, e,
                       "INSERT OR IGNORE INTO rollout (model, state, plan, baseline, canary, "
                       "shadow, step_ms, reason, who, created_ms) "
                       "VALUES (?, 'running', ?, ?, ?, ?, ?, ?, ?, ?)",
                       DB_INT(r->model_id), DB_TEXT(text), DB_INT(r->baseline),
                       DB_INT_OR_NULL(r->plan.canary), DB_INT_OR_NULL(r->plan.shadow), DB_INT(now),
                       DB_TEXT(reason), DB_TEXT(r->who), DB_INT(now));
    if (!code && !db_changes(t))
        code = err_set(e, ERR_ROLLOUT_OPEN,
                       "model \"%s\" is being rolled out already: end that first", r->model);
    if (!code)
        code = db_get(t, &row, e, "SELECT id FROM rollout WHERE model = ? AND ended_ms IS NULL",
                      DB_INT(r->model_id));
    if (code)
        return code;
    r->id = db_int(row, 0);
    r->step_ms = now;
    r->step = 0;
    r->state = ROLLOUT_RUNNING;
    return announce(t, r, "started", r->who, reason, NULL, e);
}

enum err_code rollout_row_keep(struct db_tx *t, int64_t id, const json_t *analysis, struct err *e)
{
    CLEANUP(cleanup_free) char *text = NULL;
    enum err_code r = db_json_column(analysis, &text, e);
    return r ? r
             : db_exec(t, e, "UPDATE rollout SET analysis = ? WHERE id = ?", DB_TEXT(text),
                       DB_INT(id));
}

enum err_code rollout_row_move(struct db_tx *t, const struct rollout_row *from,
                               const struct rollout_row *to, const char *what, const char *who,
                               const char *reason, const json_t *analysis, struct err *e)
{
    if (!rollout_may_move(from->state, to->state))
        return err_set(e, ERR_ROLLOUT_STATE, "a rollout that is %s cannot be %s",
                       texts[from->state], texts[to->state]);
    enum err_code r =
        db_exec(t, e,
                "UPDATE rollout SET state = ?, step = ?, step_ms = ?, ended_ms = ?, "
                "reason = coalesce(?, reason) WHERE id = ? AND state = ? AND step = ?",
                DB_TEXT(texts[to->state]), DB_INT(to->step), DB_INT(to->step_ms),
                rollout_is_open(to->state) ? DB_NULL : DB_INT(clock_utc_ms()), DB_TEXT(reason),
                DB_INT(from->id), DB_TEXT(texts[from->state]), DB_INT(from->step));
    if (!r && !db_changes(t))
        r = err_set(e, ERR_ROLLOUT_STATE, "the rollout of \"%s\" has moved meanwhile", from->model);
    if (!r && analysis)
        r = rollout_row_keep(t, from->id, analysis, e);
    CLEANUP(json_decref_p)
    json_t *before =
        json_pack("{s:s, s:i}", "state", texts[from->state], "percent", rollout_row_percent(from));
    if (!r && !before)
        r = err_set(e, ERR_NOMEM, "no memory for a rollout");
    return r ? r : announce(t, to, what, who, reason, before, e);
}

/* -- reading -------------------------------------------------------------------------------------
 */

static enum err_code read_plan(struct db_rows *row, int column, struct rollout_plan *ret,
                               struct err *e)
{
    json_t *plan = NULL;
    enum err_code r = db_json(row, column, &plan, e);
    if (!r)
        r = rollout_plan_parse(plan, ret, e);
    json_decref(plan);
    return r;
}

enum err_code rollout_rows_open(struct db_tx *t, rollout_row_visit fn, void *context, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code code = db_query(t, &rows, e,
                                  "SELECT r.id, r.model, r.baseline, r.step_ms, m.name, r.who, "
                                  "r.state, r.step, r.plan, r.analysis FROM rollout r JOIN "
                                  "model m ON m.id = r.model WHERE r.ended_ms IS NULL "
                                  "ORDER BY r.id");
    bool more = false;
    while (!code && !(code = db_next(rows, &more, e)) && more) {
        struct rollout_row r = { .id = db_int(rows, 0),
                                 .model_id = db_int(rows, 1),
                                 .baseline = db_int(rows, 2),
                                 .step_ms = db_int(rows, 3),
                                 .state = parse_state(db_text(rows, 6)),
                                 .step = (int)db_int(rows, 7) };
        snprintf(r.model, sizeof r.model, "%s", db_text(rows, 4));
        snprintf(r.who, sizeof r.who, "%s", db_text(rows, 5));
        CLEANUP(json_decref_p) json_t *analysis = NULL;
        code = read_plan(rows, 8, &r.plan, e);
        if (!code)
            code = db_json(rows, 9, &analysis, e);
        if (!code)
            code = fn(context, &r, json_is_null(analysis) ? NULL : analysis, e);
    }
    return code;
}

static enum err_code row_json(struct db_rows *row, json_t **ret, struct err *e)
{
    json_t *plan = NULL, *analysis = NULL;
    enum err_code r = db_json(row, 5, &plan, e);
    if (!r)
        r = db_json(row, 6, &analysis, e);
    struct rollout_plan p;
    if (!r)
        r = rollout_plan_parse(plan, &p, e);
    int64_t step = db_int(row, 3);
    int percent = !r && p.step_count ? p.steps[step] : 0;
    json_t *head = json_pack("{s:o, s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
                             db_json_int(row, 0), "model", db_json_text(row, 1), "state",
                             db_json_text(row, 2), "step", (int)step, "percent", percent,
                             "production", db_json_int(row, 4), "reason", db_json_text(row, 7),
                             "who", db_json_text(row, 8), "created", db_json_time(row, 9), "ended",
                             db_json_time(row, 10), "step_began", db_json_time(row, 11));
    if (!r && (!head || json_object_update(head, plan) < 0))
        r = err_set(e, ERR_NOMEM, "no memory to show a rollout");
    if (!r)
        r = json_put(head, "analysis", STEAL(analysis), e);
    json_decref(plan);
    json_decref(analysis);
    if (r)
        json_decref(head);
    else
        *ret = head;
    return r;
}

enum err_code rollout_row_show(struct db_tx *t, const char *model, json_t **ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e,
                             "SELECT r.id, m.name, r.state, r.step, r.baseline, r.plan, "
                             "r.analysis, r.reason, r.who, r.created_ms, r.ended_ms, r.step_ms "
                             "FROM model m LEFT JOIN rollout r ON r.model = m.id "
                             "WHERE m.name = ? ORDER BY r.id DESC LIMIT 1",
                             DB_TEXT(model));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_MODEL_UNKNOWN, "there is no model \"%.80s\"", model);
    if (db_is_null(row, 0))
        return err_set(e, ERR_ROLLOUT_UNKNOWN, "model \"%s\" was never rolled out", model);
    return row_json(row, ret, e);
}

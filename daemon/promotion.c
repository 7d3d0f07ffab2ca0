#include "daemon/promotion.h"

#include "daemon/alias_move.h"
#include "data/base/clock.h"
#include "data/base/json.h"

#include <inttypes.h>
#include <string.h>

/* What the gate said holds against the champion that it was said about. */
static enum err_code check_gate(const struct alias_move *m, struct err *e)
{
    /* A rollback goes to what was in production once. */
    if (m->force || strcmp(m->cause, "rollback") == 0)
        return ERR_OK;
    const json_t *reasons = json_object_get(m->decision, "reasons");
    const char *first = json_string_value(json_array_get(reasons, 0));
    if (!m->passed)
        return err_set(e, ERR_GATE_REFUSED,
                       "version %" PRId64 " of \"%s\" did not pass its gate: %s", m->version,
                       m->model, first ? first : "no reason was kept");
    int64_t champion = json_integer_value(json_object_get(m->decision, "champion"));
    if (champion != m->previous && champion)
        return err_set(e, ERR_GATE_REFUSED,
                       "version %" PRId64 " of \"%s\" passed its gate against version %" PRId64
                       ", which is not in production any more: retrain, or force with a reason",
                       m->version, m->model, champion);
    if (champion != m->previous)
        return err_set(e, ERR_GATE_REFUSED,
                       "version %" PRId64 " of \"%s\" passed its gate when nothing was in "
                       "production, but version %" PRId64
                       " is now: retrain, or force with a reason",
                       m->version, m->model, m->previous);
    return ERR_OK;
}

/* Everything that may be refused; on ERR_GATE_REFUSED m->decision has the numbers. */
static enum err_code check(struct db_tx *t, struct alias_move *m, struct err *e)
{
    enum err_code r = alias_move_find(t, m, e);
    if (!r)
        r = alias_move_find_version(t, m, e);
    if (!r && m->previous != m->version)
        r = check_gate(m, e);
    return r;
}

/* Checks again, since the first check was before the load, and commits. */
static enum err_code commit_move(struct state *s, struct alias_move *m, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = check(t, m, e);
    return r ? r : alias_move_commit(&t, m, ret, e);
}

/* The swap cannot fail, so what is committed is what is served. */
static enum err_code load_and_move(struct state *s, struct serve *serve, struct alias_move *m,
                                   json_t **ret, struct err *e)
{
    struct serve_ref *next = NULL;
    enum err_code r = serve_load(serve, m->model, m->version, &next, e);
    if (r)
        return r;
    serve_moves_lock(serve);
    r = commit_move(s, m, ret, e);
    if (!r) {
        serve_swap(serve, next);
        next = NULL;
    }
    serve_moves_unlock(serve);
    serve_release(next);
    return r;
}

static enum err_code check_first(struct state *s, struct alias_move *m, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    return r ? r : check(t, m, e);
}

enum err_code promotion_check(struct state *s, const char *model, int64_t version,
                              json_t **ret_decision, struct err *e)
{
    CLEANUP(alias_move_fini)
    struct alias_move m = {
        .model = model, .alias = ALIAS_PRODUCTION, .cause = "promote", .version = version
    };
    enum err_code r = check_first(s, &m, e);
    if (r == ERR_GATE_REFUSED)
        *ret_decision = json_incref(m.decision);
    return r;
}

enum err_code promotion_promote(struct state *s, struct serve *serve, const char *model,
                                int64_t version, bool force, const char *reason, const char *who,
                                json_t **ret, json_t **ret_decision, struct err *e)
{
    if (force && (!reason || !*reason))
        return err_set(e, ERR_FIELD_MISSING,
                       "the request: field \"reason\" is missing; force needs one");
    CLEANUP(alias_move_fini)
    struct alias_move m = { .model = model,
                            .alias = ALIAS_PRODUCTION,
                            .who = who,
                            .reason = reason,
                            .cause = "promote",
                            .version = version,
                            .force = force };
    enum err_code r = check_first(s, &m, e);
    if (!r)
        r = load_and_move(s, serve, &m, ret, e);
    if (r == ERR_GATE_REFUSED)
        *ret_decision = json_incref(m.decision);
    return r;
}

/* What stood in production before the present version, going back past earlier rollbacks: the
 * history is replayed as a stack that a promote pushes on and a rollback pops. */
static enum err_code find_before(struct db_tx *t, struct alias_move *m, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = alias_move_find(t, m, e);
    if (!r)
        r = db_query(t, &rows, e,
                     "SELECT cause, previous FROM alias_history WHERE model = ? AND alias = "
                     "'" ALIAS_PRODUCTION "' ORDER BY id DESC",
                     DB_INT(m->model_id));
    int64_t popped = 0;
    bool more = false;
    m->version = 0;
    while (!r && !(r = db_next(rows, &more, e)) && more) {
        if (strcmp(db_text(rows, 0), "rollback") == 0) {
            popped++;
        } else if (popped) {
            popped--;
        } else {
            m->version = db_is_null(rows, 1) ? 0 : db_int(rows, 1);
            break;
        }
    }
    if (!r && !m->version)
        r = err_set(e, ERR_ROLLBACK_EMPTY,
                    "model \"%s\" has no earlier version in production to go back to", m->model);
    return r;
}

static enum err_code find_target(struct state *s, struct alias_move *m, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    return r ? r : find_before(t, m, e);
}

/* Holds the moves' lock from the look at the history to the swap: two rollbacks at once go back
 * twice. So the load is under it as well. */
static enum err_code rollback(struct state *s, struct serve *serve, struct alias_move *m,
                              json_t **ret, struct err *e)
{
    struct serve_ref *next = NULL;
    enum err_code r = find_target(s, m, e);
    if (!r)
        r = serve_load(serve, m->model, m->version, &next, e);
    if (!r)
        r = commit_move(s, m, ret, e);
    if (r)
        serve_release(next);
    else
        serve_swap(serve, next);
    return r;
}

enum err_code promotion_rollback(struct state *s, struct serve *serve, const char *model,
                                 const char *reason, const char *who, json_t **ret, struct err *e)
{
    CLEANUP(alias_move_fini)
    struct alias_move m = {
        .model = model, .alias = ALIAS_PRODUCTION, .who = who, .reason = reason, .cause = "rollback"
    };
    serve_moves_lock(serve);
    enum err_code r = rollback(s, serve, &m, ret, e);
    serve_moves_unlock(serve);
    return r;
}

static enum err_code history_row(struct db_rows *row, json_t *list, struct err *e)
{
    json_t *decision = NULL;
    enum err_code r = db_json(row, 8, &decision, e);
    if (r)
        return r;
    json_t *one = json_pack(
        "{s:o, s:s, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "id", db_json_int(row, 9), "alias",
        db_text(row, 0), "version", db_json_int(row, 1), "previous", db_json_int(row, 2), "cause",
        db_json_text(row, 3), "forced", db_int(row, 4) != 0, "reason", db_json_text(row, 5), "who",
        db_json_text(row, 6), "at", db_json_time(row, 7), "gate", decision);
    if (!one || json_array_append_new(list, one) < 0)
        return err_set(e, ERR_NOMEM, "no memory for the promotion history");
    return ERR_OK;
}

enum err_code promotion_history(struct state *s, const char *model, const char *alias,
                                struct state_page page, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    CLEANUP(json_decref_p) json_t *list = json_array();
    struct alias_move m = { .model = model, .alias = ALIAS_PRODUCTION };
    if (!list)
        return err_set(e, ERR_NOMEM, "no memory for the promotion history");
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = alias_move_find(t, &m, e);
    if (!r)
        r = db_query(t, &rows, e,
                     "SELECT alias, version, previous, cause, forced, reason, who, at_ms, "
                     "decision, id FROM alias_history WHERE id IN (SELECT id FROM alias_history "
                     "WHERE model = ?1 AND (?2 IS NULL OR alias = ?2) AND (?3 = 0 OR id < ?3) "
                     "ORDER BY id DESC LIMIT ?4) ORDER BY id DESC",
                     DB_INT(m.model_id), DB_TEXT(alias), DB_INT(page.before), DB_INT(page.limit));
    bool more = false;
    while (!r && !(r = db_next(rows, &more, e)) && more)
        r = history_row(rows, list, e);
    if (!r)
        *ret = STEAL(list);
    return r;
}

#include "daemon/alias_move.h"

#include "daemon/events.h"
#include "data/base/clock.h"
#include "data/base/json.h"

#include <inttypes.h>
#include <stdio.h>

void alias_move_fini(struct alias_move *m)
{
    json_decref(m->decision);
}

enum err_code alias_move_find(struct db_tx *t, struct alias_move *m, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e,
                             "SELECT m.id, a.version FROM model m LEFT JOIN alias a "
                             "ON a.model = m.id AND a.name = ? WHERE m.name = ?",
                             DB_TEXT(m->alias), DB_TEXT(m->model));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_MODEL_UNKNOWN, "there is no model \"%.80s\"", m->model);
    m->model_id = db_int(row, 0);
    m->previous = db_is_null(row, 1) ? 0 : db_int(row, 1);
    return ERR_OK;
}

enum err_code alias_move_find_version(struct db_tx *t, struct alias_move *m, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r =
        db_get(t, &row, e, "SELECT decision, passed FROM version WHERE model = ? AND number = ?",
               DB_INT(m->model_id), DB_INT(m->version));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_VERSION_UNKNOWN, "model \"%s\" has no version %" PRId64, m->model,
                       m->version);
    json_t *decision = NULL;
    r = db_json(row, 0, &decision, e);
    if (r)
        return r;
    json_decref(m->decision);
    m->decision = decision;
    m->passed = db_int(row, 1) != 0;
    return ERR_OK;
}

static json_t *version_json(int64_t version)
{
    return version ? json_integer(version) : json_null();
}

enum err_code alias_move_json(const struct alias_move *m, int64_t now, json_t **ret, struct err *e)
{
    char at[CLOCK_TEXT];
    clock_text(now, at);
    json_t *object =
        json_pack("{s:s, s:s, s:o, s:o, s:b, s:s?, s:s, s:s}", "model", m->model, "alias", m->alias,
                  "version", version_json(m->version), "previous", version_json(m->previous),
                  "forced", m->force, "reason", m->reason, "who", m->who, "at", at);
    if (!object)
        return err_set(e, ERR_NOMEM, "no memory to move an alias");
    *ret = object;
    return ERR_OK;
}

static enum err_code write_rows(struct db_tx *t, const struct alias_move *m, int64_t now,
                                struct err *e)
{
    CLEANUP(cleanup_free) char *decision = NULL;
    enum err_code r = m->decision ? db_json_column(m->decision, &decision, e) : ERR_OK;
    if (!r && m->version)
        r = db_exec(t, e,
                    "INSERT INTO alias (model, name, version) VALUES (?, ?, ?) "
                    "ON CONFLICT (model, name) DO UPDATE SET version = excluded.version",
                    DB_INT(m->model_id), DB_TEXT(m->alias), DB_INT(m->version));
    else if (!r)
        r = db_exec(t, e, "DELETE FROM alias WHERE model = ? AND name = ?", DB_INT(m->model_id),
                    DB_TEXT(m->alias));
    if (!r)
        r = db_exec(t, e,
                    "INSERT INTO alias_history (model, alias, version, previous, cause, forced, "
                    "reason, who, at_ms, decision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    DB_INT(m->model_id), DB_TEXT(m->alias), DB_INT_OR_NULL(m->version),
                    DB_INT_OR_NULL(m->previous), DB_TEXT(m->cause), DB_INT(m->force),
                    DB_TEXT(m->reason), DB_TEXT(m->who), DB_INT(now), DB_TEXT(decision));
    return r;
}

static enum err_code write_audit(struct db_tx *t, const struct alias_move *m, const char *subject,
                                 struct err *e)
{
    char what[32];
    snprintf(what, sizeof what, "model.%s", m->cause);
    CLEANUP(json_decref_p)
    json_t *before = json_pack("{s:o}", m->alias, version_json(m->previous));
    CLEANUP(json_decref_p)
    json_t *after = json_pack("{s:o, s:b, s:s?}", m->alias, version_json(m->version), "forced",
                              m->force, "reason", m->reason);
    if (!before || !after)
        return err_set(e, ERR_NOMEM, "no memory to move an alias");
    return db_audit(t, m->who, what, subject, before, after, e);
}

static enum err_code announce(struct db_tx *t, const struct alias_move *m, const char *subject,
                              const json_t *answer, struct err *e)
{
    CLEANUP(json_decref_p) json_t *data = json_copy((json_t *)answer);
    if (!data)
        return err_set(e, ERR_NOMEM, "no memory to move an alias");
    enum err_code r = json_put(data, "cause", json_string(m->cause), e);
    return r ? r : event_add(t, "alias.changed", subject, data, e);
}

/* In the transaction of the move: retention (gc.c) gives up nothing that has an alias. */
static enum err_code check_kept(struct db_tx *t, const struct alias_move *m, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e,
                             "SELECT 1 FROM version WHERE model = ? AND number = ?"
                             " AND purged_ms IS NOT NULL",
                             DB_INT(m->model_id), DB_INT(m->version));
    if (!r && row)
        r = err_set(e, ERR_VERSION_PURGED,
                    "version %" PRId64 " of model \"%s\" was given up by its retention", m->version,
                    m->model);
    return r;
}

enum err_code alias_move_write(struct db_tx *t, const struct alias_move *m, int64_t now,
                               const json_t *answer, struct err *e)
{
    char subject[80];
    snprintf(subject, sizeof subject, "model/%s", m->model);
    enum err_code r = check_kept(t, m, e);
    if (!r)
        r = write_rows(t, m, now, e);
    if (!r)
        r = write_audit(t, m, subject, e);
    return r ? r : announce(t, m, subject, answer, e);
}

enum err_code alias_move_commit(struct db_tx **t, const struct alias_move *m, json_t **ret,
                                struct err *e)
{
    CLEANUP(json_decref_p) json_t *answer = NULL;
    int64_t now = clock_utc_ms();
    enum err_code r = alias_move_json(m, now, &answer, e);
    if (!r && m->previous != m->version) {
        r = alias_move_write(*t, m, now, answer, e);
        if (!r)
            r = db_commit(t, e);
    }
    if (!r)
        *ret = STEAL(answer);
    return r;
}

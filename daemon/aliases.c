#include "daemon/aliases.h"

#include "daemon/alias_move.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "data/base/name.h"

#include <string.h>

static enum err_code find(struct db_tx *t, struct alias_move *m, struct err *e)
{
    enum err_code r = alias_move_find(t, m, e);
    if (!r && m->version)
        return alias_move_find_version(t, m, e);
    if (!r && !m->previous)
        r = err_set(e, ERR_ALIAS_UNKNOWN, "model \"%s\" has no alias \"%s\"", m->model, m->alias);
    return r;
}

/* Its canary and its shadow are a rollout's own while it is open. */
static enum err_code check_rollout(struct db_tx *t, const struct alias_move *m, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    if (strcmp(m->alias, ALIAS_CANARY) != 0 && strcmp(m->alias, ALIAS_SHADOW) != 0)
        return ERR_OK;
    enum err_code r =
        db_get(t, &row, e, "SELECT 1 FROM rollout WHERE model = ? AND ended_ms IS NULL",
               DB_INT(m->model_id));
    if (!r && row)
        r = err_set(e, ERR_ROLLOUT_OPEN, "\"%s\" is the open rollout's of \"%s\"", m->alias,
                    m->model);
    return r;
}

static enum err_code move(struct state *s, struct alias_move *m, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = find(t, m, e);
    if (!r)
        r = check_rollout(t, m, e);
    return r ? r : alias_move_commit(&t, m, ret, e);
}

static enum err_code check(const char *alias, struct err *e)
{
    enum err_code r = name_check(alias, "alias", e);
    if (!r && strcmp(alias, ALIAS_PRODUCTION) == 0)
        r = err_set(e, ERR_ALIAS_KEPT,
                    "\"" ALIAS_PRODUCTION "\" is moved by a promotion or a rollback only");
    return r;
}

static enum err_code check_and_move(struct state *s, struct serve *serve, struct alias_move *m,
                                    json_t **ret, struct err *e)
{
    enum err_code r = check(m->alias, e);
    if (r)
        return r;
    serve_moves_lock(serve);
    r = move(s, m, ret, e);
    serve_moves_unlock(serve);
    return r;
}

enum err_code aliases_set(struct state *s, struct serve *serve, const char *model,
                          const char *alias, int64_t version, const char *reason, const char *who,
                          json_t **ret, struct err *e)
{
    CLEANUP(alias_move_fini)
    struct alias_move m = { .model = model,
                            .alias = alias,
                            .who = who,
                            .reason = reason,
                            .cause = "promote",
                            .version = version };
    return check_and_move(s, serve, &m, ret, e);
}

enum err_code aliases_remove(struct state *s, struct serve *serve, const char *model,
                             const char *alias, const char *who, json_t **ret, struct err *e)
{
    CLEANUP(alias_move_fini)
    struct alias_move m = { .model = model, .alias = alias, .who = who, .cause = "remove" };
    return check_and_move(s, serve, &m, ret, e);
}

static json_t *row_json(struct db_rows *row)
{
    return json_pack("{s:o, s:o}", "alias", db_json_text(row, 0), "version", db_json_int(row, 1));
}

enum err_code aliases_list(struct state *s, const char *model, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    struct alias_move m = { .model = model, .alias = ALIAS_PRODUCTION };
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = alias_move_find(t, &m, e);
    if (!r)
        r = db_query(t, &rows, e, "SELECT name, version FROM alias WHERE model = ? ORDER BY name",
                     DB_INT(m.model_id));
    return r ? r : db_json_list(rows, row_json, ret, e);
}

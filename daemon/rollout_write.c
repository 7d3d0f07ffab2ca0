#include "daemon/rollout_write.h"

#include "daemon/alias_move.h"
#include "daemon/rollout_expect.h"
#include "data/base/clock.h"
#include "data/base/json.h"

#include <inttypes.h>
#include <stdio.h>

static enum err_code point_alias(struct db_tx *t, const struct rollout_row *row, const char *alias,
                                 int64_t version, int64_t only_from, const char *who, struct err *e)
{
    char reason[40];
    snprintf(reason, sizeof reason, "rollout %" PRId64, row->id);
    CLEANUP(json_decref_p) json_t *answer = NULL;
    CLEANUP(alias_move_fini)
    struct alias_move m = { .model = row->model,
                            .alias = alias,
                            .who = who,
                            .reason = reason,
                            .cause = "rollout",
                            .version = version };
    int64_t now = clock_utc_ms();
    enum err_code r = alias_move_find(t, &m, e);
    if (!r && version)
        r = alias_move_find_version(t, &m, e);
    if (!r)
        r = alias_move_json(&m, now, &answer, e);
    if (r || m.previous == version || (only_from && m.previous != only_from))
        return r;
    return alias_move_write(t, &m, now, answer, e);
}

static enum err_code remove_aliases(struct db_tx *t, const struct rollout_row *row, const char *who,
                                    struct err *e)
{
    enum err_code r = ERR_OK;
    if (row->plan.canary)
        r = point_alias(t, row, ALIAS_CANARY, 0, row->plan.canary, who, e);
    if (!r && row->plan.shadow)
        r = point_alias(t, row, ALIAS_SHADOW, 0, row->plan.shadow, who, e);
    return r;
}

enum err_code rollout_write_move(struct state *s, const struct rollout_row *from,
                                 const struct rollout_row *to, const char *what, const char *who,
                                 const char *reason, const json_t *analysis, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = rollout_row_move(t, from, to, what, who, reason, analysis, e);
    if (!r && !rollout_is_open(to->state))
        r = remove_aliases(t, to, who, e);
    return r ? r : db_commit(&t, e);
}

enum err_code rollout_write_start(struct state *s, struct rollout_row *row, const char *reason,
                                  struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = rollout_row_add(t, row, reason, e);
    if (!r && row->plan.canary)
        r = point_alias(t, row, ALIAS_CANARY, row->plan.canary, 0, row->who, e);
    if (!r && row->plan.shadow)
        r = point_alias(t, row, ALIAS_SHADOW, row->plan.shadow, 0, row->who, e);
    return r ? r : db_commit(&t, e);
}

/* Production and the versions are there, and how often they may differ is known. */
enum err_code rollout_check(struct state *s, struct rollout_row *row, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    struct alias_move m = { .model = row->model, .alias = ALIAS_PRODUCTION };
    const int64_t wanted[] = { row->plan.canary, row->plan.shadow };
    double differ = 0;
    enum err_code code = db_read(state_db(s), &t, e);
    if (!code)
        code = alias_move_find(t, &m, e);
    if (!code && !m.previous)
        code =
            err_set(e, ERR_NOT_PROMOTED, "model \"%s\" has no version in production", row->model);
    for (int i = 0; !code && i < 2; i++) {
        if (!wanted[i])
            continue;
        if (wanted[i] == m.previous)
            code = err_set(e, ERR_FIELD_RANGE, "version %" PRId64 " is in production already",
                           wanted[i]);
        else
            code = rollout_expect(t, m.model_id, m.previous, wanted[i], &differ, e);
        if (!code)
            code = rollout_plan_expect(&row->plan, differ, e);
    }
    row->model_id = m.model_id;
    row->baseline = m.previous;
    return code;
}

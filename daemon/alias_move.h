/* alias_move.h -- one move of an alias, as rows: the alias, its history, the audit line, the event.
 *
 * Private to promotion.c (production, which is also loaded and swapped), aliases.c (all others) and
 * rollouts.c. Whoever moves an alias holds serve_moves_lock().
 * Threads: the transaction's. */
#ifndef KENNEL_ALIAS_MOVE_H
#define KENNEL_ALIAS_MOVE_H

#include "daemon/db.h"

#define ALIAS_PRODUCTION "production"
#define ALIAS_CANARY "canary"
#define ALIAS_SHADOW "shadow"

struct alias_move {
    const char *model, *alias, *who, *reason; /* borrowed; reason may be NULL */
    const char *cause;                        /* "promote", "rollback", "rollout", "remove" */
    int64_t version;                          /* 0: the alias goes */
    bool force;

    /* found */
    int64_t model_id;
    int64_t previous; /* 0: none */
    json_t *decision; /* owned: the version's gate decision */
    bool passed;
};

void alias_move_fini(struct alias_move *m);

/* The model and where its alias points. ERR_MODEL_UNKNOWN. */
enum err_code alias_move_find(struct db_tx *t, struct alias_move *m, struct err *e) MUST_USE;
/* The version and what the gate said of it. ERR_VERSION_UNKNOWN. */
enum err_code alias_move_find_version(struct db_tx *t, struct alias_move *m, struct err *e)
    MUST_USE;

/* {"model", "alias", "version", "previous", "forced", "reason", "who", "at"}; null where there is
 * none. */
enum err_code alias_move_json(const struct alias_move *m, int64_t now, json_t **ret, struct err *e)
    MUST_USE;
/* Writes all of it; answer: of alias_move_json(). */
enum err_code alias_move_write(struct db_tx *t, const struct alias_move *m, int64_t now,
                               const json_t *answer, struct err *e) MUST_USE;

/* Writes the move and commits *t, or leaves *t to be ended when the alias stands there already.
 * *ret: alias_move_json(). */
enum err_code alias_move_commit(struct db_tx **t, const struct alias_move *m, json_t **ret,
                                struct err *e) MUST_USE;

#endif

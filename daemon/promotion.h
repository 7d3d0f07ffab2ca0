/* promotion.h -- which version is production, moved in one transaction and one swap.
 *
 * Warm-up of the new version happens before the transaction; the serving snapshot is swapped after
 * it commits. History is append-only. A version is allowed when its gate decision passed; a
 * decision that was made against another champion than the one now in production is stale and
 * refused as well.
 * Threads: any; moves of one model are serialised. */
#ifndef KENNEL_PROMOTION_H
#define KENNEL_PROMOTION_H

#include "daemon/serve.h"
#include "daemon/state.h"

#include <jansson.h>

/* reason is required (ERR_FIELD_MISSING) with force. *ret: {"model", "alias", "version",
 * "previous" (or null), "forced", "reason", "who", "at"}. ERR_GATE_REFUSED: *ret_decision (new
 * reference) then holds the stored decision's numbers. ERR_VERSION_UNKNOWN. Promoting what is in
 * production already changes nothing and succeeds. */
enum err_code promotion_promote(struct state *s, struct serve *serve, const char *model,
                                int64_t version, bool force, const char *reason, const char *who,
                                json_t **ret, json_t **ret_decision, struct err *e) MUST_USE;
/* Would that be refused now, without force? Errors as promotion_promote(). */
enum err_code promotion_check(struct state *s, const char *model, int64_t version,
                              json_t **ret_decision, struct err *e) MUST_USE;
/* To the version that was production before the present one. ERR_ROLLBACK_EMPTY. */
enum err_code promotion_rollback(struct state *s, struct serve *serve, const char *model,
                                 const char *reason, const char *who, json_t **ret, struct err *e)
    MUST_USE;
/* Newest first; page.before: an entry's "id". alias NULL: of all of them. */
enum err_code promotion_history(struct state *s, const char *model, const char *alias,
                                struct state_page page, json_t **ret, struct err *e) MUST_USE;

#endif

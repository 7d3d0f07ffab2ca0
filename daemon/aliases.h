/* aliases.h -- names for versions. `production` is promotion.h's; all others are only names: they
 * need no gate, and nothing is loaded for them.
 * Threads: any. */
#ifndef KENNEL_ALIASES_H
#define KENNEL_ALIASES_H

#include "daemon/serve.h"
#include "daemon/state.h"

#include <jansson.h>

/* *ret: as promotion_promote(). reason may be NULL. Pointing it where it points already changes
 * nothing and succeeds. ERR_NAME_SYNTAX, ERR_MODEL_UNKNOWN, ERR_VERSION_UNKNOWN. */
enum err_code aliases_set(struct state *s, struct serve *serve, const char *model,
                          const char *alias, int64_t version, const char *reason, const char *who,
                          json_t **ret, struct err *e) MUST_USE;
/* ERR_ALIAS_UNKNOWN; ERR_ROLLOUT_OPEN, as aliases_set(): canary and shadow are an open rollout's;
 * ERR_ALIAS_KEPT: production goes to another version, but does not go. */
enum err_code aliases_remove(struct state *s, struct serve *serve, const char *model,
                             const char *alias, const char *who, json_t **ret, struct err *e)
    MUST_USE;
/* [{"alias", "version"}...] by name. */
enum err_code aliases_list(struct state *s, const char *model, json_t **ret, struct err *e)
    MUST_USE;

#endif

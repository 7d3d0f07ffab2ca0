/* plan_cache.h -- private to serve.c: the snapshots that are held in memory, and which of them goes
 * first.
 *
 *   slots:  model name -> production snapshot      (one for each model with a production alias)
 *   kept:   a few other versions that were asked for by number
 *
 * Each holds one borrow of what it names. A version is immutable, so a snapshot is never stale.
 * What goes is handed out (as a list by next_given_up) and not freed here, because that takes
 * milliseconds.
 * Threads: whoever holds serve's mutex. */
#ifndef KENNEL_PLAN_CACHE_H
#define KENNEL_PLAN_CACHE_H

#include "daemon/snapshot.h"

enum { PLAN_CACHE_KEPT = 4 };

struct plan_cache {
    uint64_t limit; /* bytes of all together; 0: none */
    struct serve_slot *slots;
    struct serve_ref *kept[PLAN_CACHE_KEPT]; /* NULL: free */
    uint64_t uses;                           /* ever */
};

/* NULL: the model was never in production. */
struct serve_slot *plan_cache_slot(const struct plan_cache *c, const char *model);
/* Takes the slot. */
void plan_cache_add_slot(struct plan_cache *c, struct serve_slot *slot);
/* In its slot or among the kept ones; NULL: not loaded. */
struct serve_ref *plan_cache_find(const struct plan_cache *c, const char *model, int64_t version);
/* It is now the one that was used last. */
void plan_cache_use(struct plan_cache *c, struct serve_ref *r);

/* Takes the reference among the kept ones. What it takes the place of, or NULL, is the caller's. */
struct serve_ref *plan_cache_keep(struct plan_cache *c, struct serve_ref *r);
/* Takes the model's kept versions out, onto the list. */
void plan_cache_forget(struct plan_cache *c, const char *model, struct serve_ref **list);
/* Takes out, onto the list, what was used longest ago until the rest is within the limit, but never
 * `but`. */
void plan_cache_trim(struct plan_cache *c, const struct serve_ref *but, struct serve_ref **list);

uint64_t plan_cache_bytes(const struct plan_cache *c, int *ret_versions);

#endif

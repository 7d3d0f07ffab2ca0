/* serve_parts.h -- private to serve.c and serve_load.c: what serving holds.
 *
 * Locks: mu is held for look-ups and counts alone, never while something is loaded or freed. */
#ifndef KENNEL_SERVE_PARTS_H
#define KENNEL_SERVE_PARTS_H

#include "daemon/plan_cache.h"

struct serve {
    struct state *state;   /* borrowed */
    char *default_model;   /* owned; NULL: the only one in production */
    struct meters *meters; /* borrowed */
    atomic_bool damaged;   /* see serve_damaged() */

    pthread_mutex_t moves; /* see serve_moves_lock() */
    pthread_mutex_t mu;
    struct plan_cache cache; /* guarded by mu */
    pthread_cond_t loaded;   /* a slot's load has ended */
    pthread_cond_t returned; /* of a retired snapshot: all but the last borrow */
};

/* Loads a version, counts it and remembers what is damaged; see snapshot_load(). */
enum err_code serve_read(struct serve *v, const char *model, int64_t version,
                         struct serve_ref **ret, struct err *e) MUST_USE;
/* Puts what the database has in production into slots, before anybody is served. A version that
 * cannot be loaded is *ret_failure, the last one's, and no error. */
enum err_code serve_read_all(struct serve *v, struct err *ret_failure, struct err *e) MUST_USE;
/* Gives up a list of next_given_up, for the memory. */
void serve_drop(struct serve *v, struct serve_ref *list);

#endif

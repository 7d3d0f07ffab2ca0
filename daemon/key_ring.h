/* key_ring.h -- the keys that are valid, in memory: who holds one, and how often it may be used.
 *
 * A key is known by its SHA-256 alone: it has 256 random bits, so a slow hash would add nothing.
 * Every check compares with every key, in constant time each, so that its duration tells nothing of
 * how much of a guess was right. The rate is a token bucket that holds one second's worth, at least
 * one request.
 * Threads: one at a time; daemon/keys.c locks. */
#ifndef KENNEL_KEY_RING_H
#define KENNEL_KEY_RING_H

#include "daemon/role.h"
#include "data/base/digest.h"

#include <stdint.h>

enum { KEY_NAME_MAX = 64, KEY_ID_MAX = 32, KEYS_MAX = 1000 };

struct key {
    char id[KEY_ID_MAX + 1];     /* "" for a key of the keys' file */
    char name[KEY_NAME_MAX + 1]; /* whose it is */
    enum role role;
    struct digest digest;
    int64_t created_ms; /* UTC; 0: not known */
    int64_t expires_ms; /* UTC; 0: never */
    double rate;        /* requests a second; 0: any number */

    double tokens; /* what may be asked for at once, as of refilled_us */
    int64_t refilled_us;
    int64_t used_ms; /* last time; 0: not since the start */
};

struct key_ring {
    struct key *keys; /* owned */
    int count;
};

void key_ring_fini(struct key_ring *r);
/* Copies *k. The bucket begins full. ERR_KEY_LIMIT past KEYS_MAX, ERR_NOMEM. */
enum err_code key_ring_add(struct key_ring *r, const struct key *k, struct err *e) MUST_USE;
/* What is known of the use of a key of `old` goes on for the same key of r. */
void key_ring_inherit(struct key_ring *r, const struct key_ring *old);

/* The holder of the key with that digest, when it may do what `needed` may. ERR_KEY_INVALID (not
 * known, or expired), ERR_ROLE, ERR_RATE with the whole seconds until the next request in
 * *ret_retry. *ret is valid until the ring changes. */
enum err_code key_ring_check(struct key_ring *r, const struct digest *d, enum role needed,
                             int64_t now_ms, int64_t now_us, const struct key **ret, int *ret_retry,
                             struct err *e) MUST_USE;

#endif

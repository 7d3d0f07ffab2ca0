/* spool.h -- what a follower has to tell its trainer, on the disk until the trainer has it.
 *
 * An item is one of
 *   {"what": "answer", "id", "model", "version", "label", "probability", "at_ms"}
 *   {"what": "seen", "rollout", "id", "at_ms", "first": SIDE, "second": SIDE}   (daemon/traffic.h)
 *   {"what": "feedback", "id", "label", "who", "at_ms"}
 * with SIDE {"code", "version", "label", "us"}. Items are kept in batches, numbered without a
 * number being used twice; a batch is sent whole, in order, and goes when the trainer has
 * acknowledged its number: which it may have had before (daemon/followers.h). The bound is on the
 * bytes of all batches. Feedback is refused beyond it; answers and what was seen are dropped beyond
 * three quarters of it, and counted, so that they do not take feedback's place. Threads: any. */
#ifndef KENNEL_SPOOL_H
#define KENNEL_SPOOL_H

#include "daemon/db.h"
#include "data/base/buf.h"

#include <stdatomic.h>

struct spool {
    uint64_t max;            /* bytes */
    _Atomic int64_t dropped; /* items */
};

enum {
    SPOOL_BATCH = 128 << 10,
    SPOOL_SEND = 384 << 10 /* bytes, both passed by one item or batch */
};

/* In the transaction of the caller. items: an array. feedback: ERR_SPOOL_FULL when there is no
 * place; what is not feedback is dropped then, which is no error. */
enum err_code spool_add(struct spool *s, struct db_tx *t, const json_t *items, bool feedback,
                        struct err *e) MUST_USE;

/* [{"seq", "items"}...] as text, the oldest batches; *ret_count 0: there are none. */
enum err_code spool_read(struct db *db, struct buf *ret, int *ret_count, struct err *e) MUST_USE;
/* The trainer has all up to that number. */
enum err_code spool_acknowledge(struct db *db, int64_t seq, struct err *e) MUST_USE;

struct spool_figures {
    int64_t batches, bytes;
};
enum err_code spool_look(struct db *db, struct spool_figures *ret, struct err *e) MUST_USE;

#endif

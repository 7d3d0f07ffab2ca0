/* follow_copy.h -- what a follower has of its trainer: catalogue, rows, blobs, what is served.
 *
 * A catalogue is adopted in this order: pull what is missing, add its versions' rows, load and warm
 * what is to be in production, replace the rows, swap. A model that fails before the rows are
 * replaced stays whole as it was, and the catalogue counts as not had (tag "").
 * Threads: one at a time, but for the counts. Lock order: serve's moves, the database's writer. */
#ifndef KENNEL_FOLLOW_COPY_H
#define KENNEL_FOLLOW_COPY_H

#include "daemon/follow_link.h"
#include "daemon/replica.h"
#include "daemon/serve.h"

#include <stdatomic.h>

struct follow_copy {
    struct state *state; /* borrowed, as all three */
    struct serve *serve;
    struct follow_link *link;
    json_t *catalog;          /* owned; NULL: nothing yet */
    char tag[DIGEST_HEX + 1]; /* "": not the trainer's whole */
    int missing;              /* models of it that could not be had in any form */

    _Atomic int64_t pulls, pulled_bytes, pull_failures;
};

/* What was committed last. */
enum err_code follow_copy_load(struct follow_copy *c, int64_t *ret_synced_ms, struct err *e)
    MUST_USE;
void follow_copy_fini(struct follow_copy *c);

/* text: as it came; tag: what it was called. ret_part: why not all of it was adopted, code ERR_OK:
 * it was. ERR_TRAINER for what is no catalogue or has another digest; ERR_CANCELLED. */
enum err_code follow_copy_adopt(struct follow_copy *c, const struct buf *text, const char *tag,
                                struct err *ret_part, struct err *e) MUST_USE;

/* Reads every artifact again; what is missing or changed is logged, and removed so that the next
 * catalogue brings it back. */
void follow_copy_check(struct follow_copy *c);

#endif

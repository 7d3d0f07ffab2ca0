/* loader.h -- batches of prepared pictures, decoded and augmented ahead of the trainer on the
 * loader's own threads.
 *
 * Invariants:
 * 1. What a batch holds is a function of (options but threads and ahead, epoch, step): the order is
 *    a permutation of the epoch's own, the augmentation a function of (seed, epoch, item).
 * 2. Memory is a function of the options and the largest picture, not of count: ahead + 1 batches,
 *    and one file and one decoded picture a thread. The order takes none (random_permute()).
 * 3. A failure comes out of loader_next() where its batch would have, whichever thread saw it; of
 *    several in one batch that of the earliest item.
 * Threads: one consumer. The loader's are named "loader", made in loader_new() and joined in
 * loader_free(); one that has nothing to do waits. */
#ifndef KENNEL_LOADER_H
#define KENNEL_LOADER_H

#include "data/augment.h"
#include "data/base/buf.h"

struct loader;

/* Appends item's file to ret (whose max is the options' max_bytes). Called on the loader's threads,
 * several at once. */
typedef enum err_code (*loader_fetch)(void *context, size_t item, struct buf *ret, struct err *e);

struct loader_options {
    loader_fetch fetch;
    void *context;
    size_t count;      /* items, >= 1 */
    const int *labels; /* [count] 0..classes-1, borrowed while the loader lives */
    int classes;
    int batch;   /* items, >= 1 */
    int ahead;   /* batches made beyond the one in the consumer's hands, >= 1 */
    int threads; /* >= 1 */
    const struct preprocess *preprocess; /* borrowed for loader_new() */
    const struct augment *augment; /* borrowed for loader_new(); NULL: centre crop as in scoring */
    bool shuffle;
    bool drop_last; /* leaves out an epoch's last batch when it is not full */
    uint64_t seed;
    float smoothing; /* of labels, 0..1: 1 - s + s / classes for the label, s / classes elsewhere */
    struct image_limits limits;
    size_t max_bytes; /* of one file */
};

struct loader_batch {
    int count;             /* 0 at the end of the epoch */
    const float *pictures; /* [count][3][size][size] */
    const float
        *targets;        /* [count][classes], rows sum to 1; soft where smoothing or a mix say so */
    const size_t *items; /* [count] */
};

/* Stands at epoch 0, step 0, and begins at once. ERR_FIELD_RANGE, ERR_NOMEM. */
enum err_code loader_new(const struct loader_options *o, struct loader **ret, struct err *e)
    MUST_USE;
void loader_free(struct loader *l);

int64_t loader_steps(const struct loader *l); /* batches an epoch */
size_t loader_bytes(struct loader *l);        /* all memory it holds now */

/* Goes to a step of an epoch, 0..loader_steps(); what was made ahead is dropped. Needed between
 * epochs, too: called before validation, the first batches are made meanwhile. ERR_FIELD_RANGE for
 * a step that is not there. */
enum err_code loader_seek(struct loader *l, int64_t epoch, int64_t step, struct err *e) MUST_USE;

/* The next batch of the epoch, waiting for it; *ret is valid until the next call of this or
 * loader_seek(). ret->count 0: the epoch has ended. After a failure (a fetch's or a decoder's code,
 * the message naming the item) it comes back until loader_seek(). */
enum err_code loader_next(struct loader *l, struct loader_batch *ret, struct err *e) MUST_USE;

#endif

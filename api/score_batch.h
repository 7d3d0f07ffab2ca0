/* score_batch.h -- the pictures of one request, scored by one snapshot and answered together.
 *
 * Each goes through the scorer's queue on its own, so that a batch takes as many cores as are
 * there and no more places than it has pictures. The first one (by place) that fails is the
 * request's answer.
 * Threads: score_batch_submit() any; written() on a scoring thread or the submitter's, without any
 * lock held. */
#ifndef KENNEL_SCORE_BATCH_H
#define KENNEL_SCORE_BATCH_H

#include "api/request.h"
#include "daemon/scorer.h"

enum { SCORE_BATCH_MAX = 64 }; /* pictures in a request */

struct score_item {
    enum score_input input;
    const void *bytes; /* borrowed until the request is finished */
    size_t len;
};

struct score_class {
    float probability;
    int index;
};

struct score_batch {
    struct serve_ref *ref;
    int count, classes, top;
    float *probabilities;       /* [count][classes], in the network's order */
    struct score_class *ranked; /* [count][top], most probable first; NULL when top is 0 */
};

struct score_batch_plan {
    struct request *request;
    struct serve_ref *ref;          /* taken on success */
    const struct score_item *items; /* [count] */
    int count;
    int top;             /* ranked classes a picture, 0: none */
    int64_t deadline_us; /* as struct score_request */
    /* Writes the reply. batch is borrowed. */
    enum err_code (*write)(struct request *r, const struct score_batch *batch, void *context,
                           struct err *e);
    void (*free_context)(void *context); /* after write(), or instead; takes the context */
    void *context;                       /* taken on success */
};

/* On success the request is deferred and will be finished. ERR_BUSY, ERR_NOMEM. */
enum err_code score_batch_submit(const struct score_batch_plan *plan, struct err *e) MUST_USE;

/* ERR_BATCH_TOO_LARGE; ERR_TENSOR_SHAPE for none. */
enum err_code score_batch_check(size_t count, struct err *e) MUST_USE;

#endif

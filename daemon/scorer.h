/* scorer.h -- a bounded queue of pictures and the threads that score them.
 *
 * The caller never waits: it submits and is told. A full queue refuses at once (ERR_BUSY); a
 * request whose deadline has passed is dropped before it is computed (ERR_DEADLINE), and so is one
 * whose client has gone meanwhile (ERR_CLIENT_GONE). A scratch is
 * lent by the snapshot that is scored (daemon/serve.h), so it dies with it; nothing allocates per
 * picture in steady state.
 * Threads: scorer_submit() any; done() is called on a scoring thread, exactly once for each submit
 * that returned ERR_OK, without any lock held. */
#ifndef KENNEL_SCORER_H
#define KENNEL_SCORER_H

#include "daemon/serve.h"

struct scorer;

struct scorer_options {
    int threads;      /* --score-threads, default: one a core */
    int queue;        /* --score-queue, default 256 waiting pictures */
    int max_batch;    /* --max-batch: pictures that a thread takes at once; 0 is as good as 1 */
    int max_delay_us; /* --max-delay-us: that it waits for more of them */
    int nice;         /* of the threads; 0: as the process */
    struct meters *meters;     /* daemon/score_meters.h; borrowed; NULL: nothing is counted */
    struct score_stats *stats; /* daemon/score_stats.h; the same */
    struct image_limits limits;
};

struct prediction {
    const char *label;
    float probability;
    int index; /* of the class in the network's output */
};

/* clock_monotonic_us(); 0: it did not come so far. */
struct score_times {
    int64_t submitted, taken, decoded, computed;
};

struct score_result {
    enum err_code code; /* ERR_OK, or what went wrong, with err filled */
    struct err err;
    const char *model;
    int64_t version;
    const struct prediction *predictions; /* [count], most probable first */
    int count;
    const float *probabilities; /* [classes], in the network's order */
    int classes;
    struct score_times times;
};

enum score_input {
    SCORE_PICTURE, /* an encoded file */
    SCORE_TENSOR,  /* float32 [3][size][size] as preprocessing makes it, of any alignment */
};

struct score_request {
    struct serve_ref *ref; /* taken: released after done() */
    enum score_input input;
    const void *bytes; /* borrowed until done() */
    size_t len;
    int top;             /* at most this many predictions; 0: all */
    int64_t deadline_us; /* clock_monotonic_us() past which nobody waits; 0: none */
    /* NULL, or whether nobody reads the answer any more; asked on a scoring thread before a picture
     * is computed that had to wait. */
    bool (*gone)(void *context);
    void (*done)(void *context, const struct score_result *result); /* result is borrowed */
    void *context;
};

enum err_code scorer_new(const struct scorer_options *o, struct scorer **ret, struct err *e)
    MUST_USE;
/* Pictures that wait. */
int scorer_depth(struct scorer *s);
/* Ends what is queued with ERR_CANCELLED and joins the threads. */
void scorer_free(struct scorer *s);

/* Copies *q and takes q->ref on success; on failure (ERR_BUSY, ERR_NOMEM) the caller keeps it. */
enum err_code scorer_submit(struct scorer *s, const struct score_request *q, struct err *e)
    MUST_USE;

#endif

/* DESIGN
 *
 *   submit -> [ ring of `queue` requests ] -> `threads` scoring threads -> done()
 *
 * One mutex guards the ring and the stop flag, held for a copy of one batch of requests; decoding,
 * the network and done() run without it. A thread that finds the stop flag answers what is left
 * with ERR_CANCELLED, so every accepted request is told exactly once, on a scoring thread.
 *
 * A batch is what waits for one snapshot at the ring's head: at most max_batch, and no more than
 * this thread's share of all that wait, so that none of the others is idle meanwhile. Its pictures
 * run one after the other through the plan for one picture, each answered when it is done: what a
 * larger plan would compute may differ in the last bits, and was no faster (a picture a core keeps
 * the activations in its cache). So a batch saves the lock and the wake-up of all its pictures but
 * one, and an answer does not depend on its neighbours. */
#include "daemon/scorer.h"

#include "daemon/score_meters.h"
#include "daemon/score_stats.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"

#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Whether the client has gone costs a system call: not for what did not have to wait. */
enum { GONE_AFTER_US = 5000 };

struct ranked {
    float probability;
    int index;
};

struct thread {
    struct scorer *owner;
    pthread_t id;
    int number;
    /* Room for the most classes met so far. */
    int classes;
    float *probabilities;
    struct ranked *heap;
    struct prediction *predictions;
    struct waiting *batch; /* [max_batch] */
};

struct waiting {
    struct score_request q;
    int64_t submitted_us;
};

struct scorer {
    struct scorer_options options;
    struct thread *threads;
    int started; /* threads that run; changed by the constructor alone */

    pthread_mutex_t mu;
    pthread_cond_t filled;
    struct waiting *ring; /* guarded by mu, as is all below */
    int head, count;
    bool stopping;
};

/* Equal probabilities: the lower class is the more probable one, as in metrics. */
static bool is_less(const struct ranked *a, const struct ranked *b)
{
    if (a->probability != b->probability)
        return a->probability < b->probability;
    return a->index > b->index;
}

static void sift_down(struct ranked *heap, int count, int at)
{
    for (;;) {
        int least = at, left = 2 * at + 1, right = left + 1;
        if (left < count && is_less(&heap[left], &heap[least]))
            least = left;
        if (right < count && is_less(&heap[right], &heap[least]))
            least = right;
        if (least == at)
            return;
        struct ranked swap = heap[at];
        heap[at] = heap[least];
        heap[least] = swap;
        at = least;
    }
}

/* The `top` most probable classes, most probable first: a heap of that many with the least at its
 * root, then taken apart. No qsort(): it may allocate. */
static void rank(struct thread *t, int classes, int top)
{
    for (int i = 0; i < top; i++)
        t->heap[i] = (struct ranked){ t->probabilities[i], i };
    for (int i = top / 2 - 1; i >= 0; i--)
        sift_down(t->heap, top, i);
    for (int i = top; i < classes; i++) {
        struct ranked next = { t->probabilities[i], i };
        if (is_less(&t->heap[0], &next)) {
            t->heap[0] = next;
            sift_down(t->heap, top, 0);
        }
    }
    for (int left = top - 1; left > 0; left--) {
        struct ranked least = t->heap[0];
        t->heap[0] = t->heap[left];
        t->heap[left] = least;
        sift_down(t->heap, left, 0);
    }
}

static void drop_room(struct thread *t)
{
    free(t->probabilities);
    free(t->heap);
    free(t->predictions);
    t->probabilities = NULL;
    t->heap = NULL;
    t->predictions = NULL;
    t->classes = 0;
}

static enum err_code make_room(struct thread *t, int classes, struct err *e)
{
    if (classes <= t->classes)
        return ERR_OK;
    drop_room(t);
    t->probabilities = calloc((size_t)classes, sizeof *t->probabilities);
    t->heap = calloc((size_t)classes, sizeof *t->heap);
    t->predictions = calloc((size_t)classes, sizeof *t->predictions);
    if (!t->probabilities || !t->heap || !t->predictions)
        return err_set(e, ERR_NOMEM, "no memory for %d classes", classes);
    t->classes = classes;
    return ERR_OK;
}

static enum err_code compute(struct thread *t, const struct score_request *q,
                             struct classifier_scratch *scratch, struct score_result *result)
{
    const struct classifier *c = serve_ref_classifier(q->ref);
    if (q->input == SCORE_TENSOR) {
        result->times.decoded = result->times.taken;
        enum err_code failed =
            classifier_score_tensor(c, scratch, q->bytes, t->probabilities, &result->err);
        result->times.computed = clock_monotonic_us();
        return failed;
    }
    enum err_code r =
        classifier_decode(c, scratch, q->bytes, q->len, &t->owner->options.limits, &result->err);
    if (r)
        return r;
    result->times.decoded = clock_monotonic_us();
    r = classifier_run(c, scratch, t->probabilities, &result->err);
    result->times.computed = clock_monotonic_us();
    return r;
}

static enum err_code score(struct thread *t, const struct score_request *q,
                           struct score_result *result)
{
    int classes = classifier_classes(serve_ref_classifier(q->ref));
    enum err_code r = make_room(t, classes, &result->err);
    if (r)
        return r;
    struct serve_scratch *scratch = NULL;
    r = serve_scratch_borrow(q->ref, &scratch, &result->err);
    if (r)
        return r;
    r = compute(t, q, serve_scratch_classifier(scratch), result);
    serve_scratch_release(q->ref, scratch);
    if (r)
        return r;

    int top = q->top > 0 && q->top < classes ? q->top : classes;
    rank(t, classes, top);
    const char *const *labels = serve_ref_labels(q->ref);
    for (int i = 0; i < top; i++)
        t->predictions[i] = (struct prediction){ .label = labels[t->heap[i].index],
                                                 .probability = t->heap[i].probability,
                                                 .index = t->heap[i].index };
    result->probabilities = t->probabilities;
    result->classes = classes;
    result->predictions = t->predictions;
    result->count = top;
    return ERR_OK;
}

static void count(const struct scorer_options *o, const struct score_result *r)
{
    struct meters *m = o->meters;
    const char *const model[] = { r->model };
    const struct score_times *t = &r->times;
    meter_observe(m, SCORE_QUEUE_SECONDS, model, (uint64_t)(t->taken - t->submitted));
    if (t->decoded)
        meter_observe(m, SCORE_DECODE_SECONDS, model, (uint64_t)(t->decoded - t->taken));
    if (t->computed)
        meter_observe(m, SCORE_COMPUTE_SECONDS, model, (uint64_t)(t->computed - t->decoded));
    if (r->count)
        meter_add(m, SCORE_PREDICTIONS, (const char *[]){ r->model, r->predictions[0].label }, 1);
    score_stats_picture(o->stats, r);
}

/* ERR_OK when the picture is worth computing. */
static enum err_code check(const struct score_request *q, const struct score_times *times,
                           bool stopping, struct err *e)
{
    if (stopping)
        return err_set(e, ERR_CANCELLED, "the daemon is stopping");
    if (q->deadline_us && times->taken > q->deadline_us)
        return err_set(e, ERR_DEADLINE,
                       "the picture waited longer than its deadline; it was not scored");
    if (q->gone && times->taken - times->submitted >= GONE_AFTER_US && q->gone(q->context))
        return err_set(e, ERR_CLIENT_GONE, "the client has gone; its picture was not scored");
    return ERR_OK;
}

static void answer(struct thread *t, const struct waiting *w, bool stopping)
{
    struct meters *meters = t->owner->options.meters;
    const struct score_request *q = &w->q;
    struct score_result result = { .model = serve_ref_model(q->ref),
                                   .version = serve_ref_version(q->ref),
                                   .times = { .submitted = w->submitted_us,
                                              .taken = clock_monotonic_us() } };
    result.code = check(q, &result.times, stopping, &result.err);
    if (result.code)
        meter_add(meters, SCORE_DROPPED, (const char *[]){ err_slug(result.code) }, 1);
    else
        result.code = score(t, q, &result);
    count(&t->owner->options, &result);
    q->done(q->context, &result);
    serve_release(q->ref);
}

/* -- the queue ----------------------------------------------------------------------------------
 */

/* Takes from the ring's head what waits for one snapshot. Holds mu. */
static int take_waiting(struct scorer *s, struct waiting *batch, int got, int most)
{
    while (got < most && s->count && (!got || s->ring[s->head].q.ref == batch[0].q.ref)) {
        batch[got++] = s->ring[s->head];
        s->head = (s->head + 1) % s->options.queue;
        s->count--;
    }
    return got;
}

/* Waits for a fuller batch until the first of it has waited max_delay_us. Holds mu. */
static int wait_for_more(struct scorer *s, struct waiting *batch, int got)
{
    int64_t until = batch[0].submitted_us + s->options.max_delay_us;
    while (got < s->options.max_batch && !s->stopping) {
        if (!s->count && !clock_wait(&s->filled, &s->mu, until))
            break;
        int before = got;
        got = take_waiting(s, batch, got, s->options.max_batch);
        if (got == before && s->count)
            break; /* for another snapshot: both are to go on */
    }
    if (s->count)
        pthread_cond_signal(&s->filled); /* it may have been this one's wake-up */
    return got;
}

/* 0: the scorer ends and nothing is left. */
static int take(struct thread *t, bool *ret_stopping)
{
    struct scorer *s = t->owner;
    pthread_mutex_lock(&s->mu);
    while (!s->count && !s->stopping)
        pthread_cond_wait(&s->filled, &s->mu);
    int share = (s->count + s->options.threads - 1) / s->options.threads;
    int most = share < s->options.max_batch ? share : s->options.max_batch;
    int got = take_waiting(s, t->batch, 0, most);
    if (got && got < s->options.max_batch && s->options.max_delay_us)
        got = wait_for_more(s, t->batch, got);
    *ret_stopping = s->stopping;
    pthread_mutex_unlock(&s->mu);
    return got;
}

static void *run(void *context)
{
    struct thread *t = context;
    char name[16];
    snprintf(name, sizeof name, "%s-%d", t->owner->options.nice ? "mirror" : "score", t->number);
    pthread_setname_np(pthread_self(), name);
    if (t->owner->options.nice) /* a thread has its own on Linux; to lower it cannot fail */
        setpriority(PRIO_PROCESS, (id_t)gettid(), t->owner->options.nice);

    bool stopping = false;
    for (int got; (got = take(t, &stopping));) {
        meter_observe(t->owner->options.meters, SCORE_BATCH_PICTURES,
                      (const char *[]){ serve_ref_model(t->batch[0].q.ref) }, (uint64_t)got);
        for (int i = 0; i < got; i++)
            answer(t, &t->batch[i], stopping);
    }
    return NULL;
}

static enum err_code refuse(struct scorer *s, bool stopping, struct err *e)
{
    meter_add(s->options.meters, SCORE_DROPPED, (const char *[]){ err_slug(ERR_BUSY) }, 1);
    if (stopping)
        return err_set(e, ERR_BUSY, "the daemon is stopping");
    return err_set(e, ERR_BUSY, "the limit of %d pictures waiting to be scored is reached",
                   s->options.queue);
}

enum err_code scorer_submit(struct scorer *s, const struct score_request *q, struct err *e)
{
    struct waiting w = { .q = *q, .submitted_us = clock_monotonic_us() };
    pthread_mutex_lock(&s->mu);
    bool stopping = s->stopping, full = s->count == s->options.queue;
    if (!stopping && !full) {
        s->ring[(s->head + s->count) % s->options.queue] = w;
        s->count++;
        pthread_cond_signal(&s->filled);
    }
    pthread_mutex_unlock(&s->mu);
    return stopping || full ? refuse(s, stopping, e) : ERR_OK;
}

int scorer_depth(struct scorer *s)
{
    pthread_mutex_lock(&s->mu);
    int depth = s->count;
    pthread_mutex_unlock(&s->mu);
    return depth;
}

static enum err_code start_thread(struct scorer *s, struct err *e)
{
    struct thread *t = &s->threads[s->started];
    *t = (struct thread){ .owner = s, .number = s->started };
    t->batch = calloc((size_t)s->options.max_batch, sizeof *t->batch);
    if (!t->batch)
        return err_set(e, ERR_NOMEM, "no memory for scoring thread %d", s->started);
    int failed = pthread_create(&t->id, NULL, run, t);
    if (failed) {
        free(t->batch);
        return err_errno(e, failed, "cannot start scoring thread %d", s->started);
    }
    s->started++;
    return ERR_OK;
}

CLEANUP_DEFINE(struct scorer, scorer_free);

enum err_code scorer_new(const struct scorer_options *o, struct scorer **ret, struct err *e)
{
    if (o->threads < 1 || o->queue < 1)
        return err_set(e, ERR_FIELD_RANGE,
                       "a scorer needs at least 1 thread and 1 place to wait, not %d and %d",
                       o->threads, o->queue);
    CLEANUP(scorer_free_p) struct scorer *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a scorer");
    s->options = *o;
    if (s->options.max_batch < 1)
        s->options.max_batch = 1;
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->filled, NULL);
    s->ring = calloc((size_t)o->queue, sizeof *s->ring);
    s->threads = calloc((size_t)o->threads, sizeof *s->threads);
    if (!s->ring || !s->threads)
        return err_set(e, ERR_NOMEM, "no memory for %d scoring threads and %d places to wait",
                       o->threads, o->queue);
    while (s->started < o->threads) {
        enum err_code r = start_thread(s, e);
        if (r)
            return r;
    }
    *ret = STEAL(s);
    return ERR_OK;
}

void scorer_free(struct scorer *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->mu);
    s->stopping = true;
    pthread_cond_broadcast(&s->filled);
    pthread_mutex_unlock(&s->mu);
    for (int i = 0; i < s->started; i++) {
        pthread_join(s->threads[i].id, NULL);
        drop_room(&s->threads[i]);
        free(s->threads[i].batch);
    }
    pthread_cond_destroy(&s->filled);
    pthread_mutex_destroy(&s->mu);
    free(s->threads);
    free(s->ring);
    free(s);
}

/* DESIGN
 *
 *   submit -> [ ring of `queue` requests ] -> `threads` scoring threads -> done()
 *
 * One mutex guards the ring and the stop flag, held for a copy of one request; decoding, the
 * network and done() run without it. A thread that finds the stop flag answers what is left with
 * ERR_CANCELLED, so every accepted request is told exactly once, on a scoring thread. */
#include "daemon/scorer.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"

#include <pthread.h>
#include <string.h>

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
};

struct scorer {
    struct scorer_options options;
    struct thread *threads;
    int started; /* threads that run; changed by the constructor alone */

    pthread_mutex_t mu;
    pthread_cond_t filled;
    struct score_request *ring; /* guarded by mu, as is all below */
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

static enum err_code score(struct thread *t, const struct score_request *q,
                           struct score_result *result)
{
    const struct classifier *c = serve_ref_classifier(q->ref);
    int classes = classifier_classes(c);
    enum err_code r = make_room(t, classes, &result->err);
    if (r)
        return r;
    struct serve_scratch *scratch = NULL;
    r = serve_scratch_borrow(q->ref, &scratch, &result->err);
    if (r)
        return r;
    if (q->input == SCORE_TENSOR)
        r = classifier_score_tensor(c, serve_scratch_classifier(scratch), q->bytes,
                                    t->probabilities, &result->err);
    else
        r = classifier_score(c, serve_scratch_classifier(scratch), q->bytes, q->len,
                             &t->owner->options.limits, t->probabilities, &result->err);
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

static void answer(struct thread *t, const struct score_request *q, bool stopping)
{
    struct score_result result = { .model = serve_ref_model(q->ref),
                                   .version = serve_ref_version(q->ref) };
    if (stopping)
        result.code = err_set(&result.err, ERR_CANCELLED, "the daemon is stopping");
    else if (q->deadline_us && clock_monotonic_us() > q->deadline_us)
        result.code = err_set(&result.err, ERR_DEADLINE,
                              "the picture waited longer than its deadline; it was not scored");
    else
        result.code = score(t, q, &result);
    q->done(q->context, &result);
    serve_release(q->ref);
}

static void *run(void *context)
{
    struct thread *t = context;
    struct scorer *s = t->owner;
    char name[16];
    snprintf(name, sizeof name, "score-%d", t->number);
    pthread_setname_np(pthread_self(), name);

    for (;;) {
        pthread_mutex_lock(&s->mu);
        while (!s->count && !s->stopping)
            pthread_cond_wait(&s->filled, &s->mu);
        bool stopping = s->stopping, found = s->count > 0;
        struct score_request q = { 0 };
        if (found) {
            q = s->ring[s->head];
            s->head = (s->head + 1) % s->options.queue;
            s->count--;
        }
        pthread_mutex_unlock(&s->mu);
        if (!found)
            return NULL;
        answer(t, &q, stopping);
    }
}

enum err_code scorer_submit(struct scorer *s, const struct score_request *q, struct err *e)
{
    pthread_mutex_lock(&s->mu);
    bool stopping = s->stopping, full = s->count == s->options.queue;
    if (!stopping && !full) {
        s->ring[(s->head + s->count) % s->options.queue] = *q;
        s->count++;
        pthread_cond_signal(&s->filled);
    }
    pthread_mutex_unlock(&s->mu);
    if (stopping)
        return err_set(e, ERR_BUSY, "the daemon is stopping");
    if (full)
        return err_set(e, ERR_BUSY, "the limit of %d pictures waiting to be scored is reached",
                       s->options.queue);
    return ERR_OK;
}

static enum err_code start_thread(struct scorer *s, struct err *e)
{
    struct thread *t = &s->threads[s->started];
    *t = (struct thread){ .owner = s, .number = s->started };
    int failed = pthread_create(&t->id, NULL, run, t);
    if (failed)
        return err_errno(e, failed, "cannot start scoring thread %d", s->started);
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
    }
    pthread_cond_destroy(&s->filled);
    pthread_mutex_destroy(&s->mu);
    free(s->threads);
    free(s->ring);
    free(s);
}

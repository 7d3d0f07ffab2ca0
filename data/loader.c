/* Positions of an epoch are given to the threads in order; position / batch is the step, and step s
 * is made in slot s % slots. A slot is free once the consumer has gone on from what stood in it:
 *
 *   released | at: the consumer has it or gets it | ready or being made | next: to be made
 *              <--------------- at most `slots` steps --------------->
 *
 * The thread that makes the last item of a batch mixes it. */
#include "data/loader.h"

#include "data/mix.h"
#include "data/random.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_ORDER = 2, AHEAD_MAX = 64, THREADS_MAX = 256, BATCH_MAX = 1 << 16 };

struct slot {
    float *pictures, *targets, *spare; /* owned; spare is for mixing */
    size_t *items;                     /* owned */
    int count, left;                   /* guarded by mu: items, and how many are not yet made */
    bool ready;                        /* guarded by mu */
    int failed;                        /* guarded by mu: the place of error, count: none */
    struct err error;                  /* guarded by mu */
};

struct worker {
    struct loader *loader;
    pthread_t thread;
    struct augment_scratch *scratch; /* owned */
    struct buf file;                 /* owned */
    size_t bytes;                    /* guarded by mu: of the two */
};

struct loader {
    struct loader_options o; /* preprocess and augment point to the copies below */
    struct preprocess pre;
    struct augment augment;
    size_t picture; /* floats */
    int64_t steps;
    size_t end; /* positions of an epoch that are in a batch */
    struct slot *slots;
    int slot_count;
    struct worker *workers;
    int started;

    pthread_mutex_t mu;
    pthread_cond_t work;  /* a slot became free, or stop */
    pthread_cond_t ready; /* a slot became ready, or busy became 0 */
    bool stop, paused;    /* guarded by mu */
    bool held;            /* the consumer's: it has what is at `at` */
    struct err failed;    /* the consumer's: comes back until a seek; 0: none */
    int64_t epoch;        /* guarded by mu */
    int64_t at;           /* guarded by mu: the step that the consumer has or gets next */
    size_t next;          /* guarded by mu: the position that a thread takes next */
    int busy;             /* guarded by mu: threads making an item */
};

static size_t batch_of(const struct loader *l)
{
    return (size_t)l->o.batch;
}

static bool may_take(const struct loader *l)
{
    return !l->paused && l->next < l->end &&
           (int64_t)(l->next / batch_of(l)) < l->at + l->slot_count;
}

static void begin_slot(struct loader *l, struct slot *s, size_t first)
{
    size_t rest = l->end - first;
    s->count = rest < batch_of(l) ? (int)rest : l->o.batch;
    s->left = s->count;
    s->failed = s->count;
}

/* One item: its file, its pixels, its target. */
static enum err_code make(struct worker *w, struct slot *s, int place, size_t item, int64_t epoch,
                          struct err *e)
{
    const struct loader_options *o = &w->loader->o;
    s->items[place] = item;
    float *target = s->targets + (size_t)place * (size_t)o->classes;
    float even = o->smoothing / (float)o->classes;
    for (int c = 0; c < o->classes; c++)
        target[c] = even;
    target[o->labels[item]] = 1.0F - o->smoothing + even;

    buf_reset(&w->file);
    struct err error = { 0 };
    enum err_code code = o->fetch(o->context, item, &w->file, &error);
    if (code == ERR_OK)
        code = augment_file(o->augment, o->preprocess, w->scratch, w->file.data, w->file.len,
                            &o->limits, o->seed, (uint64_t)epoch, item,
                            s->pictures + (size_t)place * w->loader->picture, &error);
    if (code != ERR_OK)
        return err_set(e, code, "item %zu: %s", item, error.message);
    return ERR_OK;
}

static void mix(struct loader *l, struct slot *s, int count, int64_t epoch, size_t step)
{
    if (l->o.augment)
        mix_batch(l->o.augment, l->o.seed, (uint64_t)epoch, step, count, l->pre.size, l->o.classes,
                  s->pictures, s->targets, s->spare);
}

/* Called and returns with mu held. */
static void take(struct worker *w)
{
    struct loader *l = w->loader;
    size_t position = l->next++, step = position / batch_of(l);
    int place = (int)(position % batch_of(l));
    int64_t epoch = l->epoch;
    struct slot *s = &l->slots[step % (size_t)l->slot_count];
    if (place == 0)
        begin_slot(l, s, position);
    l->busy++;
    pthread_mutex_unlock(&l->mu);

    uint64_t order = random_stream(l->o.seed, (uint64_t)epoch, 0, STREAM_ORDER).state;
    size_t item = l->o.shuffle ? (size_t)random_permute(order, l->o.count, position) : position;
    struct err error = { 0 };
    enum err_code code = make(w, s, place, item, epoch, &error);

    pthread_mutex_lock(&l->mu);
    w->bytes = augment_scratch_bytes(w->scratch) + w->file.cap;
    if (code != ERR_OK && place < s->failed) {
        s->failed = place;
        s->error = error;
    }
    if (--s->left == 0) {
        bool whole = s->failed == s->count;
        int count = s->count;
        pthread_mutex_unlock(&l->mu);
        if (whole)
            mix(l, s, count, epoch, step);
        pthread_mutex_lock(&l->mu);
        s->ready = true;
        pthread_cond_signal(&l->ready);
    }
    if (--l->busy == 0)
        pthread_cond_signal(&l->ready);
}

static void *work(void *context)
{
    struct worker *w = context;
    struct loader *l = w->loader;
    pthread_mutex_lock(&l->mu);
    while (!l->stop) {
        if (may_take(l))
            take(w);
        else
            pthread_cond_wait(&l->work, &l->mu);
    }
    pthread_mutex_unlock(&l->mu);
    return NULL;
}

static enum err_code check(const struct loader_options *o, struct err *e)
{
    const struct {
        const char *name;
        int value, low, high;
    } fields[] = {
        { "batch", o->batch, 1, BATCH_MAX },
        { "ahead", o->ahead, 1, AHEAD_MAX },
        { "threads", o->threads, 1, THREADS_MAX },
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].value < fields[i].low || fields[i].value > fields[i].high)
            return err_set(e, ERR_FIELD_RANGE, "loader: %s must be within %d..%d, is %d",
                           fields[i].name, fields[i].low, fields[i].high, fields[i].value);
    if (!(o->smoothing >= 0 && o->smoothing <= 1))
        return err_set(e, ERR_FIELD_RANGE, "loader: smoothing must be within 0..1, is %g",
                       (double)o->smoothing);
    if (o->count < (o->drop_last ? (size_t)o->batch : 1))
        return err_set(e, ERR_FIELD_RANGE, "loader: %zu items do not make one batch", o->count);
    for (size_t i = 0; i < o->count; i++)
        if (o->labels[i] < 0 || o->labels[i] >= o->classes)
            return err_set(e, ERR_FIELD_RANGE, "loader: item %zu has label %d of %d classes", i,
                           o->labels[i], o->classes);
    enum err_code code = preprocess_check(o->preprocess, e);
    return code == ERR_OK && o->augment ? augment_check(o->augment, e) : code;
}

static enum err_code make_slots(struct loader *l, struct err *e)
{
    size_t batch = batch_of(l), classes = (size_t)l->o.classes;
    l->slots = calloc((size_t)l->slot_count, sizeof *l->slots);
    for (int i = 0; l->slots && i < l->slot_count; i++) {
        struct slot *s = &l->slots[i];
        s->pictures = calloc(batch * l->picture, sizeof *s->pictures);
        s->targets = calloc(batch * classes, sizeof *s->targets);
        s->spare = calloc(l->picture > classes ? l->picture : classes, sizeof *s->spare);
        s->items = calloc(batch, sizeof *s->items);
        if (!s->pictures || !s->targets || !s->spare || !s->items)
            return err_set(e, ERR_NOMEM, "no memory for %d batches of %d pictures", l->slot_count,
                           l->o.batch);
    }
    return l->slots ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for %d batches", l->slot_count);
}

static enum err_code make_workers(struct loader *l, struct err *e)
{
    l->workers = calloc((size_t)l->o.threads, sizeof *l->workers);
    if (!l->workers)
        return err_set(e, ERR_NOMEM, "no memory for %d loader threads", l->o.threads);
    for (int i = 0; i < l->o.threads; i++) {
        struct worker *w = &l->workers[i];
        w->loader = l;
        buf_init(&w->file, l->o.max_bytes);
        enum err_code code = augment_scratch_new(&w->scratch, e);
        if (code != ERR_OK)
            return code;
    }
    for (; l->started < l->o.threads; l->started++) {
        struct worker *w = &l->workers[l->started];
        int failed = pthread_create(&w->thread, NULL, work, w);
        if (failed)
            return err_errno(e, failed, "starting loader thread %d of %d", l->started + 1,
                             l->o.threads);
        pthread_setname_np(w->thread, "loader");
    }
    return ERR_OK;
}

enum err_code loader_new(const struct loader_options *o, struct loader **ret, struct err *e)
{
    enum err_code code = check(o, e);
    if (code != ERR_OK)
        return code;
    struct loader *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NOMEM, "no memory for a loader");
    l->o = *o;
    l->pre = *o->preprocess;
    l->o.preprocess = &l->pre;
    if (o->augment) {
        l->augment = *o->augment;
        l->o.augment = &l->augment;
    }
    l->picture = 3 * (size_t)l->pre.size * (size_t)l->pre.size;
    size_t batch = batch_of(l);
    l->steps = (int64_t)((o->drop_last ? o->count : o->count + batch - 1) / batch);
    l->end = o->drop_last ? (size_t)l->steps * batch : o->count;
    l->slot_count = o->ahead + 1;
    pthread_mutex_init(&l->mu, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);

    code = make_slots(l, e);
    if (code == ERR_OK)
        code = make_workers(l, e);
    if (code != ERR_OK) {
        loader_free(l);
        return code;
    }
    *ret = l;
    return ERR_OK;
}

void loader_free(struct loader *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->mu);
    l->stop = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->mu);
    for (int i = 0; i < l->started; i++)
        pthread_join(l->workers[i].thread, NULL);
    for (int i = 0; l->workers && i < l->o.threads; i++) {
        augment_scratch_free(l->workers[i].scratch);
        buf_fini(&l->workers[i].file);
    }
    for (int i = 0; l->slots && i < l->slot_count; i++) {
        free(l->slots[i].pictures);
        free(l->slots[i].targets);
        free(l->slots[i].spare);
        free(l->slots[i].items);
    }
    pthread_cond_destroy(&l->ready);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->mu);
    free(l->workers);
    free(l->slots);
    free(l);
}

int64_t loader_steps(const struct loader *l)
{
    return l->steps;
}

size_t loader_bytes(struct loader *l)
{
    size_t classes = (size_t)l->o.classes, spare = l->picture > classes ? l->picture : classes;
    size_t slot = sizeof(struct slot) + batch_of(l) * sizeof(size_t) +
                  (batch_of(l) * (l->picture + classes) + spare) * sizeof(float);
    size_t bytes =
        sizeof *l + (size_t)l->slot_count * slot + (size_t)l->o.threads * sizeof(struct worker);
    pthread_mutex_lock(&l->mu);
    for (int i = 0; i < l->o.threads; i++)
        bytes += l->workers[i].bytes;
    pthread_mutex_unlock(&l->mu);
    return bytes;
}

enum err_code loader_seek(struct loader *l, int64_t epoch, int64_t step, struct err *e)
{
    if (epoch < 0 || step < 0 || step > l->steps)
        return err_set(e, ERR_FIELD_RANGE,
                       "loader: epoch %" PRId64 " has no step %" PRId64 " of %" PRId64, epoch, step,
                       l->steps);
    pthread_mutex_lock(&l->mu);
    l->paused = true;
    while (l->busy > 0)
        pthread_cond_wait(&l->ready, &l->mu);
    for (int i = 0; i < l->slot_count; i++)
        l->slots[i].ready = false;
    l->epoch = epoch;
    l->at = step;
    l->next = (size_t)step * batch_of(l);
    l->held = false;
    l->failed = (struct err){ 0 };
    l->paused = false;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->mu);
    return ERR_OK;
}

enum err_code loader_next(struct loader *l, struct loader_batch *ret, struct err *e)
{
    if (l->failed.code != ERR_OK)
        return err_set(e, l->failed.code, "%s", l->failed.message);
    pthread_mutex_lock(&l->mu);
    if (l->held) {
        l->slots[l->at++ % l->slot_count].ready = false;
        l->held = false;
        pthread_cond_broadcast(&l->work);
    }
    bool ended = l->at >= l->steps;
    struct slot *s = &l->slots[l->at % l->slot_count];
    while (!ended && !s->ready)
        pthread_cond_wait(&l->ready, &l->mu);
    if (!ended && s->failed < s->count)
        l->failed = s->error;
    l->held = !ended;
    pthread_mutex_unlock(&l->mu);
    if (l->failed.code != ERR_OK)
        return err_set(e, l->failed.code, "%s", l->failed.message);
    *ret = (struct loader_batch){ 0 };
    if (!ended)
        *ret = (struct loader_batch){
            .count = s->count, .pictures = s->pictures, .targets = s->targets, .items = s->items
        };
    return ERR_OK;
}

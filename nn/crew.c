#include "nn/crew.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"

#include <pthread.h>
#include <stdint.h>

enum { WATCH_MS = 100 };

struct crew {
    const struct crew_options *options;
    atomic_bool stop;
    pthread_mutex_t mu;
    pthread_cond_t changed; /* running or done changed */
    size_t next, done;      /* guarded by mu */
    int running, workers;   /* guarded by mu */
    size_t failed;          /* guarded by mu: the task of error */
    struct err error;       /* guarded by mu */
};

static void note_error(struct crew *c, size_t task, const struct err *error)
{
    atomic_store(&c->stop, true);
    /* A task that was only told to stop does not hide why. */
    bool better = !c->error.code || c->error.code == ERR_CANCELLED ||
                  (error->code != ERR_CANCELLED && task < c->failed);
    if (!better)
        return;
    c->error = *error;
    c->failed = task;
}

static void *work(void *context)
{
    struct crew *c = context;
    const struct crew_options *o = c->options;
    pthread_mutex_lock(&c->mu);
    int worker = c->workers++;
    while (c->next < o->tasks && !atomic_load(&c->stop)) {
        size_t task = c->next++;
        pthread_mutex_unlock(&c->mu);
        struct err error = { 0 };
        enum err_code r = o->task(o->context, worker, task, &c->stop, &error);
        pthread_mutex_lock(&c->mu);
        if (r) {
            error.code = r;
            note_error(c, task, &error);
        } else {
            c->done++;
            pthread_cond_signal(&c->changed);
        }
    }
    c->running--;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->mu);
    return NULL;
}

static void watch(struct crew *c)
{
    const struct crew_options *o = c->options;
    pthread_mutex_lock(&c->mu);
    while (c->running > 0) {
        (void)clock_wait(&c->changed, &c->mu, clock_monotonic_us() + WATCH_MS * 1000);
        size_t done = c->done;
        bool ended = c->running == 0;
        pthread_mutex_unlock(&c->mu);
        if (!ended && o->progress && o->progress(o->context, done, o->tasks))
            atomic_store(&c->stop, true);
        pthread_mutex_lock(&c->mu);
    }
    pthread_mutex_unlock(&c->mu);
}

static enum err_code start(struct crew *c, pthread_t *threads, int count, int *ret_started,
                           struct err *e)
{
    for (int i = 0; i < count; i++) {
        pthread_mutex_lock(&c->mu);
        c->running++;
        pthread_mutex_unlock(&c->mu);
        int r = pthread_create(&threads[i], NULL, work, c);
        if (r) {
            pthread_mutex_lock(&c->mu);
            c->running--;
            pthread_mutex_unlock(&c->mu);
            atomic_store(&c->stop, true);
            return err_errno(e, r, "starting thread %s %d of %d", c->options->name, i + 1, count);
        }
        pthread_setname_np(threads[i], c->options->name);
        *ret_started = i + 1;
    }
    return ERR_OK;
}

enum err_code crew_run(const struct crew_options *o, struct err *e)
{
    struct crew c = { .options = o };
    int count = (size_t)o->threads < o->tasks ? o->threads : (int)o->tasks, started = 0;
    CLEANUP(cleanup_free) pthread_t *threads = calloc((size_t)count + 1, sizeof *threads);
    if (!threads)
        return err_set(e, ERR_NOMEM, "no memory for %d threads", count);
    pthread_mutex_init(&c.mu, NULL);
    pthread_cond_init(&c.changed, NULL);

    enum err_code r = start(&c, threads, count, &started, e);
    watch(&c);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&c.changed);
    pthread_mutex_destroy(&c.mu);
    if (r)
        return r;
    if (c.error.code) {
        if (e)
            *e = c.error;
        return c.error.code;
    }
    if (c.done < o->tasks)
        return err_set(e, ERR_CANCELLED, "cancelled after %zu of %zu", c.done, o->tasks);
    /* The last report; a wish to stop comes too late for what is done. */
    if (o->progress)
        (void)o->progress(o->context, o->tasks, o->tasks);
    return ERR_OK;
}

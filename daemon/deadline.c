#include "daemon/deadline.h"

#include "data/base/cleanup.h"

#include <pthread.h>
#include <time.h>

struct deadline {
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool stopped; /* guarded by mu */
    struct timespec at;
    void (*passed)(void *context);
    void *context;
};

static void *wait_for_it(void *context)
{
    struct deadline *d = context;
    int over = 0;
    pthread_mutex_lock(&d->mu);
    while (!d->stopped && !over)
        over = pthread_cond_timedwait(&d->changed, &d->mu, &d->at);
    bool passed = !d->stopped;
    pthread_mutex_unlock(&d->mu);
    if (passed)
        d->passed(d->context);
    return NULL;
}

enum err_code deadline_start(int seconds, void (*passed)(void *context), void *context,
                             struct deadline **ret, struct err *e)
{
    CLEANUP(cleanup_free) struct deadline *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(e, ERR_NOMEM, "no memory for a deadline");
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&d->mu, NULL);
    pthread_cond_init(&d->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    clock_gettime(CLOCK_MONOTONIC, &d->at);
    d->at.tv_sec += seconds;
    d->passed = passed;
    d->context = context;
    int failed = pthread_create(&d->thread, NULL, wait_for_it, d);
    if (failed) {
        pthread_cond_destroy(&d->changed);
        pthread_mutex_destroy(&d->mu);
        return err_errno(e, failed, "cannot start the thread that keeps the time");
    }
    pthread_setname_np(d->thread, "kennel-deadline");
    *ret = STEAL(d);
    return ERR_OK;
}

void deadline_stop(struct deadline *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->mu);
    d->stopped = true;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->mu);
    pthread_join(d->thread, NULL);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->mu);
    free(d);
}

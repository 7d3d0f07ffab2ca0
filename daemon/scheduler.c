#include "daemon/scheduler.h"

#include "daemon/bell.h"
#include "daemon/db.h"
#include "daemon/gc.h"
#include "daemon/schedules.h"
#include "data/base/clock.h"
#include "data/base/log.h"

#include <pthread.h>
#include <stdlib.h>

/* A wall clock that is set is noticed within the longest sleep. */
enum { SLEEP_MAX_MS = 60000, FAULT_MS = 1000, COLLECT_MS = 3600000 };

struct scheduler {
    struct state *state;
    struct jobs *jobs;
    pthread_t thread;
    bool started, rings;
    int64_t collect_ms; /* the thread's: when retention is next looked at, monotonic */
    pthread_mutex_t mu;
    pthread_cond_t wanted;
    bool stopping, rung; /* guarded by mu */
};

/* With the lock held. */
static void sleep_for(struct scheduler *s, int64_t ms)
{
    int64_t until = clock_monotonic_us() + ms * 1000;
    while (!s->stopping && !s->rung && clock_wait(&s->wanted, &s->mu, until))
        continue;
}

/* At the start, then every hour. One that fails is tried again with the next. */
static void collect(struct scheduler *s)
{
    struct err e;
    int64_t now = clock_monotonic_us() / 1000;
    if (now < s->collect_ms)
        return;
    s->collect_ms = now + COLLECT_MS;
    if (gc_run_due(s->state, &e))
        log_event("error", "retention", "code", err_slug(e.code), "message", e.message, NULL);
}

/* How long to sleep. */
static int64_t work(struct scheduler *s)
{
    struct err e;
    int64_t now = clock_utc_ms(), next = 0;
    collect(s);
    if (schedules_run(s->state, s->jobs, now, &next, &e)) {
        log_event("error", "schedules", "code", err_slug(e.code), "message", e.message, NULL);
        return FAULT_MS;
    }
    if (next <= now)
        return 0;
    return next - now < SLEEP_MAX_MS ? next - now : SLEEP_MAX_MS;
}

static void *run(void *context)
{
    struct scheduler *s = context;
    pthread_mutex_lock(&s->mu);
    while (!s->stopping) {
        s->rung = false;
        pthread_mutex_unlock(&s->mu);
        int64_t ms = work(s);
        pthread_mutex_lock(&s->mu);
        sleep_for(s, ms);
    }
    pthread_mutex_unlock(&s->mu);
    return NULL;
}

static void on_ring(void *context)
{
    struct scheduler *s = context;
    pthread_mutex_lock(&s->mu);
    s->rung = true;
    pthread_cond_signal(&s->wanted);
    pthread_mutex_unlock(&s->mu);
}

enum err_code scheduler_new(struct state *state, struct jobs *jobs, struct scheduler **ret,
                            struct err *e)
{
    struct scheduler *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for the scheduler");
    s->state = state;
    s->jobs = jobs;
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->wanted, NULL);
    enum err_code r = bell_add(db_bell(state_db(state)), on_ring, s, e);
    s->rings = !r;
    int error = r ? 0 : pthread_create(&s->thread, NULL, run, s);
    if (error)
        r = err_errno(e, error, "cannot start the scheduler");
    if (r) {
        scheduler_free(s);
        return r;
    }
    s->started = true;
    pthread_setname_np(s->thread, "scheduler");
    *ret = s;
    return ERR_OK;
}

void scheduler_free(struct scheduler *s)
{
    if (!s)
        return;
    if (s->rings)
        bell_remove(db_bell(state_db(s->state)), on_ring, s);
    if (s->started) {
        pthread_mutex_lock(&s->mu);
        s->stopping = true;
        pthread_cond_signal(&s->wanted);
        pthread_mutex_unlock(&s->mu);
        pthread_join(s->thread, NULL);
    }
    pthread_cond_destroy(&s->wanted);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

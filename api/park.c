#include "api/park.h"

#include "data/base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Progress lines come in bursts; visits of one burst are made together. */
enum { PAUSE_US = 20 * 1000 };

struct parked {
    struct parked *next;
    park_visit visit;
    void *context;
    int64_t deadline_us;
    bool changed;
    char key[PARK_KEY + 1];
};

struct park {
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t wanted;

    /* guarded by mu */
    struct parked *all;
    bool changed, stopping, stopped;
};

/* Takes those out of the list that are to be visited now. */
static struct parked *pick(struct park *p, int64_t now)
{
    struct parked *picked = NULL;
    for (struct parked **at = &p->all; *at;) {
        struct parked *one = *at;
        if (one->changed || p->stopping || one->deadline_us <= now) {
            *at = one->next;
            one->next = picked;
            one->changed = false;
            picked = one;
        } else {
            at = &one->next;
        }
    }
    p->changed = false;
    return picked;
}

static int64_t next_deadline(const struct park *p)
{
    int64_t first = INT64_MAX;
    for (const struct parked *one = p->all; one; one = one->next)
        if (one->deadline_us < first)
            first = one->deadline_us;
    return first;
}

/* With the lock held. */
static void sleep_until(struct park *p, int64_t deadline_us)
{
    if (deadline_us == INT64_MAX) {
        pthread_cond_wait(&p->wanted, &p->mu);
        return;
    }
    (void)clock_wait(&p->wanted, &p->mu, deadline_us);
}

/* A change of a visitor while it was being visited was not seen in the list: those that stay are
 * marked as changed when any notify came meanwhile. */
static void visit_all(struct park *p, struct parked *picked, int64_t now, bool stopping)
{
    struct parked *kept = NULL;
    while (picked) {
        struct parked *one = picked;
        picked = one->next;
        if (one->visit(one->context, stopping || one->deadline_us <= now)) {
            free(one);
        } else {
            one->next = kept;
            kept = one;
        }
    }
    pthread_mutex_lock(&p->mu);
    while (kept) {
        struct parked *one = kept;
        kept = one->next;
        one->changed = p->changed;
        one->next = p->all;
        p->all = one;
    }
}

static void *run(void *context)
{
    struct park *p = context;
    int64_t rest_until = 0;
    pthread_mutex_lock(&p->mu);
    while (!p->stopping || p->all) {
        int64_t now = clock_monotonic_us();
        if (p->changed && !p->stopping && now < rest_until) {
            sleep_until(p, rest_until);
            continue;
        }
        if (!p->changed && !p->stopping && next_deadline(p) > now) {
            sleep_until(p, next_deadline(p));
            continue;
        }
        rest_until = p->changed ? now + PAUSE_US : rest_until;
        bool stopping = p->stopping;
        struct parked *picked = pick(p, now);
        pthread_mutex_unlock(&p->mu);
        visit_all(p, picked, now, stopping);
    }
    pthread_mutex_unlock(&p->mu);
    return NULL;
}

enum err_code park_new(struct park **ret, struct err *e)
{
    struct park *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory to park requests");
    pthread_mutex_init(&p->mu, NULL);
    pthread_cond_init(&p->wanted, NULL);
    int error = pthread_create(&p->thread, NULL, run, p);
    if (error) {
        p->stopped = true;
        park_free(p);
        return err_errno(e, error, "cannot start the thread of waiting requests");
    }
    pthread_setname_np(p->thread, "park");
    *ret = p;
    return ERR_OK;
}

void park_stop(struct park *p)
{
    pthread_mutex_lock(&p->mu);
    bool already = p->stopped;
    p->stopping = p->stopped = true;
    pthread_cond_signal(&p->wanted);
    pthread_mutex_unlock(&p->mu);
    if (!already)
        pthread_join(p->thread, NULL);
}

void park_free(struct park *p)
{
    if (!p)
        return;
    park_stop(p);
    pthread_cond_destroy(&p->wanted);
    pthread_mutex_destroy(&p->mu);
    free(p);
}

enum err_code park_add(struct park *p, const char *key, int64_t deadline_us, park_visit visit,
                       void *context, struct err *e)
{
    size_t len = strlen(key);
    if (len > PARK_KEY)
        return err_set(e, ERR_INTERNAL, "key of %zu bytes", len);
    struct parked *one = calloc(1, sizeof *one);
    if (!one)
        return err_set(e, ERR_NOMEM, "no memory to park a request");
    one->visit = visit;
    one->context = context;
    one->deadline_us = deadline_us;
    one->changed = true;
    memcpy(one->key, key, len + 1);

    pthread_mutex_lock(&p->mu);
    if (p->stopping) {
        pthread_mutex_unlock(&p->mu);
        free(one);
        return err_set(e, ERR_BUSY, "the server is stopping");
    }
    one->next = p->all;
    p->all = one;
    p->changed = true;
    pthread_cond_signal(&p->wanted);
    pthread_mutex_unlock(&p->mu);
    return ERR_OK;
}

void park_notify(struct park *p, const char *key)
{
    pthread_mutex_lock(&p->mu);
    for (struct parked *one = p->all; one; one = one->next)
        if (strcmp(one->key, key) == 0)
            one->changed = true;
    /* Whose key it is may be out of the list, being visited: p->changed tells that as well. */
    p->changed = true;
    pthread_cond_signal(&p->wanted);
    pthread_mutex_unlock(&p->mu);
}

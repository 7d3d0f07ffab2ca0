#include "daemon/traffic.h"

#include "data/base/cleanup.h"
#include "data/base/digest.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 10000, LOW_PRIORITY = 19 };

/* One model's split; immutable but for percent and dropped. */
struct route {
    struct traffic_split split;
    int64_t dropped;
    struct route *next;
};

struct traffic {
    struct traffic_options options;
    struct scorer *mirror;
    atomic_int routed;     /* models with a split: none costs no lock */
    atomic_size_t waiting; /* bytes */

    pthread_mutex_t mu;
    struct route *routes; /* guarded by mu */
};

/* A picture on its way through the mirror. */
struct mirrored {
    struct traffic *owner;
    struct traffic_seen seen;
    size_t len;
    unsigned char bytes[];
};

static void route_free(struct route *r)
{
    if (!r)
        return;
    serve_release(r->split.production);
    serve_release(r->split.canary);
    serve_release(r->split.shadow);
    free(r);
}

/* Holds mu. */
static struct route **find(struct traffic *t, const char *model)
{
    struct route **at = &t->routes;
    while (*at && strcmp(serve_ref_model((*at)->split.production), model) != 0)
        at = &(*at)->next;
    return at;
}

enum err_code traffic_set(struct traffic *t, const struct traffic_split *split, struct err *e)
{
    struct route *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory for a rollout's traffic");
    r->split = *split;
    pthread_mutex_lock(&t->mu);
    struct route **at = find(t, serve_ref_model(split->production));
    struct route *old = *at;
    r->next = old ? old->next : NULL;
    *at = r;
    if (!old)
        atomic_fetch_add(&t->routed, 1);
    pthread_mutex_unlock(&t->mu);
    route_free(old);
    return ERR_OK;
}

void traffic_clear(struct traffic *t, const char *model)
{
    pthread_mutex_lock(&t->mu);
    struct route **at = find(t, model);
    struct route *old = *at;
    if (old) {
        *at = old->next;
        atomic_fetch_sub(&t->routed, 1);
    }
    pthread_mutex_unlock(&t->mu);
    route_free(old);
}

void traffic_percent(struct traffic *t, const char *model, int percent)
{
    pthread_mutex_lock(&t->mu);
    struct route *r = *find(t, model);
    if (r)
        r->split.percent = percent;
    pthread_mutex_unlock(&t->mu);
}

int64_t traffic_dropped(struct traffic *t, const char *model)
{
    pthread_mutex_lock(&t->mu);
    const struct route *r = *find(t, model);
    int64_t dropped = r ? r->dropped : 0;
    pthread_mutex_unlock(&t->mu);
    return dropped;
}

/* The rollout is part of the hash, so that it is not always the same clients who come first. */
bool traffic_includes(int64_t rollout, const char *key, int percent)
{
    uint32_t bucket = arc4random_uniform(BUCKETS);
    if (key) {
        char text[512];
        struct digest d;
        int len = snprintf(text, sizeof text, "%" PRId64 "/%s", rollout, key);
        size_t used = (size_t)len < sizeof text ? (size_t)len : sizeof text - 1;
        uint64_t number = 0;
        if (digest_of(text, used, &d, NULL))
            return false;
        for (int i = 0; i < 8; i++)
            number = number << 8 | d.bytes[i];
        bucket = (uint32_t)(number % BUCKETS);
    }
    return (int64_t)bucket < (int64_t)percent * (BUCKETS / 100);
}

struct serve_ref *traffic_route(struct traffic *t, struct serve_ref *production, const char *key)
{
    if (!atomic_load(&t->routed))
        return production;
    struct serve_ref *canary = NULL;
    int64_t rollout = 0;
    int percent = 0;
    pthread_mutex_lock(&t->mu);
    const struct route *r = *find(t, serve_ref_model(production));
    /* A promotion on the way ends the rollout. */
    if (r && r->split.canary &&
        serve_ref_version(r->split.production) == serve_ref_version(production)) {
        rollout = r->split.rollout;
        percent = r->split.percent;
        canary = r->split.canary;
        serve_share(canary);
    }
    pthread_mutex_unlock(&t->mu);
    if (!canary)
        return production;
    bool in = traffic_includes(rollout, key, percent);
    serve_release(in ? production : canary);
    return in ? canary : production;
}

/* -- the mirror ----------------------------------------------------------------------------------
 */

static void fill_side(struct traffic_side *side, const struct score_result *r)
{
    *side = (struct traffic_side){ .code = r->code, .version = r->version };
    if (!r->code && r->count)
        snprintf(side->label, sizeof side->label, "%s", r->predictions[0].label);
    if (r->times.computed > r->times.taken)
        side->us = r->times.computed - r->times.taken;
}

static void done(void *context, const struct score_result *result)
{
    struct mirrored *m = context;
    struct traffic *t = m->owner;
    atomic_fetch_sub(&t->waiting, m->len);
    fill_side(&m->seen.second, result);
    if (result->code != ERR_CANCELLED)
        t->options.see(t->options.context, &m->seen);
    free(m);
}

/* False when it finds no place. Takes ref if it finds one. */
static bool mirror(struct traffic *t, const struct traffic_answer *a,
                   const struct traffic_seen *seen, struct serve_ref *ref)
{
    if (atomic_fetch_add(&t->waiting, a->len) + a->len > TRAFFIC_BYTES) {
        atomic_fetch_sub(&t->waiting, a->len);
        return false;
    }
    struct mirrored *m = malloc(sizeof *m + a->len);
    struct score_request q = {
        .ref = ref, .input = a->input, .len = a->len, .top = 1, .done = done, .context = m
    };
    if (m) {
        *m = (struct mirrored){ .owner = t, .seen = *seen, .len = a->len };
        memcpy(m->bytes, a->bytes, a->len);
        q.bytes = m->bytes;
    }
    if (m && scorer_submit(t->mirror, &q, NULL) == ERR_OK)
        return true;
    atomic_fetch_sub(&t->waiting, a->len);
    free(m);
    return false;
}

/* What the picture itself, the client or the load is to blame for says nothing of a version. */
static bool says_something(enum err_code code)
{
    return code == ERR_OK || (err_is_fault(code) && code != ERR_NOMEM);
}

/* The version that is to answer as well, borrowed; NULL: none. */
static struct serve_ref *find_second(struct traffic *t, const struct score_result *result,
                                     int64_t *ret_rollout)
{
    struct serve_ref *second = NULL;
    pthread_mutex_lock(&t->mu);
    const struct route *r = *find(t, result->model);
    *ret_rollout = r ? r->split.rollout : 0;
    if (r && r->split.canary && result->version == serve_ref_version(r->split.canary))
        second = r->split.production;
    else if (r && result->version == serve_ref_version(r->split.production))
        second = r->split.shadow;
    if (second)
        serve_share(second);
    pthread_mutex_unlock(&t->mu);
    return second;
}

static void count_dropped(struct traffic *t, const char *model)
{
    pthread_mutex_lock(&t->mu);
    struct route *r = *find(t, model);
    if (r)
        r->dropped++;
    pthread_mutex_unlock(&t->mu);
}

void traffic_answered(struct traffic *t, const struct traffic_answer *a)
{
    if (!atomic_load(&t->routed) || !says_something(a->result->code))
        return;
    struct traffic_seen seen = { .rollout = 0 };
    struct serve_ref *second = find_second(t, a->result, &seen.rollout);
    if (!seen.rollout)
        return;
    fill_side(&seen.first, a->result);
    if (a->id)
        snprintf(seen.id, sizeof seen.id, "%s", a->id);
    t->options.see(t->options.context, &seen);
    if (second && !mirror(t, a, &seen, second)) {
        count_dropped(t, a->result->model);
        serve_release(second);
    }
}

CLEANUP_DEFINE(struct traffic, traffic_free);

enum err_code traffic_new(const struct traffic_options *o, struct traffic **ret, struct err *e)
{
    CLEANUP(traffic_free_p) struct traffic *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NOMEM, "no memory for rollouts' traffic");
    t->options = *o;
    pthread_mutex_init(&t->mu, NULL);
    const struct scorer_options mirror = { .threads = 1,
                                           .queue = TRAFFIC_QUEUE,
                                           .max_batch = 1,
                                           .nice = LOW_PRIORITY,
                                           .limits = o->limits };
    enum err_code r = scorer_new(&mirror, &t->mirror, e);
    if (!r)
        *ret = STEAL(t);
    return r;
}

void traffic_free(struct traffic *t)
{
    if (!t)
        return;
    scorer_free(t->mirror);
    while (t->routes) {
        struct route *next = t->routes->next;
        route_free(t->routes);
        t->routes = next;
    }
    pthread_mutex_destroy(&t->mu);
    free(t);
}

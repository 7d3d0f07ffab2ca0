/* DESIGN
 *
 * mu guards what is held (plan_cache.h) and every snapshot's borrow count. A borrow is a look-up
 * and an increment under it; loading and freeing, which take milliseconds, happen outside, so
 * borrowers wait for no one.
 *
 * Under a memory budget a slot may lose its snapshot. Who finds it empty loads it, one thread a
 * slot while the others wait for that one; a swap meanwhile wins over the load, because it is what
 * was committed later. */
#include "daemon/serve.h"

#include "daemon/db.h"
#include "daemon/models.h"
#include "daemon/score_meters.h"
#include "daemon/serve_parts.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"

#include <inttypes.h>
#include <string.h>

enum { RETIRE_MS = 1000 };

void serve_share(struct serve_ref *r)
{
    pthread_mutex_lock(&r->owner->mu);
    r->borrows++;
    pthread_mutex_unlock(&r->owner->mu);
}

void serve_release(struct serve_ref *r)
{
    if (!r)
        return;
    struct serve *v = r->owner;
    pthread_mutex_lock(&v->mu);
    bool last = --r->borrows == 0;
    if (r->retired && r->borrows == 1)
        pthread_cond_broadcast(&v->returned);
    pthread_mutex_unlock(&v->mu);
    if (last)
        snapshot_free(r);
}

/* Gives back what a slot held, once those who borrowed it are done, so that none of them spends a
 * request's time on freeing it: that takes milliseconds. Who takes too long does it all the same.
 */
static void retire(struct serve *v, struct serve_ref *r)
{
    if (!r)
        return;
    int64_t until = clock_monotonic_us() + RETIRE_MS * 1000;
    pthread_mutex_lock(&v->mu);
    r->retired = true;
    while (r->borrows > 1 && clock_wait(&v->returned, &v->mu, until))
        continue;
    pthread_mutex_unlock(&v->mu);
    serve_release(r);
}

void serve_drop(struct serve *v, struct serve_ref *list)
{
    while (list) {
        struct serve_ref *next = list->next_given_up;
        meter_add(v->meters, SERVE_UNLOADS, (const char *[]){ list->model }, 1);
        serve_release(list);
        list = next;
    }
}

void serve_memory(struct serve *v, int *ret_versions, uint64_t *ret_bytes)
{
    pthread_mutex_lock(&v->mu);
    *ret_bytes = plan_cache_bytes(&v->cache, ret_versions);
    pthread_mutex_unlock(&v->mu);
}

uint64_t serve_version_bytes(struct serve *v, const char *model, int64_t version)
{
    pthread_mutex_lock(&v->mu);
    const struct serve_ref *r = plan_cache_find(&v->cache, model, version);
    uint64_t bytes = r ? snapshot_bytes(r) : 0;
    pthread_mutex_unlock(&v->mu);
    return bytes;
}

void serve_swap(struct serve *v, struct serve_ref *next)
{
    pthread_mutex_lock(&v->mu);
    struct serve_slot *slot = plan_cache_slot(&v->cache, next->model);
    if (!slot) {
        slot = STEAL(next->slot);
        plan_cache_add_slot(&v->cache, slot);
    }
    struct serve_ref *old = slot->current;
    slot->current = next;
    slot->unloaded = false;
    slot->version = next->version;
    slot->failure.code = ERR_OK;
    plan_cache_use(&v->cache, next);
    struct serve_ref *given_up = NULL;
    plan_cache_trim(&v->cache, next, &given_up);
    meter_add(v->meters, SERVE_SWAPS, (const char *[]){ next->model }, 1);
    pthread_mutex_unlock(&v->mu);
    retire(v, old);
    serve_drop(v, given_up);
}

int64_t serve_stands_for(struct serve *v, const char *model)
{
    pthread_mutex_lock(&v->mu);
    const struct serve_slot *slot = plan_cache_slot(&v->cache, model);
    int64_t version = slot && !slot->failure.code ? slot->version : 0;
    pthread_mutex_unlock(&v->mu);
    return version;
}

bool serve_damaged(struct serve *v)
{
    return atomic_exchange(&v->damaged, false);
}

void serve_moves_lock(struct serve *v)
{
    pthread_mutex_lock(&v->moves);
}

void serve_moves_unlock(struct serve *v)
{
    pthread_mutex_unlock(&v->moves);
}

bool serve_ready(struct serve *v)
{
    bool ready = true;
    pthread_mutex_lock(&v->mu);
    for (const struct serve_slot *slot = v->cache.slots; slot; slot = slot->next)
        ready = ready && (!slot->failure.code || slot->unloaded);
    pthread_mutex_unlock(&v->mu);
    return ready;
}

/* Nothing of that name is in production: is it the name or the promotion that is missing? */
static enum err_code refuse_model(struct serve *v, const char *model, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    int64_t id = 0;
    enum err_code r = db_read(state_db(v->state), &t, e);
    if (!r)
        r = models_find(t, model, &id, e);
    return r ? r : err_set(e, ERR_NOT_PROMOTED, "model \"%s\" has no version in production", model);
}

/* -- production ---------------------------------------------------------------------------------
 */

/* The model's slot, or the default's where model is NULL. *ret NULL with ERR_OK: the database knows
 * why there is none. Holds mu. */
static enum err_code find_wanted(struct serve *v, const char *model, struct serve_slot **ret,
                                 struct err *e)
{
    if (!model)
        model = v->default_model;
    if (model) {
        *ret = plan_cache_slot(&v->cache, model);
        return ERR_OK;
    }
    if (!v->cache.slots)
        return err_set(e, ERR_NOT_PROMOTED, "no model has a version in production yet");
    if (v->cache.slots->next)
        return err_set(e, ERR_MODEL_AMBIGUOUS,
                       "several models are in production and none is the default: name one, or "
                       "start kenneld with --default-model");
    *ret = v->cache.slots;
    return ERR_OK;
}

static struct serve_ref *lend(struct serve *v, struct serve_ref *r)
{
    r->borrows++;
    plan_cache_use(&v->cache, r);
    return r;
}

/* Loads what the slot stands for. Holds mu, but not while it loads: a swap may come meanwhile.
 * given_up: a list for serve_drop(), once mu is free. */
static enum err_code fill(struct serve *v, struct serve_slot *slot, struct serve_ref **given_up,
                          struct err *e)
{
    struct serve_ref *loaded = NULL;
    int64_t version = slot->version;
    slot->loading = true;
    pthread_mutex_unlock(&v->mu);
    enum err_code r = serve_read(v, slot->name, version, &loaded, e);
    pthread_mutex_lock(&v->mu);
    slot->loading = false;
    pthread_cond_broadcast(&v->loaded);
    if (r)
        return r;
    if (!slot->current && !slot->failure.code && slot->version == version) {
        slot->current = STEAL(loaded);
        plan_cache_use(&v->cache, slot->current);
        plan_cache_trim(&v->cache, slot->current, given_up);
    } else {
        loaded->next_given_up = *given_up;
        *given_up = loaded;
    }
    return ERR_OK;
}

/* Holds mu; see fill(). *ret NULL with ERR_OK: there is no such slot, or it is empty and may_load
 * is false. */
static enum err_code borrow_slot(struct serve *v, const char *model, bool may_load,
                                 struct serve_ref **ret, struct serve_ref **given_up, struct err *e)
{
    struct serve_slot *slot = NULL;
    for (;;) {
        enum err_code r = find_wanted(v, model, &slot, e);
        if (r || !slot)
            return r;
        if (slot->current) {
            *ret = lend(v, slot->current);
            return ERR_OK;
        }
        if (slot->failure.code)
            return err_set(e, slot->failure.code, "%s", slot->failure.message);
        if (!may_load)
            return ERR_OK;
        if (slot->loading) {
            pthread_cond_wait(&v->loaded, &v->mu);
            continue;
        }
        r = fill(v, slot, given_up, e);
        if (r)
            return r;
    }
}

static void count_borrow(struct serve *v, bool hit)
{
    meter_add(v->meters, SERVE_BORROWS, (const char *[]){ hit ? "hit" : "miss" }, 1);
}

static enum err_code borrow_production(struct serve *v, const char *model, struct serve_ref **ret,
                                       struct err *e)
{
    struct serve_ref *r = NULL, *given_up = NULL;
    pthread_mutex_lock(&v->mu);
    enum err_code code = borrow_slot(v, model, true, &r, &given_up, e);
    pthread_mutex_unlock(&v->mu);
    serve_drop(v, given_up);
    if (code)
        return code;
    if (r) {
        *ret = r;
        return ERR_OK;
    }
    if (model)
        return refuse_model(v, model, e);
    code = refuse_model(v, v->default_model, e);
    /* A default that is not made yet is no mistake of whoever asks for a score. */
    if (code == ERR_MODEL_UNKNOWN)
        return err_set(e, ERR_NOT_PROMOTED, "the default model \"%s\" does not exist yet",
                       v->default_model);
    return code;
}

bool serve_default_name(struct serve *v, char ret[SERVE_NAME])
{
    struct serve_slot *slot = NULL;
    pthread_mutex_lock(&v->mu);
    bool found = !find_wanted(v, NULL, &slot, NULL) && slot && !slot->failure.code;
    if (found)
        snprintf(ret, SERVE_NAME, "%s", slot->name);
    pthread_mutex_unlock(&v->mu);
    return found;
}

/* -- versions by number -------------------------------------------------------------------------
 */

void serve_forget(struct serve *v, const char *model)
{
    struct serve_ref *forgotten = NULL;
    pthread_mutex_lock(&v->mu);
    plan_cache_forget(&v->cache, model, &forgotten);
    pthread_mutex_unlock(&v->mu);
    while (forgotten) {
        struct serve_ref *next = forgotten->next_given_up;
        serve_release(forgotten);
        forgotten = next;
    }
}

enum err_code serve_unload(struct serve *v, const char *model, struct err *e)
{
    pthread_mutex_lock(&v->mu);
    struct serve_slot *slot = plan_cache_slot(&v->cache, model);
    struct serve_ref *old = slot ? slot->current : NULL;
    if (slot) {
        slot->current = NULL;
        slot->unloaded = true;
        err_set(&slot->failure, ERR_MODEL_UNLOADED, "model \"%s\" is unloaded", model);
    }
    pthread_mutex_unlock(&v->mu);
    if (!slot)
        return refuse_model(v, model, e);
    retire(v, old);
    serve_forget(v, model);
    return ERR_OK;
}

static struct serve_ref *borrow_loaded(struct serve *v, const char *model, int64_t version)
{
    pthread_mutex_lock(&v->mu);
    struct serve_ref *r = plan_cache_find(&v->cache, model, version);
    if (r)
        lend(v, r);
    pthread_mutex_unlock(&v->mu);
    return r;
}

/* Two threads may load the same version at once; then both are kept until they grow old. */
static enum err_code load_version(struct serve *v, const char *model, int64_t version,
                                  struct serve_ref **ret, struct err *e)
{
    struct serve_ref *r = NULL;
    enum err_code code = serve_read(v, model, version, &r, e);
    if (code)
        return code;
    pthread_mutex_lock(&v->mu);
    lend(v, r);
    struct serve_ref *given_up = NULL, *oldest = plan_cache_keep(&v->cache, r);
    plan_cache_trim(&v->cache, r, &given_up);
    pthread_mutex_unlock(&v->mu);
    serve_release(oldest);
    serve_drop(v, given_up);
    *ret = r;
    return ERR_OK;
}

enum err_code serve_borrow_loaded(struct serve *v, const char *model, int64_t version,
                                  struct serve_ref **ret, struct err *e)
{
    struct serve_ref *r = NULL, *none = NULL;
    enum err_code code = ERR_OK;
    char name[SERVE_NAME];
    if (version == 0) {
        pthread_mutex_lock(&v->mu);
        code = borrow_slot(v, model, false, &r, &none, e);
        pthread_mutex_unlock(&v->mu);
    } else if (model || serve_default_name(v, name)) {
        r = borrow_loaded(v, model ? model : name, version);
    }
    if (code)
        return code;
    if (r)
        count_borrow(v, true);
    *ret = r;
    return ERR_OK;
}

enum err_code serve_borrow(struct serve *v, const char *model, int64_t version,
                           struct serve_ref **ret, struct err *e)
{
    struct serve_ref *r = NULL;
    enum err_code code = serve_borrow_loaded(v, model, version, &r, e);
    if (!code && r)
        *ret = r;
    if (code || r)
        return code;
    if (version == 0) {
        code = borrow_production(v, model, ret, e);
    } else if (model) {
        code = load_version(v, model, version, ret, e);
    } else {
        code = borrow_production(v, NULL, &r, e);
        if (code)
            return code;
        code = serve_borrow(v, r->model, version, ret, e);
        serve_release(r);
        return code;
    }
    if (!code)
        count_borrow(v, false);
    return code;
}

const struct classifier *serve_ref_classifier(const struct serve_ref *r)
{
    return r->classifier;
}

const char *serve_ref_model(const struct serve_ref *r)
{
    return r->model;
}

int64_t serve_ref_version(const struct serve_ref *r)
{
    return r->version;
}

const char *const *serve_ref_labels(const struct serve_ref *r)
{
    return r->labels;
}

CLEANUP_DEFINE(struct serve, serve_free);

enum err_code serve_new(struct state *s, const struct serve_options *o, struct serve **ret,
                        struct err *e)
{
    CLEANUP(serve_free_p) struct serve *v = calloc(1, sizeof *v);
    if (!v)
        return err_set(e, ERR_NOMEM, "no memory to serve models");
    v->state = s;
    pthread_mutex_init(&v->moves, NULL);
    pthread_mutex_init(&v->mu, NULL);
    pthread_cond_init(&v->loaded, NULL);
    pthread_cond_init(&v->returned, NULL);
    v->cache.limit = o->plan_memory;
    v->meters = o->meters;
    if (o->default_model && !(v->default_model = strdup(o->default_model)))
        return err_set(e, ERR_NOMEM, "no memory to serve models");
    struct err failure = { .code = ERR_OK };
    enum err_code r = serve_read_all(v, &failure, e);
    if (r)
        return r;
    *ret = STEAL(v);
    return failure.code ? err_set(e, failure.code, "%s", failure.message) : ERR_OK;
}

void serve_free(struct serve *v)
{
    if (!v)
        return;
    for (int i = 0; i < PLAN_CACHE_KEPT; i++)
        serve_release(v->cache.kept[i]);
    while (v->cache.slots) {
        struct serve_slot *next = v->cache.slots->next;
        serve_release(v->cache.slots->current);
        serve_slot_free(v->cache.slots);
        v->cache.slots = next;
    }
    pthread_cond_destroy(&v->loaded);
    pthread_cond_destroy(&v->returned);
    pthread_mutex_destroy(&v->mu);
    pthread_mutex_destroy(&v->moves);
    free(v->default_model);
    free(v);
}

#include "daemon/serve_parts.h"

#include "daemon/db.h"
#include "daemon/score_meters.h"
#include "data/base/cleanup.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Whoever moves an alias can wait; those who score cannot. */
enum { LOAD_NICE = 10 };

/* The scratches that the model's traffic has needed so far. */
static int count_scratches(struct serve *v, const char *model)
{
    pthread_mutex_lock(&v->mu);
    const struct serve_slot *slot = plan_cache_slot(&v->cache, model);
    int count = slot && slot->current ? atomic_load(&slot->current->scratches) : 1;
    pthread_mutex_unlock(&v->mu);
    return count;
}

enum err_code serve_read(struct serve *v, const char *model, int64_t version,
                         struct serve_ref **ret, struct err *e)
{
    int scratches = count_scratches(v, model);
    enum err_code r = snapshot_load(v, v->state, model, version, scratches, ret, e);
    if (r == ERR_BLOB_MISSING || r == ERR_BLOB_CORRUPT)
        atomic_store(&v->damaged, true);
    /* A name that nobody checked is not to become a label. */
    if (r != ERR_MODEL_UNKNOWN && r != ERR_VERSION_UNKNOWN)
        meter_add(v->meters, SERVE_LOADS, (const char *[]){ model, r ? "failed" : "ok" }, 1);
    return r;
}

struct aside {
    struct serve *serve;
    const char *model;
    int64_t version;
    struct serve_ref *ref; /* the thread's results, as is all below */
    enum err_code code;
    struct err err;
};

static void *load_aside(void *context)
{
    struct aside *a = context;
    pthread_setname_np(pthread_self(), "load");
    setpriority(PRIO_PROCESS, (id_t)gettid(), LOAD_NICE); /* to lower it cannot fail */
    a->code = serve_read(a->serve, a->model, a->version, &a->ref, &a->err);
    return NULL;
}

/* On a thread of its own, because a thread that has lowered its priority may not raise it again. */
enum err_code serve_load(struct serve *v, const char *model, int64_t version,
                         struct serve_ref **ret, struct err *e)
{
    struct aside a = { .serve = v, .model = model, .version = version };
    pthread_t thread;
    if (pthread_create(&thread, NULL, load_aside, &a))
        return serve_read(v, model, version, ret, e);
    pthread_join(thread, NULL);
    if (a.code)
        return err_set(e, a.code, "%s", a.err.message);
    *ret = a.ref;
    return ERR_OK;
}

/* Shows the model in production, or why it cannot be. Only an allocation failure is an error. */
static enum err_code add_production(struct serve *v, const char *model, int64_t version,
                                    struct err *ret_failure, struct err *e)
{
    struct serve_slot *slot = NULL;
    enum err_code r = serve_slot_new(model, &slot, e);
    if (r)
        return r;
    struct err failure = { .code = ERR_OK };
    if (serve_read(v, model, version, &slot->current, &failure)) {
        err_set(&slot->failure, failure.code,
                "version %" PRId64 " of model \"%s\" cannot be loaded: %s", version, model,
                failure.message);
        *ret_failure = slot->failure;
    }
    slot->version = version;
    plan_cache_add_slot(&v->cache, slot);
    if (slot->current)
        plan_cache_use(&v->cache, slot->current);
    struct serve_ref *given_up = NULL;
    plan_cache_trim(&v->cache, slot->current, &given_up);
    serve_drop(v, given_up);
    return ERR_OK;
}

enum err_code serve_read_all(struct serve *v, struct err *ret_failure, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_read(state_db(v->state), &t, e);
    if (!r)
        r = db_query(t, &rows, e,
                     "SELECT m.name, a.version FROM alias a JOIN model m ON m.id = a.model "
                     "WHERE a.name = 'production' ORDER BY m.name");
    bool more = false;
    while (!r && !(r = db_next(rows, &more, e)) && more)
        r = add_production(v, db_text(rows, 0), db_int(rows, 1), ret_failure, e);
    return r;
}

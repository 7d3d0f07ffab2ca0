/* DESIGN
 *
 *   slots:  model name -> production snapshot      (one for each model with a production alias)
 *   kept:   a few other versions that were asked for by number, most recently used first
 *
 * mu guards the slots, the kept list and every snapshot's borrow count. A borrow is a look-up and
 * an increment under it; loading and freeing, which take milliseconds, happen outside, so borrowers
 * wait for no one. The slots and the kept list each hold one borrow of what they name.
 *
 * A version is immutable, so a kept snapshot is never stale. */
#include "daemon/serve.h"

#include "daemon/db.h"
#include "daemon/snapshot.h"
#include "data/base/cleanup.h"

#include <inttypes.h>
#include <string.h>

enum { KEPT_MAX = 4 };

struct serve {
    struct state *state; /* borrowed */
    char *default_model; /* owned; NULL: the only one in production */

    pthread_mutex_t moves; /* see serve_moves_lock() */
    pthread_mutex_t mu;
    struct serve_slot *slots;         /* guarded by mu */
    struct serve_ref *kept[KEPT_MAX]; /* guarded by mu */
};

static struct serve_slot *find_slot(struct serve *v, const char *model)
{
    for (struct serve_slot *slot = v->slots; slot; slot = slot->next)
        if (strcmp(slot->name, model) == 0)
            return slot;
    return NULL;
}

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
    pthread_mutex_unlock(&v->mu);
    if (last)
        snapshot_free(r);
}

enum err_code serve_load(struct serve *v, const char *model, int64_t version,
                         struct serve_ref **ret, struct err *e)
{
    return snapshot_load(v, v->state, model, version, ret, e);
}

void serve_swap(struct serve *v, struct serve_ref *next)
{
    pthread_mutex_lock(&v->mu);
    struct serve_slot *slot = find_slot(v, next->model);
    if (!slot) {
        slot = STEAL(next->slot);
        slot->next = v->slots;
        v->slots = slot;
    }
    struct serve_ref *old = slot->current;
    slot->current = next;
    slot->unloaded = false;
    pthread_mutex_unlock(&v->mu);
    serve_release(old);
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
    for (struct serve_slot *slot = v->slots; slot; slot = slot->next)
        ready = ready && (slot->current || slot->unloaded);
    pthread_mutex_unlock(&v->mu);
    return ready;
}

/* Nothing of that name is in production: is it the name or the promotion that is missing? */
static enum err_code refuse_model(struct serve *v, const char *model, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_read(state_db(v->state), &t, e);
    if (!r)
        r = db_get(t, &row, e, "SELECT 1 FROM model WHERE name = ?", DB_TEXT(model));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_MODEL_UNKNOWN, "there is no model \"%s\"", model);
    return err_set(e, ERR_NOT_PROMOTED, "model \"%s\" has no version in production", model);
}

/* Sets *ret, or *ret_failure to why there is none; false when the name is not there at all. */
static bool borrow_production(struct serve *v, const char *model, struct serve_ref **ret,
                              struct err *ret_failure)
{
    pthread_mutex_lock(&v->mu);
    struct serve_slot *slot = find_slot(v, model);
    struct serve_ref *r = slot ? slot->current : NULL;
    if (r)
        r->borrows++;
    else if (slot)
        *ret_failure = slot->failure;
    pthread_mutex_unlock(&v->mu);
    *ret = r;
    return slot != NULL;
}

static enum err_code borrow_named(struct serve *v, const char *model, struct serve_ref **ret,
                                  struct err *e)
{
    struct serve_ref *r = NULL;
    struct err failure;
    if (!borrow_production(v, model, &r, &failure))
        return refuse_model(v, model, e);
    if (!r)
        return err_set(e, failure.code, "%s", failure.message);
    *ret = r;
    return ERR_OK;
}

/* Without a configured default: the only model in production. */
static enum err_code borrow_only(struct serve *v, struct serve_ref **ret, struct err *e)
{
    struct err failure;
    struct serve_ref *r = NULL;
    pthread_mutex_lock(&v->mu);
    struct serve_slot *slot = v->slots;
    bool none = !slot, many = slot && slot->next;
    if (slot && !many) {
        r = slot->current;
        if (r)
            r->borrows++;
        else
            failure = slot->failure;
    }
    pthread_mutex_unlock(&v->mu);
    if (none)
        return err_set(e, ERR_NOT_PROMOTED, "no model has a version in production yet");
    if (many)
        return err_set(e, ERR_MODEL_AMBIGUOUS,
                       "several models are in production and none is the default: name one, or "
                       "start kenneld with --default-model");
    if (!r)
        return err_set(e, failure.code, "%s", failure.message);
    *ret = r;
    return ERR_OK;
}

static enum err_code borrow_default(struct serve *v, struct serve_ref **ret, struct err *e)
{
    if (!v->default_model)
        return borrow_only(v, ret, e);
    enum err_code r = borrow_named(v, v->default_model, ret, e);
    /* A default that is not made yet is no mistake of whoever asks for a score. */
    if (r == ERR_MODEL_UNKNOWN)
        return err_set(e, ERR_NOT_PROMOTED, "the default model \"%s\" does not exist yet",
                       v->default_model);
    return r;
}

/* Puts a kept snapshot in front; NULL when it is not there. Holds mu. */
static struct serve_ref *find_kept(struct serve *v, const char *model, int64_t version)
{
    for (int i = 0; i < KEPT_MAX && v->kept[i]; i++) {
        struct serve_ref *r = v->kept[i];
        if (r->version != version || strcmp(r->model, model) != 0)
            continue;
        memmove(&v->kept[1], &v->kept[0], (size_t)i * sizeof *v->kept);
        v->kept[0] = r;
        return r;
    }
    return NULL;
}

void serve_forget(struct serve *v, const char *model)
{
    struct serve_ref *forgotten[KEPT_MAX];
    int kept = 0, count = 0;
    pthread_mutex_lock(&v->mu);
    for (int i = 0; i < KEPT_MAX; i++) {
        struct serve_ref *r = v->kept[i];
        v->kept[i] = NULL;
        if (r && strcmp(r->model, model) == 0)
            forgotten[count++] = r;
        else if (r)
            v->kept[kept++] = r;
    }
    pthread_mutex_unlock(&v->mu);
    for (int i = 0; i < count; i++)
        serve_release(forgotten[i]);
}

enum err_code serve_unload(struct serve *v, const char *model, struct err *e)
{
    pthread_mutex_lock(&v->mu);
    struct serve_slot *slot = find_slot(v, model);
    struct serve_ref *old = slot ? slot->current : NULL;
    if (slot) {
        slot->current = NULL;
        slot->unloaded = true;
        err_set(&slot->failure, ERR_MODEL_UNLOADED, "model \"%s\" is unloaded", model);
    }
    pthread_mutex_unlock(&v->mu);
    if (!slot)
        return refuse_model(v, model, e);
    serve_release(old);
    serve_forget(v, model);
    return ERR_OK;
}

static struct serve_ref *borrow_loaded(struct serve *v, const char *model, int64_t version)
{
    pthread_mutex_lock(&v->mu);
    struct serve_slot *slot = find_slot(v, model);
    struct serve_ref *r = slot ? slot->current : NULL;
    if (!r || r->version != version)
        r = find_kept(v, model, version);
    if (r)
        r->borrows++;
    pthread_mutex_unlock(&v->mu);
    return r;
}

/* Two threads may load the same version at once; then both are kept until they grow old. */
static enum err_code borrow_version(struct serve *v, const char *model, int64_t version,
                                    struct serve_ref **ret, struct err *e)
{
    struct serve_ref *r = borrow_loaded(v, model, version);
    if (!r) {
        enum err_code code = serve_load(v, model, version, &r, e);
        if (code)
            return code;
        pthread_mutex_lock(&v->mu);
        r->borrows++;
        struct serve_ref *oldest = v->kept[KEPT_MAX - 1];
        memmove(&v->kept[1], &v->kept[0], (KEPT_MAX - 1) * sizeof *v->kept);
        v->kept[0] = r;
        pthread_mutex_unlock(&v->mu);
        serve_release(oldest);
    }
    *ret = r;
    return ERR_OK;
}

enum err_code serve_borrow(struct serve *v, const char *model, int64_t version,
                           struct serve_ref **ret, struct err *e)
{
    if (!model && version == 0)
        return borrow_default(v, ret, e);
    if (version == 0)
        return borrow_named(v, model, ret, e);
    if (model)
        return borrow_version(v, model, version, ret, e);
    struct serve_ref *production = NULL;
    enum err_code r = borrow_default(v, &production, e);
    if (r)
        return r;
    r = borrow_version(v, production->model, version, ret, e);
    serve_release(production);
    return r;
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

/* Shows the model in production, or why it cannot be. Only an allocation failure is an error. */
static enum err_code add_production(struct serve *v, const char *model, int64_t version,
                                    struct err *ret_failure, struct err *e)
{
    struct serve_slot *slot = NULL;
    enum err_code r = serve_slot_new(model, &slot, e);
    if (r)
        return r;
    struct err failure = { .code = ERR_OK };
    if (serve_load(v, model, version, &slot->current, &failure)) {
        err_set(&slot->failure, failure.code,
                "version %" PRId64 " of model \"%s\" cannot be loaded: %s", version, model,
                failure.message);
        *ret_failure = slot->failure;
    }
    slot->next = v->slots;
    v->slots = slot;
    return ERR_OK;
}

static enum err_code load_all(struct serve *v, struct err *ret_failure, struct err *e)
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

CLEANUP_DEFINE(struct serve, serve_free);

enum err_code serve_new(struct state *s, const char *default_model, struct serve **ret,
                        struct err *e)
{
    CLEANUP(serve_free_p) struct serve *v = calloc(1, sizeof *v);
    if (!v)
        return err_set(e, ERR_NOMEM, "no memory to serve models");
    v->state = s;
    pthread_mutex_init(&v->moves, NULL);
    pthread_mutex_init(&v->mu, NULL);
    if (default_model && !(v->default_model = strdup(default_model)))
        return err_set(e, ERR_NOMEM, "no memory to serve models");
    struct err failure = { .code = ERR_OK };
    enum err_code r = load_all(v, &failure, e);
    if (r)
        return r;
    *ret = STEAL(v);
    return failure.code ? err_set(e, failure.code, "%s", failure.message) : ERR_OK;
}

void serve_free(struct serve *v)
{
    if (!v)
        return;
    for (int i = 0; i < KEPT_MAX; i++)
        serve_release(v->kept[i]);
    while (v->slots) {
        struct serve_slot *next = v->slots->next;
        serve_release(v->slots->current);
        serve_slot_free(v->slots);
        v->slots = next;
    }
    pthread_mutex_destroy(&v->mu);
    pthread_mutex_destroy(&v->moves);
    free(v->default_model);
    free(v);
}

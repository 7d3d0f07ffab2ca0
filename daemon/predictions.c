/* DESIGN
 *
 *   add() -> [ ring ] -> writer thread, at most every BATCH_MS -> table `prediction`, or the spool
 *
 * mu guards the ring. `writing` is held from taking a batch out of the ring until it is committed,
 * so that batches are written in their order and a feedback that comes right behind its answer
 * finds it: it writes what waits itself, first. Order: writing, the database's writer; mu is a
 * leaf.
 */
#include "daemon/predictions.h"

#include "daemon/db.h"
#include "daemon/spool.h"
#include "daemon/traffic.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "data/base/log.h"

#include <pthread.h>
#include <string.h>

enum { BATCH_MS = 200 };

enum kind { ANSWER, OTHER, SEEN };

struct answer {
    enum kind kind;
    struct traffic_seen *seen; /* owned; NULL but for SEEN */
    char id[PREDICTION_ID + 1];
    char model[65];
    char label[LABEL_MAX + 1];
    int64_t version;
    double probability;
    int64_t at_ms;
};

struct predictions {
    struct state *state; /* borrowed */
    struct spool *spool; /* borrowed; NULL: a trainer's */
    pthread_t thread;
    bool started;

    pthread_mutex_t writing;
    struct answer *batch; /* [PREDICTIONS_QUEUE]; guarded by writing */

    pthread_mutex_t mu;
    pthread_cond_t changed;
    struct answer *ring; /* [PREDICTIONS_QUEUE]; guarded by mu, as is all below */
    int head, count;
    int64_t dropped;
    bool stopping;
};

/* False when it finds no place. */
static bool push(struct predictions *p, const struct answer *a)
{
    pthread_mutex_lock(&p->mu);
    bool full = p->count == PREDICTIONS_QUEUE;
    if (full)
        p->dropped++;
    else
        p->ring[(p->head + p->count++) % PREDICTIONS_QUEUE] = *a;
    if (p->count == 1)
        pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->mu);
    return !full;
}

void predictions_add(struct predictions *p, const char *id, const char *model, int64_t version,
                     const char *label, float probability)
{
    struct answer a = { .kind = ANSWER,
                        .version = version,
                        .probability = (double)probability,
                        .at_ms = clock_utc_ms() };
    snprintf(a.id, sizeof a.id, "%s", id);
    snprintf(a.model, sizeof a.model, "%s", model);
    snprintf(a.label, sizeof a.label, "%s", label);
    push(p, &a);
}

void predictions_add_other(struct predictions *p, const char *id, int64_t version,
                           const char *label)
{
    struct answer a = { .kind = OTHER, .version = version };
    snprintf(a.id, sizeof a.id, "%s", id);
    snprintf(a.label, sizeof a.label, "%s", label);
    push(p, &a);
}

void predictions_add_seen(struct predictions *p, const struct traffic_seen *seen)
{
    struct answer a = { .kind = SEEN, .at_ms = clock_utc_ms(), .seen = malloc(sizeof *seen) };
    if (a.seen)
        *a.seen = *seen;
    if (!a.seen || !push(p, &a))
        free(a.seen);
}

int64_t predictions_dropped(struct predictions *p)
{
    pthread_mutex_lock(&p->mu);
    int64_t dropped = p->dropped;
    pthread_mutex_unlock(&p->mu);
    return dropped;
}

/* -- writing -------------------------------------------------------------------------------------
 */

static enum err_code write_row(struct db_tx *t, const struct answer *a, struct err *e)
{
    if (a->kind == OTHER)
        return prediction_rows_other(t, a->id, a->version, a->label, e);
    const struct prediction_row row = { .id = a->id,
                                        .model = a->model,
                                        .label = a->label,
                                        .version = a->version,
                                        .at_ms = a->at_ms,
                                        .probability = a->probability };
    return prediction_rows_add(t, &row, e);
}

static json_t *side_json(const struct traffic_side *side)
{
    return json_pack("{s:s, s:I, s:s, s:I}", "code", err_slug(side->code), "version",
                     (json_int_t)side->version, "label", side->label, "us", (json_int_t)side->us);
}

static json_t *item_json(const struct answer *a)
{
    if (a->kind == ANSWER)
        return json_pack("{s:s, s:s, s:s, s:I, s:s, s:f, s:I}", "what", "answer", "id", a->id,
                         "model", a->model, "version", (json_int_t)a->version, "label", a->label,
                         "probability", a->probability, "at_ms", (json_int_t)a->at_ms);
    json_t *item = json_pack("{s:s, s:I, s:s, s:I, s:o}", "what", "seen", "rollout",
                             (json_int_t)a->seen->rollout, "id", a->seen->id, "at_ms",
                             (json_int_t)a->at_ms, "first", side_json(&a->seen->first));
    if (item && a->seen->second.version)
        json_object_set_new(item, "second", side_json(&a->seen->second));
    return item;
}

static enum err_code write_rows(struct predictions *p, struct db_tx *t, int count, struct err *e)
{
    enum err_code r = ERR_OK;
    for (int i = 0; !r && i < count; i++)
        r = write_row(t, &p->batch[i], e);
    if (!r && count)
        r = prediction_rows_trim(t, e);
    return r;
}

static enum err_code write_spool(struct predictions *p, struct db_tx *t, int count, struct err *e)
{
    CLEANUP(json_decref_p) json_t *items = json_array();
    for (int i = 0; items && i < count; i++)
        if (json_array_append_new(items, item_json(&p->batch[i])) < 0)
            return err_set(e, ERR_NOMEM, "no memory for what is to be told");
    return items ? spool_add(p->spool, t, items, false, e)
                 : err_set(e, ERR_NOMEM, "no memory for what is to be told");
}

/* Holds writing. What cannot be written is lost: it is of use for statistics only. */
static enum err_code write_waiting(struct predictions *p, struct db_tx *t, struct err *e)
{
    pthread_mutex_lock(&p->mu);
    int count = p->count;
    for (int i = 0; i < count; i++)
        p->batch[i] = p->ring[(p->head + i) % PREDICTIONS_QUEUE];
    p->head = (p->head + count) % PREDICTIONS_QUEUE;
    p->count = 0;
    pthread_mutex_unlock(&p->mu);

    enum err_code r = p->spool ? write_spool(p, t, count, e) : write_rows(p, t, count, e);
    for (int i = 0; i < count; i++)
        free(p->batch[i].seen);
    return r;
}

static enum err_code write_after(struct predictions *p, predictions_fn fn, void *context,
                                 struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_write(state_db(p->state), &t, e);
    if (!r)
        r = write_waiting(p, t, e);
    if (!r && fn)
        r = fn(context, t, e);
    return r ? r : db_commit(&t, e);
}

enum err_code predictions_after(struct predictions *p, predictions_fn fn, void *context,
                                struct err *e)
{
    pthread_mutex_lock(&p->writing);
    enum err_code r = write_after(p, fn, context, e);
    pthread_mutex_unlock(&p->writing);
    return r;
}

enum err_code predictions_write(struct predictions *p, struct err *e)
{
    return predictions_after(p, NULL, NULL, e);
}

static void write_batch(struct predictions *p)
{
    struct err e;
    enum err_code r = predictions_write(p, &e);
    if (r)
        log_event("error", "predictions_lost", "code", err_slug(r), "message", e.message, NULL);
}

/* Waits for the first one, then a moment for more; false at the end. */
static bool wait_for_batch(struct predictions *p)
{
    pthread_mutex_lock(&p->mu);
    while (!p->count && !p->stopping)
        pthread_cond_wait(&p->changed, &p->mu);
    int64_t until = clock_monotonic_us() + BATCH_MS * 1000;
    while (!p->stopping && p->count < PREDICTIONS_QUEUE / 2 &&
           clock_wait(&p->changed, &p->mu, until))
        continue;
    bool more = p->count > 0;
    pthread_mutex_unlock(&p->mu);
    return more;
}

static void *run(void *context)
{
    pthread_setname_np(pthread_self(), "predictions");
    while (wait_for_batch(context))
        write_batch(context);
    return NULL;
}

/* -- feedback ------------------------------------------------------------------------------------
 */

static enum err_code tell_trainer(struct predictions *p, struct db_tx *t, const char *id,
                                  const char *truth, const char *who, json_t **ret, struct err *e)
{
    CLEANUP(json_decref_p)
    json_t *items = json_pack("[{s:s, s:s, s:s, s:s, s:I}]", "what", "feedback", "id", id, "label",
                              truth, "who", who, "at_ms", (json_int_t)clock_utc_ms());
    json_t *value = json_pack("{s:s, s:s}", "prediction_id", id, "label", truth);
    enum err_code r = items && value ? spool_add(p->spool, t, items, true, e)
                                     : err_set(e, ERR_NOMEM, "no memory for a feedback");
    if (r)
        json_decref(value);
    else
        *ret = value;
    return r;
}

/* Also after an id that nobody knows: what waited is not in the ring any more. */
static enum err_code commit_waiting(struct db_tx **t, enum err_code why, struct err *e)
{
    if (db_commit(t, NULL))
        return err_set(e, ERR_DATABASE, "answers that waited cannot be written");
    return why;
}

static enum err_code tell(struct predictions *p, const char *id, const char *truth, const char *who,
                          json_t **ret, struct prediction_told *told, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *value = NULL;
    enum err_code r = db_write(state_db(p->state), &t, e);
    if (!r)
        r = write_waiting(p, t, e);
    if (r)
        return r;
    r = p->spool ? tell_trainer(p, t, id, truth, who, &value, e)
                 : prediction_rows_tell(t, id, truth, who, &value, told, e);
    if (r == ERR_PREDICTION_UNKNOWN || r == ERR_SPOOL_FULL)
        return commit_waiting(&t, r, e);
    if (!r)
        r = db_commit(&t, e);
    if (!r)
        *ret = STEAL(value);
    return r;
}

enum err_code predictions_feedback(struct predictions *p, const char *id, const char *label,
                                   const char *who, json_t **ret, struct prediction_told *ret_told,
                                   struct err *e)
{
    struct prediction_told told = { 0 };
    pthread_mutex_lock(&p->writing);
    enum err_code r = tell(p, id, label, who, ret, &told, e);
    pthread_mutex_unlock(&p->writing);
    if (!r)
        *ret_told = told;
    return r;
}

CLEANUP_DEFINE(struct predictions, predictions_free);

enum err_code predictions_new(struct state *s, struct spool *spool, struct predictions **ret,
                              struct err *e)
{
    CLEANUP(predictions_free_p) struct predictions *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory to keep predictions");
    p->state = s;
    p->spool = spool;
    pthread_mutex_init(&p->writing, NULL);
    pthread_mutex_init(&p->mu, NULL);
    pthread_cond_init(&p->changed, NULL);
    p->ring = calloc(PREDICTIONS_QUEUE, sizeof *p->ring);
    p->batch = calloc(PREDICTIONS_QUEUE, sizeof *p->batch);
    if (!p->ring || !p->batch)
        return err_set(e, ERR_NOMEM, "no memory to keep predictions");
    int failed = pthread_create(&p->thread, NULL, run, p);
    if (failed)
        return err_errno(e, failed, "cannot start the thread that keeps predictions");
    p->started = true;
    *ret = STEAL(p);
    return ERR_OK;
}

void predictions_free(struct predictions *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->mu);
    p->stopping = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mu);
    if (p->started)
        pthread_join(p->thread, NULL);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->mu);
    pthread_mutex_destroy(&p->writing);
    free(p->ring);
    free(p->batch);
    free(p);
}

/* DESIGN
 *
 *   add() -> [ ring ] -> writer thread, at most every BATCH_MS -> table `prediction`
 *
 * mu guards the ring. `writing` is held from taking a batch out of the ring until it is committed,
 * so that batches are written in their order and a feedback that comes right behind its answer
 * finds it: it writes what waits itself, first. Order: writing, the database's writer; mu is a
 * leaf.
 */
#include "daemon/predictions.h"

#include "daemon/db.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "data/base/log.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

enum { BATCH_MS = 200 };

struct answer {
    bool is_other;
    char id[PREDICTION_ID + 1];
    char model[65];
    char label[LABEL_MAX + 1];
    int64_t version;
    double probability;
    int64_t at_ms;
};

struct predictions {
    struct state *state; /* borrowed */
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

static void push(struct predictions *p, const struct answer *a)
{
    pthread_mutex_lock(&p->mu);
    if (p->count == PREDICTIONS_QUEUE)
        p->dropped++;
    else
        p->ring[(p->head + p->count++) % PREDICTIONS_QUEUE] = *a;
    if (p->count == 1)
        pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->mu);
}

void predictions_add(struct predictions *p, const char *id, const char *model, int64_t version,
                     const char *label, float probability)
{
    struct answer a = { .version = version,
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
    struct answer a = { .is_other = true, .version = version };
    snprintf(a.id, sizeof a.id, "%s", id);
    snprintf(a.label, sizeof a.label, "%s", label);
    push(p, &a);
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

static enum err_code write_answer(struct db_tx *t, const struct answer *a, struct err *e)
{
    if (a->is_other)
        return db_exec(t, e,
                       "UPDATE prediction SET other_version = ?, other_label = ? WHERE id = ?",
                       DB_INT(a->version), DB_TEXT(a->label), DB_TEXT(a->id));
    return db_exec(t, e,
                   "INSERT OR IGNORE INTO prediction (id, model, version, label, probability, "
                   "at_ms) SELECT ?, id, ?, ?, ?, ? FROM model WHERE name = ?",
                   DB_TEXT(a->id), DB_INT(a->version), DB_TEXT(a->label), DB_REAL(a->probability),
                   DB_INT(a->at_ms), DB_TEXT(a->model));
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

    enum err_code r = ERR_OK;
    for (int i = 0; !r && i < count; i++)
        r = write_answer(t, &p->batch[i], e);
    if (!r && count)
        r = db_exec(t, e,
                    "DELETE FROM prediction WHERE seq <= (SELECT max(seq) FROM prediction) - ?",
                    DB_INT(PREDICTIONS_KEPT));
    return r;
}

/* Also right when none waits here: a batch that was taken before has been committed by then. */
enum err_code predictions_write(struct predictions *p, struct err *e)
{
    struct db_tx *t = NULL;
    pthread_mutex_lock(&p->writing);
    enum err_code r = db_write(state_db(p->state), &t, e);
    if (!r)
        r = write_waiting(p, t, e);
    if (!r)
        r = db_commit(&t, e);
    db_end(t);
    pthread_mutex_unlock(&p->writing);
    return r;
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
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += BATCH_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (!p->stopping && p->count < PREDICTIONS_QUEUE / 2 &&
           pthread_cond_timedwait(&p->changed, &p->mu, &until) == 0)
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

#define SELECT_PREDICTION                                                                          \
    "SELECT m.name, p.version, p.label, p.other_version, p.other_label, p.truth, p.at_ms "         \
    "FROM prediction p JOIN model m ON m.id = p.model WHERE p.id = ?"

static enum err_code find(struct db_tx *t, const char *id, const char *truth, json_t **ret,
                          struct prediction_told *told, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, SELECT_PREDICTION, DB_TEXT(id));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_PREDICTION_UNKNOWN,
                       "no prediction \"%.80s\" is kept; of all answers the last %d are", id,
                       PREDICTIONS_KEPT);
    *told = (struct prediction_told){ .is_pair = !db_is_null(row, 3),
                                      .is_first = db_is_null(row, 5),
                                      .version = db_int(row, 1),
                                      .other_version = db_int(row, 3),
                                      .right = strcmp(db_text(row, 2), truth) == 0,
                                      .at_ms = db_int(row, 6) };
    told->other_right = told->is_pair && strcmp(db_text(row, 4), truth) == 0;
    snprintf(told->model, sizeof told->model, "%s", db_text(row, 0));
    *ret = json_pack("{s:s, s:s, s:I, s:s, s:s, s:b}", "prediction_id", id, "model", told->model,
                     "version", (json_int_t)told->version, "predicted", db_text(row, 2), "label",
                     truth, "right", told->right);
    return *ret ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for a feedback");
}

/* What was told first is in the row, with who and when; only a change of it needs a line. */
static enum err_code audit_change(struct db_tx *t, const char *id, const char *truth,
                                  const char *who, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    char subject[PREDICTION_ID + 16];
    snprintf(subject, sizeof subject, "prediction/%.32s", id);
    enum err_code r =
        db_get(t, &row, e, "SELECT truth, told_by FROM prediction WHERE id = ? AND truth <> ?",
               DB_TEXT(id), DB_TEXT(truth));
    if (r || !row)
        return r;
    CLEANUP(json_decref_p)
    json_t *before =
        json_pack("{s:o, s:o}", "label", db_json_text(row, 0), "who", db_json_text(row, 1));
    CLEANUP(json_decref_p) json_t *after = json_pack("{s:s}", "label", truth);
    if (!before || !after)
        return err_set(e, ERR_NOMEM, "no memory for the audit log");
    return db_audit(t, who, "feedback.change", subject, before, after, e);
}

static enum err_code tell(struct predictions *p, const char *id, const char *truth, const char *who,
                          json_t **ret, struct prediction_told *told, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *value = NULL;
    enum err_code r = db_write(state_db(p->state), &t, e);
    if (!r)
        r = write_waiting(p, t, e);
    if (!r)
        r = find(t, id, truth, &value, told, e);
    bool found = !r;
    if (!r && !told->is_first)
        r = audit_change(t, id, truth, who, e);
    if (!r)
        r = db_exec(t, e, "UPDATE prediction SET truth = ?, truth_ms = ?, told_by = ? WHERE id = ?",
                    DB_TEXT(truth), DB_INT(clock_utc_ms()), DB_TEXT(who), DB_TEXT(id));
    /* Also after an id that nobody knows: what waited is not in the ring any more. */
    if (!r)
        r = db_commit(&t, e);
    else if (!found && r == ERR_PREDICTION_UNKNOWN) {
        enum err_code failed = db_commit(&t, NULL);
        if (failed)
            r = err_set(e, failed, "answers that waited cannot be written");
    }
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

enum err_code predictions_new(struct state *s, struct predictions **ret, struct err *e)
{
    CLEANUP(predictions_free_p) struct predictions *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory to keep predictions");
    p->state = s;
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

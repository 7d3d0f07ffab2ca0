#include "daemon/submission.h"

#include "daemon/db.h"
#include "daemon/idempotency.h"
#include "daemon/job_events.h"
#include "daemon/job_limits.h"
#include "daemon/webhooks.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "nn/retrain.h"

#include <inttypes.h>
#include <string.h>

/* TRAIN_MIN: cross-validation needs a picture of each class on both sides. */
enum { TRAIN_MIN = 2, TAGS_MAX = 64, TAG_NAME_MAX = 100, TAG_VALUE_MAX = 1000 };

/* What the row is made of; fini frees it. */
struct submission {
    int64_t model, dataset, backbone;
    int64_t version; /* of the dataset */
    json_t *model_recipe, *gate, *counts, *model_limits;
    json_t *limits;                                          /* merged, spelled out */
    json_t *recipe;                                          /* merged, every member spelled out */
    const char *mode;                                        /* static */
    char *recipe_text, *gate_text, *tags_text, *limits_text; /* as columns */
};

static void submission_fini(struct submission *s)
{
    json_decref(s->model_recipe);
    json_decref(s->gate);
    json_decref(s->counts);
    json_decref(s->model_limits);
    json_decref(s->limits);
    free(s->limits_text);
    json_decref(s->recipe);
    free(s->recipe_text);
    free(s->gate_text);
    free(s->tags_text);
}

static enum err_code read_model(struct db_tx *t, const char *name, struct submission *ret,
                                struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(
        t, &row, e, "SELECT id, dataset, backbone, recipe, gate, limits FROM model WHERE name = ?",
        DB_TEXT(name));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_MODEL_UNKNOWN, "there is no model \"%.80s\"", name);
    ret->model = db_int(row, 0);
    ret->dataset = db_int(row, 1);
    ret->backbone = db_int(row, 2);
    r = db_json(row, 3, &ret->model_recipe, e);
    if (!r)
        r = db_json(row, 4, &ret->gate, e);
    return r ? r : db_json(row, 5, &ret->model_limits, e);
}

static enum err_code read_counts(struct db_tx *t, int64_t wanted, struct submission *ret,
                                 struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e,
                             "SELECT number, counts, pictures, purged_ms FROM dataset_version "
                             "WHERE dataset = ? AND (? = 0 OR number = ?) "
                             "ORDER BY number DESC LIMIT 1",
                             DB_INT(ret->dataset), DB_INT(wanted), DB_INT(wanted));
    if (r)
        return r;
    if (!row && wanted)
        return err_set(e, ERR_VERSION_UNKNOWN, "the model's dataset has no version %" PRId64,
                       wanted);
    if (!row)
        return err_set(e, ERR_DATASET_EMPTY,
                       "the model's dataset has no version yet: import "
                       "pictures first");
    if (!db_is_null(row, 3))
        return err_set(e, ERR_VERSION_PURGED,
                       "version %" PRId64 " of the dataset was given up by its retention",
                       db_int(row, 0));
    if (db_int(row, 2) == 0)
        return err_set(e, ERR_DATASET_EMPTY, "version %" PRId64 " of the dataset has no pictures",
                       db_int(row, 0));
    ret->version = db_int(row, 0);
    return db_json(row, 1, &ret->counts, e);
}

static int64_t count_of(const json_t *counts, const char *split)
{
    return json_integer_value(json_object_get(counts, split));
}

static enum err_code check_counts(const struct submission *s, struct err *e)
{
    int64_t classes = 0, val = 0, test = 0;
    const char *label;
    json_t *counts;
    json_object_foreach (s->counts, label, counts) {
        val += count_of(counts, "val");
        test += count_of(counts, "test");
        classes +=
            count_of(counts, "train") + count_of(counts, "val") + count_of(counts, "test") > 0;
    }
    if (classes < 2)
        return err_set(e, ERR_DATASET_ONE_CLASS,
                       "version %" PRId64 " of the dataset has %" PRId64
                       " label; a classifier needs at least 2",
                       s->version, classes);
    json_object_foreach (s->counts, label, counts) {
        int64_t train = count_of(counts, "train");
        if (train < TRAIN_MIN && train + count_of(counts, "val") + count_of(counts, "test") > 0)
            return err_set(e, ERR_CLASS_TOO_SMALL,
                           "label \"%.200s\" has %" PRId64
                           " pictures in the train split of version %" PRId64
                           "; each label needs at least %d",
                           label, train, s->version, TRAIN_MIN);
    }
    if (val + test == 0)
        return err_set(e, ERR_HOLDOUT_EMPTY,
                       "version %" PRId64
                       " of the dataset has no pictures in the splits test and val to measure on",
                       s->version);
    return ERR_OK;
}

static enum err_code merge_recipe(const struct retrain_request *q, struct submission *s,
                                  struct err *e)
{
    struct recipe recipe;
    enum err_code r = recipe_merge(s->model_recipe, q->recipe, q->mode, &recipe, e);
    if (r)
        return r;
    s->mode = recipe_mode_text(recipe.mode);
    s->recipe = recipe_json(&recipe);
    return s->recipe ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for a recipe");
}

static enum err_code merge_limits(const struct retrain_request *q, struct submission *s,
                                  struct err *e)
{
    struct job_limits limits;
    enum err_code r = job_limits_merge(s->model_limits, q->limits, &limits, e);
    if (r)
        return r;
    s->limits = job_limits_json(&limits);
    return s->limits ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for a job's limits");
}

static enum err_code check_tags(const json_t *tags, struct err *e)
{
    if (!tags)
        return ERR_OK;
    if (!json_is_object(tags))
        return err_set(e, ERR_JSON_TYPE, "the request: tags must be an object");
    if (json_object_size(tags) > TAGS_MAX)
        return err_set(e, ERR_FIELD_RANGE, "the request: tags has %zu members, at most %d are kept",
                       json_object_size(tags), TAGS_MAX);
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)tags, name, value) {
        if (!json_is_string(value))
            return err_set(e, ERR_JSON_TYPE, "the request: tag \"%.100s\" must be a string", name);
        if (strlen(name) > TAG_NAME_MAX || json_string_length(value) > TAG_VALUE_MAX)
            return err_set(e, ERR_FIELD_RANGE,
                           "the request: tag \"%.100s\": a name has at most %d bytes, a value %d",
                           name, TAG_NAME_MAX, TAG_VALUE_MAX);
    }
    return ERR_OK;
}

static enum err_code tags_text(const json_t *tags, char **ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *none = json_object();
    if (!none)
        return err_set(e, ERR_NOMEM, "no memory for tags");
    return db_json_column(tags ? tags : none, ret, e);
}

static enum err_code write_texts(struct submission *s, const struct retrain_request *q,
                                 struct err *e)
{
    enum err_code r = db_json_column(s->recipe, &s->recipe_text, e);
    if (!r)
        r = db_json_column(s->gate, &s->gate_text, e);
    if (!r)
        r = db_json_column(s->limits, &s->limits_text, e);
    return r ? r : tags_text(q->tags, &s->tags_text, e);
}

static enum err_code insert(struct db_tx *t, const char *id, const struct submission *s,
                            const struct retrain_request *q, const char *who, struct err *e)
{
    return db_exec(t, e,
                   "INSERT INTO job (id, model, state, dataset, dataset_version, backbone, mode, "
                   "recipe, gate, seed, tags, requested_by, created_ms, priority, limits) "
                   "VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   DB_TEXT(id), DB_INT(s->model), DB_INT(s->dataset), DB_INT(s->version),
                   DB_INT(s->backbone), DB_TEXT(s->mode), DB_TEXT(s->recipe_text),
                   DB_TEXT(s->gate_text), DB_INT(q->seed), DB_TEXT(s->tags_text), DB_TEXT(who),
                   DB_INT(clock_utc_ms()), DB_INT(q->priority), DB_TEXT(s->limits_text));
}

static enum err_code audit(struct db_tx *t, const char *id, const char *model,
                           const struct submission *s, const struct retrain_request *q,
                           const char *who, struct err *e)
{
    char subject[80];
    snprintf(subject, sizeof subject, "job/%s", id);
    CLEANUP(json_decref_p)
    json_t *after = json_pack(
        "{s:s, s:I, s:O, s:I, s:I, s:O, s:o, s:s?}", "model", model, "dataset_version",
        (json_int_t)s->version, "recipe", s->recipe, "seed", (json_int_t)q->seed, "priority",
        (json_int_t)q->priority, "limits", s->limits, "tags",
        q->tags ? json_incref((json_t *)q->tags) : json_object(), "callback_url", q->callback);
    if (!after)
        return err_set(e, ERR_NOMEM, "no memory for a job");
    return db_audit(t, who, "job.submit", subject, NULL, after, e);
}

/* The model is not looked up by its index, which would walk all jobs that it ever had. */
static enum err_code find_twin(struct db_tx *t, const struct submission *s,
                               const struct retrain_request *q, struct db_rows **ret, struct err *e)
{
    return db_get(
        t, ret, e,
        "SELECT id, priority FROM job WHERE state = 'queued' AND ended_ms IS NULL "
        "AND +model = ? AND dataset = ? AND dataset_version = ? AND backbone = ? "
        "AND mode = ? AND recipe = ? AND gate = ? AND seed = ? AND tags = ? AND limits = ? "
        "ORDER BY id LIMIT 1",
        DB_INT(s->model), DB_INT(s->dataset), DB_INT(s->version), DB_INT(s->backbone),
        DB_TEXT(s->mode), DB_TEXT(s->recipe_text), DB_TEXT(s->gate_text), DB_INT(q->seed),
        DB_TEXT(s->tags_text), DB_TEXT(s->limits_text));
}

static enum err_code raise_priority(struct db_tx *t, const char *id, int64_t was, int64_t is,
                                    const char *who, struct err *e)
{
    char subject[80];
    snprintf(subject, sizeof subject, "job/%s", id);
    CLEANUP(json_decref_p) json_t *before = json_pack("{s:I}", "priority", (json_int_t)was);
    CLEANUP(json_decref_p) json_t *after = json_pack("{s:I}", "priority", (json_int_t)is);
    if (!before || !after)
        return err_set(e, ERR_NOMEM, "no memory for a job");
    enum err_code r = db_exec(t, e, "UPDATE job SET priority = ? WHERE id = ? AND state = 'queued'",
                              DB_INT(is), DB_TEXT(id));
    return r ? r : db_audit(t, who, "job.priority", subject, before, after, e);
}

/* An identical job that still waits would train the very same version. */
static enum err_code coalesce(struct db_tx *t, const struct submission *s,
                              const struct retrain_request *q, const char *who,
                              struct submitted *ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = q->coalesce ? find_twin(t, s, q, &row, e) : ERR_OK;
    if (r || !row)
        return r;
    snprintf(ret->id, sizeof ret->id, "%s", db_text(row, 0));
    ret->how = SUBMITTED_COALESCED;
    int64_t priority = db_int(row, 1);
    return q->priority > priority ? raise_priority(t, ret->id, priority, q->priority, who, e)
                                  : ERR_OK;
}

/* In the one transaction: a new job, or the one that answers the request already. */
static enum err_code add(struct db_tx *t, const char *model, const struct retrain_request *q,
                         const char *who, struct submitted *ret, struct err *e)
{
    CLEANUP(submission_fini) struct submission sub = { 0 };
    enum err_code r = read_model(t, model, &sub, e);
    if (!r)
        r = merge_recipe(q, &sub, e);
    if (!r)
        r = merge_limits(q, &sub, e);
    if (!r)
        r = read_counts(t, q->dataset_version, &sub, e);
    if (!r)
        r = check_counts(&sub, e);
    if (!r)
        r = write_texts(&sub, q, e);
    if (!r)
        r = coalesce(t, &sub, q, who, ret, e);
    if (r || ret->how == SUBMITTED_COALESCED)
        return r;
    r = insert(t, ret->id, &sub, q, who, e);
    if (!r)
        r = job_event_add(t, ret->id, e);
    return r ? r : audit(t, ret->id, model, &sub, q, who, e);
}

enum err_code submission_add(struct state *s, const char *model, const struct retrain_request *q,
                             const char *who, struct submitted *ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    const struct idempotency key = { .who = who, .key = q->key, .request = q->request };
    struct submitted done = *ret;
    char before[ULID_TEXT] = "";
    if (q->priority < JOBS_PRIORITY_MIN || q->priority > JOBS_PRIORITY_MAX)
        return err_set(e, ERR_FIELD_RANGE,
                       "the request: priority must be from %d to %d, is %" PRId64,
                       JOBS_PRIORITY_MIN, JOBS_PRIORITY_MAX, q->priority);
    if (q->dataset_version < 0)
        return err_set(e, ERR_FIELD_RANGE,
                       "the request: dataset_version must be at least 1, is %" PRId64,
                       q->dataset_version);
    enum err_code r = check_tags(q->tags, e);
    if (!r)
        r = db_write(state_db(s), &t, e);
    if (!r && q->key)
        r = idempotency_find(t, &key, before, e);
    if (!r && before[0]) {
        *ret = (struct submitted){ .how = SUBMITTED_REPEATED };
        snprintf(ret->id, sizeof ret->id, "%s", before);
        return ERR_OK;
    }
    if (!r)
        r = add(t, model, q, who, &done, e);
    if (!r && q->callback)
        r = webhook_add_callback(t, done.id, q->callback, q->callback_secret, who, e);
    if (!r && q->key)
        r = idempotency_add(t, &key, done.id, e);
    if (!r)
        r = db_commit(&t, e);
    if (!r)
        *ret = done;
    return r;
}

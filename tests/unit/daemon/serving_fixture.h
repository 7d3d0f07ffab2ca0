/* serving_fixture.h -- a registry with a model, made by SQL, and a classifier that is not a
 * network.
 *
 * The test program defines classifier.h's functions itself, so that it can count what lives, block
 * a score and make one fail. The fake's file is text: "fake LABEL,LABEL,...": the most probable
 * class is the picture's first byte modulo the classes. A picture "bad" is refused. */
#ifndef KENNEL_SERVING_FIXTURE_H
#define KENNEL_SERVING_FIXTURE_H

#include "nn/classifier.h"
#include "registry_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* --- the fake classifier -------------------------------------------------------------------- */

enum { FAKE_CLASSES_MAX = 64 };

struct classifier {
    int classes;
    char *labels[FAKE_CLASSES_MAX];
    atomic_int scratches;
};

struct classifier_scratch {
    struct classifier *owner;
    atomic_flag in_use;
    int best; /* what was decoded last */
};

static atomic_int fake_live;           /* classifiers */
static atomic_int fake_freed_by;       /* the thread that freed the last one */
static atomic_int fake_scratches_made; /* ever */
static atomic_int fake_scored;         /* pictures, warm-ups included */

/* A picture "wait" waits until the gate is open. */
static pthread_mutex_t fake_mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fake_changed = PTHREAD_COND_INITIALIZER;
static bool fake_open;   /* guarded by fake_mu */
static int fake_waiting; /* guarded by fake_mu */

static inline void fake_set_open(bool open)
{
    pthread_mutex_lock(&fake_mu);
    fake_open = open;
    pthread_cond_broadcast(&fake_changed);
    pthread_mutex_unlock(&fake_mu);
}

static inline void fake_await_waiting(int count)
{
    pthread_mutex_lock(&fake_mu);
    while (fake_waiting < count)
        pthread_cond_wait(&fake_changed, &fake_mu);
    pthread_mutex_unlock(&fake_mu);
}

enum err_code classifier_load(const void *bytes, size_t len, struct classifier **ret, struct err *e)
{
    if (len < 6 || memcmp(bytes, "fake ", 5) != 0)
        return err_set(e, ERR_ONNX_SYNTAX, "not a fake");
    struct classifier *c = calloc(1, sizeof *c);
    char *text = strndup((const char *)bytes + 5, len - 5);
    if (!c || !text)
        abort();
    char *rest = NULL;
    for (char *label = strtok_r(text, ",", &rest); label; label = strtok_r(NULL, ",", &rest))
        c->labels[c->classes++] = strdup(label);
    free(text);
    atomic_fetch_add(&fake_live, 1);
    *ret = c;
    return ERR_OK;
}

void classifier_free(struct classifier *c)
{
    if (!c)
        return;
    /* A scratch must not outlive its classifier. */
    if (atomic_load(&c->scratches))
        abort();
    for (int i = 0; i < c->classes; i++)
        free(c->labels[i]);
    free(c);
    atomic_fetch_sub(&fake_live, 1);
    atomic_store(&fake_freed_by, gettid());
}

int classifier_classes(const struct classifier *c)
{
    return c->classes;
}

const char *const *classifier_labels(const struct classifier *c)
{
    return (const char *const *)c->labels;
}

const struct preprocess *classifier_preprocess(const struct classifier *c)
{
    (void)c;
    return NULL;
}

enum err_code classifier_scratch_new(const struct classifier *c, struct classifier_scratch **ret,
                                     struct err *e)
{
    (void)e;
    struct classifier_scratch *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->owner = (struct classifier *)c;
    atomic_flag_clear(&s->in_use);
    atomic_fetch_add(&s->owner->scratches, 1);
    atomic_fetch_add(&fake_scratches_made, 1);
    *ret = s;
    return ERR_OK;
}

void classifier_scratch_free(struct classifier_scratch *s)
{
    if (!s)
        return;
    atomic_fetch_sub(&s->owner->scratches, 1);
    free(s);
}

enum { FAKE_BYTES = 1000, FAKE_SCRATCH_BYTES = 100 };

size_t classifier_bytes(const struct classifier *c)
{
    (void)c;
    return FAKE_BYTES;
}

size_t classifier_scratch_bytes(const struct classifier *c)
{
    (void)c;
    return FAKE_SCRATCH_BYTES;
}

enum err_code classifier_decode(const struct classifier *c, struct classifier_scratch *s,
                                const void *bytes, size_t len, const struct image_limits *limits,
                                struct err *e)
{
    (void)limits;
    if (s->owner != c || atomic_flag_test_and_set(&s->in_use))
        abort();
    atomic_fetch_add(&fake_scored, 1);
    if (len == 4 && memcmp(bytes, "wait", 4) == 0) {
        pthread_mutex_lock(&fake_mu);
        fake_waiting++;
        pthread_cond_broadcast(&fake_changed);
        while (!fake_open)
            pthread_cond_wait(&fake_changed, &fake_mu);
        fake_waiting--;
        pthread_mutex_unlock(&fake_mu);
    }
    atomic_flag_clear(&s->in_use);
    if (len == 3 && memcmp(bytes, "bad", 3) == 0)
        return err_set(e, ERR_PICTURE_FORMAT, "not a picture");
    s->best = *(const uint8_t *)bytes % c->classes;
    return ERR_OK;
}

enum err_code classifier_run(const struct classifier *c, struct classifier_scratch *s, float *ret,
                             struct err *e)
{
    (void)e;
    int best = s->best;
    for (int i = 0; i < c->classes; i++)
        ret[i] = i == best ? 0.5f : 0.5f / (float)(c->classes - 1);
    return ERR_OK;
}

/* A tensor is the answer itself. */
enum err_code classifier_score_tensor(const struct classifier *c, struct classifier_scratch *s,
                                      const void *tensor, float *ret, struct err *e)
{
    (void)e;
    if (s->owner != c)
        abort();
    memcpy(ret, tensor, (size_t)c->classes * sizeof *ret);
    return ERR_OK;
}

enum err_code classifier_score(const struct classifier *c, struct classifier_scratch *s,
                               const void *bytes, size_t len, const struct image_limits *limits,
                               float *ret, struct err *e)
{
    enum err_code r = classifier_decode(c, s, bytes, len, limits, e);
    return r ? r : classifier_run(c, s, ret, e);
}

enum err_code classifier_export(const struct backbone *b, const struct head *h,
                                const char *const *labels, const struct network_meta_pair *extra,
                                size_t extra_count, struct buf *ret, struct err *e)
{
    (void)b, (void)h, (void)labels, (void)extra, (void)extra_count, (void)ret;
    return err_set(e, ERR_INTERNAL, "the fake cannot export");
}

/* --- a registry ------------------------------------------------------------------------------ */

/* Dataset "d" with one version, backbone "b". */
static inline void add_base(struct fixture *f)
{
    fixture_script(
        f,
        "INSERT INTO dataset (id, name, created_ms, who) VALUES (1, 'd', 1, 'me');"
        "INSERT INTO dataset_version (dataset, number, digest, cause, who, created_ms, pictures, "
        "labels, counts, added, removed, duplicates, rejected) VALUES (1, 1, "
        "x'0101010101010101010101010101010101010101010101010101010101010101', 'import', 'me', 1, "
        "8, 2, '{\"a\":{\"train\":2,\"val\":2,\"test\":0},\"b\":{\"train\":2,\"val\":2,"
        "\"test\":0}}', 8, 0, 0, 0);"
        "INSERT INTO backbone (id, name, digest, bytes, feature_tensor, feature_width, input_name, "
        "input_height, input_width, preprocess, parameters, overrides, created_ms, who) VALUES "
        "(1, 'b', x'0202020202020202020202020202020202020202020202020202020202020202', 1, 'f', 8, "
        "'x', 224, 224, '{}', 1, '{\"resize\":250}', 1, 'me');");
}

static inline void add_model(struct fixture *f, int id, const char *name)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "INSERT INTO model (id, name, dataset, backbone, recipe, gate, created_ms, who) "
             "VALUES (%d, '%s', 1, 1, '{\"folds\":3}', '{}', 1, 'me')",
             id, name);
    fixture_script(f, sql);
}

/* A version whose artifact is `file`; decision: JSON. */
static inline void add_version(struct fixture *f, int model, int number, const char *file,
                               const char *decision, bool passed)
{
    struct err e = { 0 };
    struct digest d;
    char hex[DIGEST_HEX + 1], sql[2000];
    assert_ok(blobs_put(state_blobs(f->state), file, strlen(file), &d, &e));
    digest_hex(&d, hex);
    snprintf(sql, sizeof sql,
             "INSERT INTO job (id, model, state, dataset, dataset_version, backbone, mode, recipe, "
             "gate, seed, tags, requested_by, created_ms) VALUES ('old%d-%d', %d, 'queued', 1, 1, "
             "1, 'head', '{}', '{}', 0, '{}', 'me', 1);"
             "INSERT INTO version (model, number, job, artifact, bytes, report, decision, passed, "
             "accuracy, macro_f1, log_loss, calibration_error, holdout_count, created_ms) VALUES "
             "(%d, %d, 'old%d-%d', x'%s', %zu, x'%s', '%s', %d, 0.9, 0.9, 0.1, 0.1, 4, 1);"
             "UPDATE job SET state = 'succeeded', version = %d, ended_ms = 2 WHERE id = 'old%d-%d'",
             model, number, model, model, number, model, number, hex, strlen(file), hex, decision,
             passed, number, model, number);
    fixture_script(f, sql);
}

static inline void set_production(struct fixture *f, int model, int version)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             "INSERT INTO alias (model, name, version) VALUES (%d, 'production', %d) "
             "ON CONFLICT (model, name) DO UPDATE SET version = excluded.version",
             model, version);
    fixture_script(f, sql);
}

#endif

#include "daemon/snapshot.h"

#include "daemon/db.h"
#include "data/base/cleanup.h"

#include <inttypes.h>
#include <string.h>

struct serve_scratch {
    struct classifier_scratch *classifier; /* owned */
    struct serve_scratch *next;            /* guarded by the snapshot's mu while idle */
};

/* A grey pixel: enough to run every layer once, which faults in the weights and makes oneDNN's
 * primitives ready, before a request has to wait for it. */
static const uint8_t warm_up_png[] = {
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48,
    0x44, 0x52, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00,
    0x00, 0x90, 0x77, 0x53, 0xde, 0x00, 0x00, 0x00, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x78,
    0xda, 0x63, 0x68, 0x68, 0x68, 0x00, 0x00, 0x03, 0x04, 0x01, 0x81, 0x75, 0x2e, 0x01,
    0xbc, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
};

enum err_code serve_slot_new(const char *name, struct serve_slot **ret, struct err *e)
{
    struct serve_slot *slot = calloc(1, sizeof *slot);
    if (slot)
        slot->name = strdup(name);
    if (!slot || !slot->name) {
        free(slot);
        return err_set(e, ERR_NOMEM, "no memory to serve model \"%s\"", name);
    }
    *ret = slot;
    return ERR_OK;
}

void serve_slot_free(struct serve_slot *slot)
{
    if (!slot)
        return;
    free(slot->name);
    free(slot);
}

struct facts {
    struct digest artifact;
    int strip_prefix; /* 1, 0, or -1: when every label has one */
};

static enum err_code read_facts(struct state *s, const char *model, int64_t version,
                                struct facts *ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_get(t, &row, e,
                   "SELECT v.artifact, m.strip_prefix, v.purged_ms FROM model m "
                   "LEFT JOIN version v ON v.model = m.id AND v.number = ? WHERE m.name = ?",
                   DB_INT(version), DB_TEXT(model));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_MODEL_UNKNOWN, "there is no model \"%s\"", model);
    if (db_is_null(row, 0))
        return err_set(e, ERR_VERSION_UNKNOWN, "model \"%s\" has no version %" PRId64, model,
                       version);
    if (!db_is_null(row, 2))
        return err_set(e, ERR_VERSION_PURGED,
                       "version %" PRId64 " of model \"%s\" was given up by its retention", version,
                       model);
    ret->strip_prefix = db_is_null(row, 1) ? -1 : (int)db_int(row, 1);
    return db_digest(row, 0, &ret->artifact, e);
}

/* "n02091032-Italian_greyhound": ImageNet's folder names (WordNet's noun offsets) -> 10. */
static size_t prefix_length(const char *label)
{
    bool has = label[0] == 'n' && strspn(label + 1, "0123456789") == 8 && label[9] == '-' &&
               label[10] != 0;
    return has ? 10 : 0;
}

static enum err_code make_labels(struct serve_ref *r, int strip_prefix, struct err *e)
{
    int classes = classifier_classes(r->classifier);
    const char *const *full = classifier_labels(r->classifier);
    r->labels = calloc((size_t)classes, sizeof *r->labels);
    if (!r->labels)
        return err_set(e, ERR_NOMEM, "no memory for %d labels", classes);
    bool strip = strip_prefix != 0;
    for (int i = 0; strip_prefix < 0 && i < classes; i++)
        strip = strip && prefix_length(full[i]);
    for (int i = 0; i < classes; i++)
        r->labels[i] = full[i] + (strip ? prefix_length(full[i]) : 0);
    return ERR_OK;
}

/* All the scratches are held until the last one has run: what is given back would be lent again. */
static enum err_code warm_up(struct serve_ref *r, int scratches, const struct image_limits *limits,
                             struct err *e)
{
    CLEANUP(cleanup_free)
    float *probabilities = calloc((size_t)classifier_classes(r->classifier), sizeof *probabilities);
    if (!probabilities)
        return err_set(e, ERR_NOMEM, "no memory to warm up model \"%s\"", r->model);
    struct serve_scratch *warm = NULL;
    enum err_code code = ERR_OK;
    do {
        struct serve_scratch *s = NULL;
        code = serve_scratch_borrow(r, &s, e);
        if (code)
            break;
        s->next = warm;
        warm = s;
        code = classifier_score(r->classifier, s->classifier, warm_up_png, sizeof warm_up_png,
                                limits, probabilities, e);
    } while (!code && --scratches > 0);
    while (warm) {
        struct serve_scratch *next = warm->next;
        serve_scratch_release(r, warm);
        warm = next;
    }
    return code;
}

static enum err_code load_classifier(struct state *s, const struct digest *artifact,
                                     struct classifier **ret, struct err *e)
{
    CLEANUP(buf_fini) struct buf bytes;
    buf_init(&bytes, NETWORK_BYTES_MAX);
    enum err_code r = blobs_get(state_blobs(s), artifact, true, &bytes, e);
    return r ? r : classifier_load(bytes.data, bytes.len, ret, e);
}

CLEANUP_DEFINE(struct serve_ref, snapshot_free);

enum err_code snapshot_load(struct serve *owner, struct state *s, const char *model,
                            int64_t version, int scratches, struct serve_ref **ret, struct err *e)
{
    struct facts facts;
    enum err_code code = read_facts(s, model, version, &facts, e);
    if (code)
        return code;
    CLEANUP(snapshot_free_p) struct serve_ref *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory to serve model \"%s\"", model);
    *r = (struct serve_ref){ .owner = owner, .borrows = 1, .version = version };
    pthread_mutex_init(&r->mu, NULL);
    r->model = strdup(model);
    if (!r->model)
        return err_set(e, ERR_NOMEM, "no memory to serve model \"%s\"", model);
    code = serve_slot_new(model, &r->slot, e);
    if (!code)
        code = load_classifier(s, &facts.artifact, &r->classifier, e);
    if (!code)
        code = make_labels(r, facts.strip_prefix, e);
    if (!code)
        code = warm_up(r, scratches, &state_limits(s)->image, e);
    if (!code)
        *ret = STEAL(r);
    return code;
}

static void scratch_free(struct serve_scratch *s)
{
    classifier_scratch_free(s->classifier);
    free(s);
}

void snapshot_free(struct serve_ref *r)
{
    if (!r)
        return;
    while (r->idle) {
        struct serve_scratch *next = r->idle->next;
        scratch_free(r->idle);
        r->idle = next;
    }
    if (r->classifier)
        classifier_free(r->classifier);
    serve_slot_free(r->slot);
    pthread_mutex_destroy(&r->mu);
    free(r->labels);
    free(r->model);
    free(r);
}

uint64_t snapshot_bytes(const struct serve_ref *r)
{
    size_t scratches = (size_t)atomic_load(&r->scratches);
    return classifier_bytes(r->classifier) + scratches * classifier_scratch_bytes(r->classifier);
}

enum err_code serve_scratch_borrow(struct serve_ref *r, struct serve_scratch **ret, struct err *e)
{
    pthread_mutex_lock(&r->mu);
    struct serve_scratch *s = r->idle;
    if (s)
        r->idle = s->next;
    pthread_mutex_unlock(&r->mu);
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s)
            return err_set(e, ERR_NOMEM, "no memory to score with model \"%s\"", r->model);
        enum err_code code = classifier_scratch_new(r->classifier, &s->classifier, e);
        if (code) {
            free(s);
            return code;
        }
        atomic_fetch_add(&r->scratches, 1);
    }
    *ret = s;
    return ERR_OK;
}

void serve_scratch_release(struct serve_ref *r, struct serve_scratch *s)
{
    pthread_mutex_lock(&r->mu);
    s->next = r->idle;
    r->idle = s;
    pthread_mutex_unlock(&r->mu);
}

struct classifier_scratch *serve_scratch_classifier(const struct serve_scratch *s)
{
    return s->classifier;
}

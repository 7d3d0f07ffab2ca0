#include "daemon/follow_copy.h"

#include "daemon/follow_pull.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"
#include "data/base/log.h"

#include <string.h>

static void log_model(const char *event, const char *model, const struct err *e)
{
    log_event("error", event, "model", model, "code", err_slug(e->code), "message", e->message,
              NULL);
}

/* *ret_first: the first failure of all, for the status; the others have been logged. */
static enum err_code give_up(struct follow_copy *c, json_t *next, const char *event,
                             int64_t model_id, const struct err *failure, struct err *ret_first,
                             struct err *e)
{
    const json_t *name = json_object_get(replica_model(next, model_id), "name");
    log_model(event, json_string_value(name), failure);
    if (!ret_first->code)
        *ret_first = *failure;
    enum err_code r = replica_keep(next, c->catalog, model_id, e);
    c->missing += !r && !replica_model(next, model_id);
    return r;
}

static enum err_code pull_one(struct follow_copy *c, const struct replica_version *v, struct err *e)
{
    struct blobs *blobs = state_blobs(c->state);
    if (blobs_has(blobs, &v->artifact))
        return ERR_OK;
    enum err_code r = follow_pull(c->link, c->state, v, e);
    if (!r) {
        atomic_fetch_add(&c->pulls, 1);
        atomic_fetch_add(&c->pulled_bytes, v->bytes);
    } else if (r != ERR_CANCELLED) {
        atomic_fetch_add(&c->pull_failures, 1);
    }
    return r;
}

/* What there is no artifact of stays as it was. */
static enum err_code pull_all(struct follow_copy *c, json_t *next, struct err *ret_first,
                              struct err *e)
{
    CLEANUP(json_decref_p) json_t *rows = json_copy(json_object_get(next, "version"));
    size_t i;
    json_t *row;
    enum err_code r = rows ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for a catalogue");
    json_array_foreach (rows, i, row) {
        struct replica_version v;
        struct err failure;
        if (r)
            break;
        r = replica_version(next, row, &v, e);
        /* Of a model that was given up meanwhile. */
        if (!r && !json_equal(replica_find_version(next, v.model_id, v.version), row))
            continue;
        if (!r && pull_one(c, &v, &failure)) {
            if (failure.code == ERR_CANCELLED)
                return err_set(e, failure.code, "%s", failure.message);
            r = give_up(c, next, "pull", v.model_id, &failure, ret_first, e);
        }
    }
    return r;
}

/* Its production version, and how it is shown, are what is served. */
static bool is_served(struct follow_copy *c, const json_t *next, const json_t *model,
                      int64_t version)
{
    const char *name = json_string_value(json_object_get(model, "name"));
    int64_t id = json_integer_value(json_object_get(model, "id"));
    const json_t *was = replica_model(c->catalog, id);
    const json_t *a = replica_find_version(next, id, version);
    const json_t *b = replica_find_version(c->catalog, id, version);
    return serve_stands_for(c->serve, name) == version && was && b &&
           json_equal(json_object_get(model, "name"), json_object_get(was, "name")) &&
           json_equal(json_object_get(a, "artifact"), json_object_get(b, "artifact")) &&
           json_equal(json_object_get(model, "strip_prefix"), json_object_get(was, "strip_prefix"));
}

/* A file that changed on the disk is pulled again the next time. */
static void drop_damaged(struct follow_copy *c, const json_t *next, int64_t model_id,
                         int64_t version, enum err_code code)
{
    struct replica_version v;
    const json_t *row = replica_find_version(next, model_id, version);
    if (code == ERR_BLOB_CORRUPT && row && !replica_version(next, row, &v, NULL))
        (void)!blobs_remove(state_blobs(c->state), &v.artifact, NULL);
}

struct loaded {
    struct serve_ref **refs; /* [count], owned with what they name; a swap takes one */
    size_t count;
};

static void loaded_fini(struct loaded *l)
{
    for (size_t i = 0; i < l->count; i++)
        serve_release(l->refs[i]);
    free(l->refs);
}

static enum err_code load_changed(struct follow_copy *c, json_t *next, struct loaded *ret,
                                  struct err *ret_first, struct err *e)
{
    CLEANUP(json_decref_p) json_t *models = json_copy(json_object_get(next, "model"));
    size_t i;
    json_t *model;
    enum err_code r = ERR_OK;
    ret->refs = calloc(json_array_size(models) + 1, sizeof(struct serve_ref *));
    if (!models || !ret->refs)
        return err_set(e, ERR_NOMEM, "no memory for a catalogue");
    json_array_foreach (models, i, model) {
        int64_t id = json_integer_value(json_object_get(model, "id"));
        int64_t version = replica_production(next, id);
        struct err failure;
        if (r || !version || is_served(c, next, model, version))
            continue;
        const char *name = json_string_value(json_object_get(model, "name"));
        if (!serve_load(c->serve, name, version, &ret->refs[ret->count], &failure)) {
            ret->count++;
            continue;
        }
        drop_damaged(c, next, id, version, failure.code);
        r = give_up(c, next, "load", id, &failure, ret_first, e);
    }
    return r;
}

/* Whose versions on demand may be other ones now; who is not in production any more. */
static void forget_changed(struct follow_copy *c, const json_t *next)
{
    size_t i;
    json_t *model;
    json_array_foreach (json_object_get(c->catalog, "model"), i, model) {
        int64_t id = json_integer_value(json_object_get(model, "id"));
        const char *name = json_string_value(json_object_get(model, "name"));
        const json_t *now = replica_model(next, id);
        if (!json_equal(model, now))
            serve_forget(c->serve, name);
        bool gone = !json_equal(json_object_get(now, "name"), json_object_get(model, "name")) ||
                    !replica_production(next, id);
        if (gone && replica_production(c->catalog, id))
            (void)!serve_unload(c->serve, name, NULL);
    }
}

/* The rows and what is served change together for whoever holds the moves' lock. */
static enum err_code commit(struct follow_copy *c, const json_t *next, const char *tag,
                            struct loaded *loaded, struct err *e)
{
    struct serve *serve = c->serve;
    serve_moves_lock(serve);
    enum err_code r = replica_replace(c->state, next, tag, e);
    if (!r)
        forget_changed(c, next);
    for (size_t i = 0; !r && i < loaded->count; i++)
        serve_swap(serve, STEAL(loaded->refs[i]));
    serve_moves_unlock(serve);
    return r;
}

static enum err_code adopt(struct follow_copy *c, json_t *next, const char *tag,
                           struct err *ret_part, struct err *e)
{
    CLEANUP(loaded_fini) struct loaded loaded = { NULL, 0 };
    enum err_code r = pull_all(c, next, ret_part, e);
    if (!r)
        r = replica_add(c->state, next, e);
    if (!r)
        r = load_changed(c, next, &loaded, ret_part, e);
    if (!r)
        r = commit(c, next, ret_part->code ? NULL : tag, &loaded, e);
    if (r)
        return r;
    json_decref(c->catalog);
    c->catalog = json_incref(next);
    snprintf(c->tag, sizeof c->tag, "%s", ret_part->code ? "" : tag);
    return ERR_OK;
}

enum err_code follow_copy_adopt(struct follow_copy *c, const struct buf *text, const char *tag,
                                struct err *ret_part, struct err *e)
{
    CLEANUP(json_decref_p) json_t *next = NULL;
    struct digest digest;
    char own[DIGEST_HEX + 1];
    enum err_code r = digest_of(text->data, text->len, &digest, e);
    if (r)
        return r;
    digest_hex(&digest, own);
    if (strcmp(own, tag) != 0)
        return err_set(e, ERR_TRAINER, "the catalogue is not the one that its tag names");
    r = replica_parse((const char *)text->data, text->len, &next, e);
    if (r)
        return r;
    ret_part->code = ERR_OK;
    c->missing = 0;
    state_put_begin(c->state);
    r = adopt(c, next, tag, ret_part, e);
    state_put_end(c->state, false); /* sweeps what nothing names any more */
    return r;
}

void follow_copy_check(struct follow_copy *c)
{
    struct blobs *blobs = state_blobs(c->state);
    size_t i;
    json_t *row;
    json_array_foreach (json_object_get(c->catalog, "version"), i, row) {
        struct replica_version v;
        CLEANUP(buf_fini) struct buf bytes;
        buf_init(&bytes, NETWORK_BYTES_MAX);
        struct err e;
        if (replica_version(c->catalog, row, &v, &e) ||
            !blobs_get(blobs, &v.artifact, true, &bytes, &e))
            continue;
        log_model("cache", v.model, &e);
        if (e.code == ERR_BLOB_CORRUPT)
            (void)!blobs_remove(blobs, &v.artifact, NULL);
        c->tag[0] = 0; /* the whole is asked for again */
    }
}

enum err_code follow_copy_load(struct follow_copy *c, int64_t *ret_synced_ms, struct err *e)
{
    return replica_load(c->state, &c->catalog, c->tag, ret_synced_ms, e);
}

void follow_copy_fini(struct follow_copy *c)
{
    json_decref(c->catalog);
}

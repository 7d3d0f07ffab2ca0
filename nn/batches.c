#include "nn/batches.h"

#include "data/base/cleanup.h"
#include "data/random.h"

struct batches {
    struct loader *loader; /* owned; NULL: the rest counts */
    struct batches_cached o;
    uint64_t order; /* names the epoch's permutation */
    int64_t epoch, step;
    float *values, *targets; /* owned; [batch][floats], [batch][classes] */
    size_t *items;           /* owned; [batch] */
};

CLEANUP_DEFINE(struct batches, batches_free);

enum err_code batches_of_loader(struct loader *l, struct batches **ret, struct err *e)
{
    struct batches *b = calloc(1, sizeof *b);
    if (!b)
        return err_set(e, ERR_NOMEM, "no memory for batches");
    b->loader = l;
    *ret = b;
    return ERR_OK;
}

enum err_code batches_of_cache(const struct batches_cached *o, struct batches **ret, struct err *e)
{
    CLEANUP(batches_free_p) struct batches *b = calloc(1, sizeof *b);
    if (!b)
        return err_set(e, ERR_NOMEM, "no memory for batches");
    size_t batch = (size_t)o->batch;
    b->o = *o;
    b->values = calloc(batch, o->floats * sizeof *b->values);
    b->targets = calloc(batch, (size_t)o->classes * sizeof *b->targets);
    b->items = calloc(batch, sizeof *b->items);
    if (!b->values || !b->targets || !b->items)
        return err_set(e, ERR_NOMEM, "no memory for batches of %d x %zu numbers", o->batch,
                       o->floats);
    enum err_code r = batches_seek(b, 0, 0, e);
    if (!r)
        *ret = STEAL(b);
    return r;
}

void batches_free(struct batches *b)
{
    if (!b)
        return;
    loader_free(b->loader);
    free(b->values);
    free(b->targets);
    free(b->items);
    free(b);
}

int64_t batches_steps(const struct batches *b)
{
    if (b->loader)
        return loader_steps(b->loader);
    return ((int64_t)b->o.count + b->o.batch - 1) / b->o.batch;
}

enum err_code batches_seek(struct batches *b, int64_t epoch, int64_t step, struct err *e)
{
    if (b->loader)
        return loader_seek(b->loader, epoch, step, e);
    b->order = random_stream(b->o.seed, (uint64_t)epoch, 0, 0).state;
    b->epoch = epoch;
    b->step = step;
    return ERR_OK;
}

static enum err_code fill(struct batches *b, size_t position, size_t at, struct err *e)
{
    const struct batches_cached *o = &b->o;
    size_t item = o->shuffle ? (size_t)random_permute(b->order, o->count, position) : position;
    int view = o->first_view + (int)(b->epoch % o->views);
    float *target = b->targets + at * (size_t)o->classes;
    b->items[at] = item;
    if (!feature_cache_get(o->cache, &o->pictures[item], view, b->values + at * o->floats)) {
        char hex[DIGEST_HEX + 1];
        digest_hex(&o->pictures[item], hex);
        return err_set(e, ERR_BLOB_MISSING, "view %d of picture %s is not in the feature cache",
                       view, hex);
    }
    for (int c = 0; c < o->classes; c++)
        target[c] = o->smoothing / (float)o->classes;
    target[o->labels[item]] += 1 - o->smoothing;
    return ERR_OK;
}

enum err_code batches_next(struct batches *b, struct loader_batch *ret, struct err *e)
{
    if (b->loader)
        return loader_next(b->loader, ret, e);
    size_t from = (size_t)b->step * (size_t)b->o.batch;
    size_t left = from < b->o.count ? b->o.count - from : 0;
    size_t count = left < (size_t)b->o.batch ? left : (size_t)b->o.batch;
    for (size_t i = 0; i < count; i++) {
        enum err_code r = fill(b, from + i, i, e);
        if (r)
            return r;
    }
    b->step++;
    *ret = (struct loader_batch){
        .count = (int)count, .pictures = b->values, .targets = b->targets, .items = b->items
    };
    return ERR_OK;
}

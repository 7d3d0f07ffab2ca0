/* What the frozen part of a network makes of pictures, by way of the feature cache. */
#include "nn/retrain_parts.h"

#include "data/base/cleanup.h"

enum { CACHE_WAIT_MS = 200, PIECE_BYTES = 64 << 20 };

void retrain_caches_fini(struct retrain_caches *c)
{
    feature_cache_close(c->plain);
    feature_cache_close(c->augmented);
    *c = (struct retrain_caches){ 0 };
}

/* Another job may be filling the same cache: what it computes is computed once, so waiting
 * for it is never longer than doing it all again. */
static enum err_code open_cache(struct retrain *run, const struct backbone *b,
                                const struct digest *key, size_t count, struct feature_cache **ret,
                                struct err *e)
{
    enum err_code r;
    do {
        r = feature_cache_open(run->places.features, key, b->width, CACHE_WAIT_MS, ret, e);
        if (r == ERR_BUSY && retrain_tell(run, 0, count))
            return err_set(e, ERR_CANCELLED, "cancelled while waiting for the feature cache");
    } while (r == ERR_BUSY);
    return r;
}

static const struct augment *augment_of(const struct retrain *run,
                                        const struct features_item *items, size_t count)
{
    for (size_t i = 0; run->spec->recipe.has_augment && i < count; i++)
        if (items[i].view > 0)
            return &run->spec->recipe.augment;
    return NULL;
}

/* The second cache only where an item needs it. */
static enum err_code open_caches(struct retrain *run, const struct backbone *b, bool whole,
                                 const struct integers *integers, const struct features_item *items,
                                 size_t count, struct retrain_caches *ret,
                                 struct features_request *ret_request, struct err *e)
{
    const struct augment *augment = augment_of(run, items, count);
    struct digest plain, augmented;
    bool int8 = integers && integers->text;
    enum err_code r = int8 ? precision_feature_key(b, integers, &plain, e)
                           : features_key(b, whole, NULL, &plain, e);
    if (!r && augment)
        r = features_key(b, whole, augment, &augmented, e);
    if (!r)
        r = open_cache(run, b, &plain, count, &ret->plain, e);
    if (!r && augment)
        r = open_cache(run, b, &augmented, count, &ret->augmented, e);
    *ret_request = (struct features_request){ .backbone = b,
                                              .blobs = run->places.blobs,
                                              .cache = ret->plain,
                                              .augmented = ret->augmented,
                                              .augment = augment,
                                              .whole = whole,
                                              .ranges = int8 ? &integers->ranges : NULL,
                                              .items = items,
                                              .count = count,
                                              .threads = run->spec->threads,
                                              .limits = run->spec->limits };
    return r;
}

enum err_code retrain_features(struct retrain *run, const struct backbone *b,
                               const struct integers *integers, const struct features_item *items,
                               size_t count, float **ret, size_t *ret_passes, struct err *e)
{
    CLEANUP(retrain_caches_fini) struct retrain_caches caches = { 0 };
    CLEANUP(cleanup_free) float *x = calloc(count, (size_t)b->width * sizeof *x);
    struct features_request q;
    if (!x)
        return err_set(e, ERR_NOMEM, "no memory for %zu x %d features", count, b->width);
    size_t passes = 0;
    enum err_code r = open_caches(run, b, false, integers, items, count, &caches, &q, e);
    if (!r)
        r = features_compute(&q, retrain_tell, run, x, &passes, e);
    *ret_passes += passes;
    if (!r)
        *ret = STEAL(x);
    return r;
}

/* One piece tells its own passes; the listener wants those of all. */
struct piece {
    struct retrain *run;
    size_t before, all;
};

static bool tell_piece(void *context, size_t done, size_t total)
{
    const struct piece *p = context;
    (void)total;
    return retrain_tell(p->run, p->before + done, p->all);
}

enum err_code retrain_values(struct retrain *run, const struct backbone *b,
                             const struct features_item *items, size_t count,
                             struct retrain_caches *ret, size_t *ret_passes, struct err *e)
{
    CLEANUP(retrain_caches_fini) struct retrain_caches caches = { 0 };
    size_t bytes = (size_t)b->width * sizeof(float), most = PIECE_BYTES / bytes + 1;
    size_t piece = count < most ? count : most;
    CLEANUP(cleanup_free) float *x = calloc(piece, bytes);
    struct features_request q;
    if (!x)
        return err_set(e, ERR_NOMEM, "no memory for %zu values of %d numbers", piece, b->width);
    enum err_code r = open_caches(run, b, true, NULL, items, count, &caches, &q, e);
    for (size_t at = 0; !r && at < count; at += piece) {
        size_t passes = 0;
        struct piece p = { .run = run, .before = at, .all = count };
        q.items = items + at;
        q.count = count - at < piece ? count - at : piece;
        r = features_compute(&q, tell_piece, &p, x, &passes, e);
        *ret_passes += passes;
    }
    if (!r)
        r = feature_cache_share(caches.plain, e);
    if (!r && caches.augmented)
        r = feature_cache_share(caches.augmented, e);
    if (r)
        return r;
    *ret = caches;
    caches = (struct retrain_caches){ 0 };
    return ERR_OK;
}

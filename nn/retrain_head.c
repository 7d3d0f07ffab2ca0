/* Features by way of the cache, and the head that is fitted on them. */
#include "nn/retrain_parts.h"

#include "data/base/cleanup.h"

enum { CACHE_WAIT_MS = 200, BALANCE_RATIO = 2 };

/* Another job may be filling the same cache: what it computes is computed once, so waiting
 * for it is never longer than doing it all again. */
static enum err_code open_cache(struct retrain *run, const struct backbone *b,
                                const struct integers *integers, size_t count,
                                struct feature_cache **ret, struct err *e)
{
    struct digest key;
    enum err_code r = precision_feature_key(b, integers, &key, e);
    if (r)
        return r;
    do {
        r = feature_cache_open(run->feature_folder, &key, b->width, CACHE_WAIT_MS, ret, e);
        if (r == ERR_BUSY && retrain_tell(run, 0, count))
            return err_set(e, ERR_CANCELLED, "cancelled while waiting for the feature cache");
    } while (r == ERR_BUSY);
    return r;
}

/* *ret [count][width], owned by the caller. */
enum err_code retrain_features(struct retrain *run, const struct backbone *b,
                               const struct integers *integers, const struct features_item *items,
                               size_t count, float **ret, size_t *ret_passes, struct err *e)
{
    struct feature_cache *cache = NULL;
    CLEANUP(cleanup_free) float *x = calloc(count, (size_t)b->width * sizeof *x);
    if (!x)
        return err_set(e, ERR_NOMEM, "no memory for %zu x %d features", count, b->width);
    enum err_code r = open_cache(run, b, integers, count, &cache, e);
    if (r)
        return r;
    bool int8 = integers && integers->text;
    const struct features_request q = { .backbone = b,
                                        .blobs = run->blobs,
                                        .cache = cache,
                                        .items = items,
                                        .count = count,
                                        .threads = run->spec->threads,
                                        .limits = run->spec->limits,
                                        .ranges = int8 ? &integers->ranges : NULL };
    r = features_compute(&q, retrain_tell, run, x, ret_passes, e);
    feature_cache_close(cache);
    if (!r)
        *ret = STEAL(x);
    return r;
}

static bool tell_fit(void *context, int done, int total)
{
    return retrain_tell(context, (size_t)done, (size_t)total);
}

enum err_code retrain_fit_head(struct retrain *run, struct err *e)
{
    const struct recipe *recipe = &run->spec->recipe;
    struct head_options o;
    run->balanced = recipe->balanced_auto ? run->set.largest > BALANCE_RATIO * run->set.smallest
                                          : recipe->balanced;
    head_options_default(&o);
    o.folds = recipe->folds;
    o.balanced = run->balanced;
    o.threads = run->spec->threads;
    o.seed = (uint64_t)run->spec->seed;
    if (recipe->penalty > 0) {
        o.penalties = &recipe->penalty;
        o.penalty_count = 1;
    }
    return head_fit(run->x, run->set.y, run->set.picture, (int)run->set.train, run->backbone.width,
                    run->set.manifest.label_count, &o, tell_fit, run, &run->head, &run->fit, e);
}

/* batches.h -- what a training step is fed with: pictures from the loader, or cached values of a
 * cut.
 *
 * A batch is a function of (what the source was made of, epoch, step): a resumed training sees the
 * same ones.
 * Threads: one owner. */
#ifndef KENNEL_BATCHES_H
#define KENNEL_BATCHES_H

#include "data/feature_cache.h"
#include "data/loader.h"

struct batches;

/* Takes the loader on success. */
enum err_code batches_of_loader(struct loader *l, struct batches **ret, struct err *e) MUST_USE;

struct batches_cached {
    struct feature_cache *cache;   /* borrowed; holds every picture's views */
    const struct digest *pictures; /* [count], borrowed, as is labels [count] */
    const int *labels;
    size_t count, floats;  /* pictures; numbers of a value */
    int first_view, views; /* epoch i takes view first_view + i mod views */
    int classes, batch;
    bool shuffle;
    uint64_t seed;
    float smoothing;
};
/* ERR_NOMEM. */
enum err_code batches_of_cache(const struct batches_cached *o, struct batches **ret, struct err *e)
    MUST_USE;
void batches_free(struct batches *b);

int64_t batches_steps(const struct batches *b); /* an epoch */
/* ERR_BLOB_MISSING when a value is not in the cache any more. */
enum err_code batches_seek(struct batches *b, int64_t epoch, int64_t step, struct err *e) MUST_USE;
/* As loader_next(). */
enum err_code batches_next(struct batches *b, struct loader_batch *ret, struct err *e) MUST_USE;

#endif

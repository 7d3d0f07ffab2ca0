/* features.h -- pictures of a dataset version through a backbone, by way of the cache.
 *
 * What the cache has is read; the rest is decoded, prepared and run, a picture at a time,
 * on `threads` independent threads, and put into the cache as it comes and on the disk about every
 * second, so that a run that was killed goes on where it stopped. Results stand in the order asked
 * for and do not depend on threads. Threads: one call at a time per cache; the call makes and joins
 * its own threads. */
#ifndef KENNEL_FEATURES_H
#define KENNEL_FEATURES_H

#include "data/augment.h"
#include "data/blob.h"
#include "data/feature_cache.h"
#include "nn/backbone.h"
#include "nn/ranges.h"

struct features_item {
    struct digest picture;
    /* 0..PREPROCESS_VIEWS_MAX-1 (data/preprocess.h); with augment 0 is the centre crop and each
     * other number a fixed augmented look, the same in every data set */
    int view;
};

struct features_request {
    const struct backbone *backbone;
    struct blobs *blobs;
    struct feature_cache *cache;
    struct feature_cache *augmented; /* for views above 0, with augment; else NULL */
    const struct augment *augment;   /* NULL: none */
    bool whole; /* the feature as it is, width its floats; else it is pooled where spatial */
    const struct features_item *items; /* [count]; none twice */
    size_t count;
    int threads;
    struct image_limits limits;
    const struct ranges *ranges; /* NULL: in fp32, else on integers scaled by these */
};

/* The key of the cache that holds such values: those of views that are not augmented (NULL), or of
 * those that are. */
enum err_code features_key(const struct backbone *b, bool whole, const struct augment *augment,
                           struct digest *ret, struct err *e) MUST_USE;

/* done of total forward passes to do; true asks to stop (ERR_CANCELLED). Called on the caller's
 * thread. */
typedef bool (*features_progress)(void *context, size_t done, size_t total);

/* ret [count][backbone->width], caller-allocated. ret_passes: forward passes made (set on failure
 * too). What was computed is in the cache and on the disk when it returns, also on failure. Errors
 * of pictures as picture_source_get(). */
enum err_code features_compute(const struct features_request *q, features_progress progress,
                               void *context, float *ret, size_t *ret_passes, struct err *e)
    MUST_USE;

#endif

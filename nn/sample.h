/* sample.h -- the pictures that a network's ranges are seen on, and those ranges.
 *
 * The sample is the training pictures with the smallest digests: a digest says nothing about its
 * picture, so it is drawn at random, and the same pictures give the same sample. A picture that is
 * added later seldom changes it (one of a hundred with a sample of a hundredth of the set).
 * Ranges are kept beside the features, a file for each backbone and sample, FOLDER/KEY.ranges: its
 * SHA-256 on a line, then the text of nn/ranges.h. A file that is damaged is as if it were not
 * there.
 * Threads: runs on its caller's, with its own helpers joined before it returns. */
#ifndef KENNEL_SAMPLE_H
#define KENNEL_SAMPLE_H

#include "nn/features.h"
#include "nn/precision.h"

enum { SAMPLE_PICTURES = 32 };

struct sample_request {
    const struct backbone *backbone;
    struct blobs *blobs;
    const char *folder;                /* of the feature cache */
    const struct features_item *items; /* [count], in the order of their digests */
    size_t count;
    int threads;
    struct image_limits limits;
};

/* Of the first SAMPLE_PICTURES of items. The same items give the same bits with any threads and
 * whether they were kept or not. ret_passes: forward passes made. Errors of pictures as
 * picture_source_get(). */
enum err_code sample_integers(const struct sample_request *q, features_progress progress,
                              void *context, struct integers *ret, size_t *ret_passes,
                              struct err *e) MUST_USE;

#endif

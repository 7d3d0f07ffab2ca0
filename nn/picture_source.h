/* picture_source.h -- stored pictures of a data set version, decoded and prepared for a network.
 * Threads: one user at a time. */
#ifndef KENNEL_PICTURE_SOURCE_H
#define KENNEL_PICTURE_SOURCE_H

#include "data/augment.h"
#include "data/blob.h"
#include "data/preprocess.h"

struct picture_source;

/* Borrows blobs and pre until picture_source_free(). */
enum err_code picture_source_new(struct blobs *blobs, const struct preprocess *pre,
                                 const struct image_limits *limits, struct picture_source **ret,
                                 struct err *e) MUST_USE;
void picture_source_free(struct picture_source *s);

/* ret [3][size][size]. A picture that is missing is ERR_BLOB_MISSING; one that cannot be decoded
 * any more although it was proven at import is a fault, ERR_BLOB_CORRUPT; both name it. */
enum err_code picture_source_get(struct picture_source *s, const struct digest *picture, int view,
                                 float *ret, struct err *e) MUST_USE;
/* The same, augmented. Seeded by nothing but picture and view, so that a look is the same in every
 * job and data set. */
enum err_code picture_source_augmented(struct picture_source *s, const struct digest *picture,
                                       const struct augment *augment, int view, float *ret,
                                       struct err *e) MUST_USE;

#endif

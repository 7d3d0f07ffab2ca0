/* augment.h -- one picture, looked at differently each time: for training.
 *
 * In this order, each of them off when zero: random resized crop, flip, colour jitter, RandAugment,
 * normalisation, random erasing. Laws and pixels are torchvision 0.14's on Pillow pictures
 * (RandomResizedCrop, RandomHorizontalFlip, ColorJitter, RandAugment, RandomErasing); mixup and
 * cutmix, which need a whole batch, are in data/mix.h.
 * Invariant: the result is a function of picture, description and (seed, epoch, item).
 * Threads: the description is plain data; a scratch has one user at a time. */
#ifndef KENNEL_AUGMENT_H
#define KENNEL_AUGMENT_H

#include "data/preprocess.h"

struct augment {
    double scale_low, scale_high; /* of the picture's area, 0 < low <= high <= 1; both 0: the centre
                                   * crop as in scoring */
    double ratio_low, ratio_high; /* width / height, 0.1..10 */
    double flip;                  /* probability that left and right are exchanged */
    /* A factor from [max(0, 1 - x), 1 + x] each, in a random order; hue: turns from [-x, x]. */
    double brightness, contrast, saturation; /* 0..2 */
    double hue;                              /* 0..0.5 */
    int rand_count, rand_magnitude;          /* RandAugment: operations 0..8, strength 0..30 */
    double erasing;                          /* probability that a rectangle becomes the mean */
    double mixup, cutmix;                    /* alpha of their Beta distribution, 0..10 */
};

/* The workshop's: RandomResizedCrop with its defaults, and a flip of every other picture. */
#define AUGMENT_WORKSHOP                                                                           \
    {                                                                                              \
        .scale_low = 0.08, .scale_high = 1.0, .ratio_low = 3.0 / 4.0, .ratio_high = 4.0 / 3.0,     \
        .flip = 0.5                                                                                \
    }

/* ERR_FIELD_RANGE naming the field. */
enum err_code augment_check(const struct augment *a, struct err *e) MUST_USE;

struct augment_scratch;
enum err_code augment_scratch_new(struct augment_scratch **ret, struct err *e) MUST_USE;
void augment_scratch_free(struct augment_scratch *s);
size_t augment_scratch_bytes(const struct augment_scratch *s); /* all memory it holds */

/* img -> ret[3][size][size]. item is the picture's number, or 64 bits of its digest where the same
 * picture shall look the same in a larger data set; epoch may be the number of a view. */
enum err_code augment_run(const struct augment *a, const struct preprocess *p,
                          struct augment_scratch *s, const struct image *img, uint64_t seed,
                          uint64_t epoch, uint64_t item, float *ret, struct err *e) MUST_USE;

/* image_decode() and augment_run(). A JPEG is scaled down while decoding as preprocess_file() does
 * it. a NULL: preprocess_file(), the view of scoring. */
enum err_code augment_file(const struct augment *a, const struct preprocess *p,
                           struct augment_scratch *s, const void *bytes, size_t len,
                           const struct image_limits *limits, uint64_t seed, uint64_t epoch,
                           uint64_t item, float *ret, struct err *e) MUST_USE;

struct random;
/* The law of the crop: ten tries, then the largest part in the middle with a ratio within. */
void augment_draw_box(const struct augment *a, struct random *r, int width, int height,
                      struct preprocess_box *ret);

#endif

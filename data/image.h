/* image.h -- a JPEG or PNG file to RGB pixels.
 *
 * JPEG: baseline, progressive, arithmetic; grey, YCbCr, RGB, CMYK, YCCK; EXIF
 * orientation applied. PNG: every colour type and depth; alpha is dropped as
 * Pillow's convert("RGB") drops it. What Pillow accepts is accepted; what it
 * refuses is refused with the reason.
 * Threads: any; an image has one owner. */
#ifndef KENNEL_IMAGE_H
#define KENNEL_IMAGE_H

#include "data/base/err.h"

#include <stdint.h>

enum image_format { IMAGE_JPEG, IMAGE_PNG };

struct image {
    int width, height; /* after orientation */
    uint8_t *rgb;      /* owned; height x width x 3, rows from the top */
    size_t cap;        /* bytes behind rgb, so that a struct image can be used again */
    enum image_format format;
    int full_width, full_height; /* as stored in the file, after orientation, before scaling */
};

struct image_limits {
    uint64_t max_pixels; /* of the stored picture; default 50,000,000 */
};

enum { IMAGE_MAX_PIXELS_DEFAULT = 50000000 };

/* Decodes into img, whose memory is used again where it is large enough (a zeroed
 * struct is an empty one). shorter_side > 0 lets the decoder scale a JPEG down (DCT
 * scaling) as long as the shorter side stays at least that many pixels; 0 means
 * full size. ERR_PICTURE_FORMAT (neither JPEG nor PNG), _UNSUPPORTED (12 bit,
 * lossless), _CORRUPT, _TRUNCATED, _PIXELS (over the limit), _BOMB (endless scans),
 * ERR_NOMEM. On failure img holds nothing to be shown but may be used again. */
enum err_code image_decode(const void *bytes, size_t len, const struct image_limits *limits,
                           int shorter_side, struct image *img, struct err *e) MUST_USE;

void image_fini(struct image *img);

#endif

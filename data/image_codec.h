/* image_codec.h -- what image.c asks of the two decoders, and what it gives them.
 * Private to data's image modules. Threads: as image.h. */
#ifndef KENNEL_IMAGE_CODEC_H
#define KENNEL_IMAGE_CODEC_H

#include "data/image.h"

/* One call's arguments. */
struct image_request {
    const uint8_t *bytes;
    size_t len;
    const struct image_limits *limits;
    int shorter_side; /* pixels, 0: full size */
};

/* As image_decode(), the format being known. */
enum err_code image_jpeg_decode(const struct image_request *q, struct image *img, struct err *e)
    MUST_USE;
enum err_code image_png_decode(const struct image_request *q, struct image *img, struct err *e)
    MUST_USE;

/* The size the file's header tells: ERR_PICTURE_CORRUPT when a side is 0,
 * ERR_PICTURE_PIXELS past the limit. Called before anything is allocated. */
enum err_code image_check_size(const struct image_request *q, uint64_t width, uint64_t height,
                               struct err *e) MUST_USE;

/* Makes img an undefined width x height picture, using its memory again where that is enough.
 * ERR_NOMEM. */
enum err_code image_reserve(struct image *img, int width, int height, struct err *e) MUST_USE;

#endif

#include "data/image.h"

#include "data/image_codec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t jpeg_signature[] = { 0xff, 0xd8, 0xff };
static const uint8_t png_signature[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };

enum err_code image_check_size(const struct image_request *q, uint64_t width, uint64_t height,
                               struct err *e)
{
    if (width == 0 || height == 0)
        return err_set(e, ERR_PICTURE_CORRUPT, "picture of %" PRIu64 " x %" PRIu64 " pixels", width,
                       height);
    if (width > q->limits->max_pixels / height)
        return err_set(e, ERR_PICTURE_PIXELS,
                       "picture of %" PRIu64 " x %" PRIu64 " pixels; the limit is %" PRIu64
                       " pixels",
                       width, height, q->limits->max_pixels);
    return ERR_OK;
}

enum err_code image_reserve(struct image *img, int width, int height, struct err *e)
{
    size_t need = (size_t)width * (size_t)height * 3;
    if (need > img->cap) {
        /* Not realloc: the old pixels are not wanted, and both at once would be too much. */
        free(img->rgb);
        img->cap = 0;
        img->rgb = malloc(need);
        if (!img->rgb)
            return err_set(e, ERR_NOMEM, "no memory for a picture of %d x %d pixels", width,
                           height);
        img->cap = need;
    }
    img->width = width;
    img->height = height;
    return ERR_OK;
}

static bool begins_with(const struct image_request *q, const uint8_t *signature, size_t len)
{
    return q->len >= len && memcmp(q->bytes, signature, len) == 0;
}

enum err_code image_decode(const void *bytes, size_t len, const struct image_limits *limits,
                           int shorter_side, struct image *img, struct err *e)
{
    struct image_request q = { bytes, len, limits, shorter_side };

    enum err_code code;
    if (begins_with(&q, jpeg_signature, sizeof jpeg_signature))
        code = image_jpeg_decode(&q, img, e);
    else if (begins_with(&q, png_signature, sizeof png_signature))
        code = image_png_decode(&q, img, e);
    else
        code = err_set(e, ERR_PICTURE_FORMAT, "%zu bytes that are neither JPEG nor PNG", len);

    if (code != ERR_OK)
        img->width = img->height = img->full_width = img->full_height = 0;
    return code;
}

void image_fini(struct image *img)
{
    free(img->rgb);
    *img = (struct image){ 0 };
}

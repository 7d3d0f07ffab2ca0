#include "data/preprocess.h"

#include "data/resample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SIZE_MIN = 32,
    SIZE_MAX_PIXELS = 1024,
    RESIZE_MAX = 4096,
    /* A JPEG is scaled down while decoding as long as its shorter side keeps this many times
     * `resize` pixels. The mean absolute error against the full path, measured on the pictures of
     * stanford-dogs-3 and hymenoptera at `resize` 48, 64, 96 and 128 wherever one is large enough
     * (few are at 256; a picture counts once at each):
     *     2: mean 0.35, largest 1.87, above 1 in 14 of 2027 (0.7 %)
     *     3: mean 0.24, largest 1.62, above 1 in 2 of 1082
     *     4: mean 0.18, largest 0.47, of 216
     * The largest is a noisy picture of saturated colour, where the full path clips each pixel
     * and the scaled one clips averages. */
    KEEP = 4,
};

struct preprocess_scratch {
    struct image img; /* preprocess_file()'s picture */
    struct resample_axis x, y;
    uint8_t *rows; /* between the two passes, then one source row with slack */
    size_t cap;
};

enum err_code preprocess_scratch_new(struct preprocess_scratch **ret, struct err *e)
{
    struct preprocess_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a preprocessing scratch");
    *ret = s;
    return ERR_OK;
}

void preprocess_scratch_free(struct preprocess_scratch *s)
{
    if (!s)
        return;
    image_fini(&s->img);
    resample_axis_fini(&s->x);
    resample_axis_fini(&s->y);
    free(s->rows);
    free(s);
}

enum err_code preprocess_check(const struct preprocess *p, struct err *e)
{
    if (p->size < SIZE_MIN || p->size > SIZE_MAX_PIXELS)
        return err_set(e, ERR_ONNX_PREPROCESS, "size: %d is not within %d..%d pixels", p->size,
                       SIZE_MIN, SIZE_MAX_PIXELS);
    if (p->resize < p->size || p->resize > RESIZE_MAX)
        return err_set(e, ERR_ONNX_PREPROCESS,
                       "resize: %d is not within %d (the input's size) .. %d pixels", p->resize,
                       p->size, RESIZE_MAX);
    for (int c = 0; c < 3; c++) {
        if (!isfinite(p->mean[c]))
            return err_set(e, ERR_ONNX_PREPROCESS, "mean: channel %d is not finite", c);
        if (!isfinite(p->std[c]) || !(p->std[c] > 0))
            return err_set(e, ERR_ONNX_PREPROCESS, "std: channel %d is not above 0", c);
    }
    return ERR_OK;
}

/* torchvision's CenterCrop: half the difference, a half rounded to even. */
static int64_t crop_start(int64_t whole, int crop)
{
    int64_t difference = whole - crop, half = difference / 2;
    return difference % 2 != 0 && half % 2 != 0 ? half + 1 : half;
}

/* in of full source pixels are there (fewer after DCT scaling). other: the other side, full. */
static struct resample_span span_of(const struct preprocess *p, int in, int full, int other)
{
    struct resample_span s = { .in = in, .extent = in, .out = p->resize, .count = p->size };
    if (full > other) /* torchvision's Resize: the long side is cut to whole pixels */
        s.out = (int64_t)p->resize * full / other;
    if (full > in)
        /* A scaled picture's last pixel may stand for fewer stored ones than the others. */
        s.extent = full / round((double)full / in);
    s.first = crop_start(s.out, p->size);
    return s;
}

static enum err_code reserve_rows(struct preprocess_scratch *s, size_t need, struct err *e)
{
    if (need <= s->cap)
        return ERR_OK;
    free(s->rows);
    s->cap = 0;
    s->rows = malloc(need);
    if (!s->rows)
        return err_set(e, ERR_NOMEM, "no memory to resize a picture");
    s->cap = need;
    return ERR_OK;
}

static enum err_code resample(const struct preprocess *p, struct preprocess_scratch *s,
                              const struct image *img, const struct resample_span *across,
                              const struct resample_span *down, float *ret, struct err *e)
{
    enum err_code code = resample_axis_set(&s->x, across, e);
    if (code == ERR_OK)
        code = resample_axis_set(&s->y, down, e);
    if (code != ERR_OK)
        return code;

    size_t rows = (size_t)(s->y.high - s->y.low) * (size_t)s->x.padded * 3;
    code = reserve_rows(s, rows + (size_t)img->width * 3 + 1, e);
    if (code != ERR_OK)
        return code;
    /* The slack byte is multiplied and thrown away, but it should not be undefined. */
    s->rows[rows + (size_t)img->width * 3] = 0;

    const int plane[3] = { p->bgr ? 2 : 0, 1, p->bgr ? 0 : 2 };
    float mean[3], std[3];
    for (int c = 0; c < 3; c++) {
        mean[c] = p->mean[plane[c]];
        std[c] = p->std[plane[c]];
    }
    resample_rows(&s->x, &s->y, img->rgb, img->width, img->height, s->rows + rows, s->rows);
    resample_columns(&s->x, &s->y, s->rows, plane, mean, std, ret);
    return ERR_OK;
}

enum err_code preprocess_run(const struct preprocess *p, struct preprocess_scratch *s,
                             const struct image *img, int view, float *ret, struct err *e)
{
    int full_width = img->full_width > img->width ? img->full_width : img->width;
    int full_height = img->full_height > img->height ? img->full_height : img->height;
    struct resample_span across = span_of(p, img->width, full_width, full_height);
    struct resample_span down = span_of(p, img->height, full_height, full_width);
    across.mirrored = view == 1;
    return resample(p, s, img, &across, &down, ret, e);
}

enum err_code preprocess_part(const struct preprocess *p, struct preprocess_scratch *s,
                              const struct image *img, const struct preprocess_box *box,
                              bool mirrored, float *ret, struct err *e)
{
    struct resample_span across = { .origin = box->left,
                                    .in = box->width,
                                    .extent = box->width,
                                    .out = p->size,
                                    .count = p->size,
                                    .mirrored = mirrored };
    struct resample_span down = { .origin = box->top,
                                  .in = box->height,
                                  .extent = box->height,
                                  .out = p->size,
                                  .count = p->size };
    return resample(p, s, img, &across, &down, ret, e);
}

int preprocess_shorter_side(const struct preprocess *p)
{
    return KEEP * p->resize;
}

size_t preprocess_scratch_bytes(const struct preprocess_scratch *s)
{
    size_t weights = s->x.start_cap + s->x.weight_cap + s->y.start_cap + s->y.weight_cap;
    return sizeof *s + s->img.cap + weights * sizeof(int32_t) + s->cap;
}

enum err_code preprocess_file(const struct preprocess *p, struct preprocess_scratch *s,
                              const void *bytes, size_t len, const struct image_limits *limits,
                              int view, float *ret, struct err *e)
{
    enum err_code code = image_decode(bytes, len, limits, preprocess_shorter_side(p), &s->img, e);
    if (code != ERR_OK)
        return code;
    return preprocess_run(p, s, &s->img, view, ret, e);
}

void preprocess_text(const struct preprocess *p, char ret[PREPROCESS_TEXT])
{
    snprintf(ret, PREPROCESS_TEXT,
             "pillow-bilinear/1 size=%d resize=%d mean=%.9g,%.9g,%.9g std=%.9g,%.9g,%.9g %s",
             p->size, p->resize, (double)p->mean[0], (double)p->mean[1], (double)p->mean[2],
             (double)p->std[0], (double)p->std[1], (double)p->std[2], p->bgr ? "bgr" : "rgb");
}

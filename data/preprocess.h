/* preprocess.h -- RGB pixels to the tensor that a network was trained on.
 *
 * Shorter side to `resize` by Pillow's antialiased bilinear filter (8 bit fixed point,
 * both passes, as Pillow's Image.resize does), centre crop of size x size, then
 * (x - mean) / std per channel on pixel values 0..255.
 * Threads: the description is plain data; a scratch has one user at a time. */
#ifndef KENNEL_PREPROCESS_H
#define KENNEL_PREPROCESS_H

#include "data/image.h"

struct preprocess {
    int size;      /* of the network's input, pixels: 32..1024 */
    int resize;    /* shorter side before the crop; default size * 256 / 224 */
    float mean[3]; /* in channel order of the network, on 0..255 */
    float std[3];  /* > 0 */
    bool bgr;      /* channel 0 is blue */
};

/* Which look at the picture: 0 is the centre crop, 1 the same mirrored left to right. */
enum { PREPROCESS_VIEWS_MAX = 2 };

struct preprocess_scratch;
enum err_code preprocess_scratch_new(struct preprocess_scratch **ret, struct err *e) MUST_USE;
void preprocess_scratch_free(struct preprocess_scratch *s);

/* ERR_ONNX_PREPROCESS naming the field that is out of range. */
enum err_code preprocess_check(const struct preprocess *p, struct err *e) MUST_USE;

/* img -> ret[3][size][size], float32, channels first. */
enum err_code preprocess_run(const struct preprocess *p, struct preprocess_scratch *s,
                             const struct image *img, int view, float *ret, struct err *e) MUST_USE;

/* A part of a picture, in its pixels. */
struct preprocess_box {
    int left, top, width, height;
};

/* The part alone, which lies within img, to size x size by the same filter: torchvision's
 * resized_crop(). Pixels around it have no weight. */
enum err_code preprocess_part(const struct preprocess *p, struct preprocess_scratch *s,
                              const struct image *img, const struct preprocess_box *box,
                              bool mirrored, float *ret, struct err *e) MUST_USE;

/* The shorter_side for image_decode(): a picture may be scaled down to that while decoding. */
int preprocess_shorter_side(const struct preprocess *p);
size_t preprocess_scratch_bytes(const struct preprocess_scratch *s); /* all memory it holds */

/* image_decode() (DCT-scaled where the result stays within a mean absolute error of 1 of
 * 255) and preprocess_run() in one. No allocation once the scratch has seen a picture of
 * that size, but for the decoding library's own small pools. */
enum err_code preprocess_file(const struct preprocess *p, struct preprocess_scratch *s,
                              const void *bytes, size_t len, const struct image_limits *limits,
                              int view, float *ret, struct err *e) MUST_USE;

/* A line of text that is equal for equal preprocessing: part of a feature's key. */
enum { PREPROCESS_TEXT = 200 };
void preprocess_text(const struct preprocess *p, char ret[PREPROCESS_TEXT]);

#endif

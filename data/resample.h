/* resample.h -- Pillow's antialiased bilinear resize, for the part that a crop needs.
 *
 * Pillow's Resample.c to the byte: triangle filter whose support grows with the reduction,
 * weights in fixed point of RESAMPLE_PRECISION bits, a pass along the rows, rounding to 8 bits,
 * a pass down the columns. Only the crop's columns, and the rows that they are made of, are
 * computed; the second pass ends in normalised floats instead of bytes.
 * Threads: one user at a time. */
#ifndef KENNEL_RESAMPLE_H
#define KENNEL_RESAMPLE_H

#include "data/base/err.h"

#include <stdint.h>

enum {
    RESAMPLE_PRECISION = 32 - 8 - 2,
    RESAMPLE_LANES = 16, /* outputs of a row are computed in groups of that many */
};

/* What is asked of one axis. */
struct resample_span {
    int origin;    /* the first source pixel; those before and behind are not looked at */
    int in;        /* source pixels from there on */
    double extent; /* of the source that the output covers, <= in: less when the last pixel is
                    * a part of one only */
    int64_t out;   /* pixels of the whole output, */
    int64_t first; /* of which this one */
    int count;     /* and so many more are computed; */
    bool mirrored; /* the last one first */
};

/* The weights for one axis: output i is the sum over t < taps of weight[i * taps + t] *
 * source[start[i] + t]. Outputs from count up to padded have weight 0. */
struct resample_axis {
    struct resample_span span; /* what the tables are for */
    int padded;                /* count rounded up to RESAMPLE_LANES */
    int taps;
    int low, high; /* source pixels in use: low <= i < high */
    int32_t *start;
    int32_t *weight;
    size_t start_cap, weight_cap; /* entries */
};

/* A zeroed axis is an empty one. Keeps tables that fit already. ERR_NOMEM. */
enum err_code resample_axis_set(struct resample_axis *a, const struct resample_span *span,
                                struct err *e) MUST_USE;
void resample_axis_fini(struct resample_axis *a);

/* rgb: rows of stride bytes -> ret [high - low][3][x->padded] bytes, for the rows that y uses.
 * slack: at least stride + 1 bytes of scratch (four bytes are read where a pixel has three, so the
 * last row is copied there). */
void resample_rows(const struct resample_axis *x, const struct resample_axis *y, const uint8_t *rgb,
                   int width, int height, uint8_t *slack, uint8_t *ret);

/* rows as resample_rows() left them -> ret: plane c at ret + plane[c] * count * count_x, each
 * (value - mean[c]) / std[c], c in source order (red first). */
void resample_columns(const struct resample_axis *x, const struct resample_axis *y,
                      const uint8_t *rows, const int plane[3], const float mean[3],
                      const float std[3], float *ret);

#endif

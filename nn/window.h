/* window.h -- the geometry of a convolution or pooling: where its window stands on the input.
 *
 * Threads: plain data. */
#ifndef KENNEL_WINDOW_H
#define KENNEL_WINDOW_H

#include "nn/ops.h"

enum { WINDOW_SPATIAL_MAX = 3, WINDOW_SIZE_MAX = 1 << 16 };

struct window {
    int spatial; /* 1..3 dims behind N and C */
    int64_t in[WINDOW_SPATIAL_MAX], out[WINDOW_SPATIAL_MAX];
    int64_t kernel[WINDOW_SPATIAL_MAX], stride[WINDOW_SPATIAL_MAX], dilation[WINDOW_SPATIAL_MAX];
    int64_t low[WINDOW_SPATIAL_MAX], high[WINDOW_SPATIAL_MAX]; /* padding */
};

/* Reads auto_pad, dilations, pads, strides (and ceil_mode) for an input [N,C,...]; kernel
 * [spatial] is given, or NULL: from kernel_shape. */
enum err_code window_init(struct window *w, const struct op_call *c, const int64_t *kernel,
                          struct err *e) MUST_USE;
/* How far the last windows reach past the padded input (by ceil_mode), per dim. */
int64_t window_excess(const struct window *w, int dim);
/* Window dims of one position; false when dim's index is outside of the input. */
bool window_at(const struct window *w, int dim, int64_t out, int64_t k, int64_t *ret);

#endif

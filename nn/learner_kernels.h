/* learner_kernels.h -- the loops over items that training spends its time in beside convolutions.
 *
 * Tensors are [rows][channels], channels innermost. One table for each instruction set; pointers
 * need no alignment. Sums are taken in the rows' order. Threads: any. */
#ifndef KENNEL_LEARNER_KERNELS_H
#define KENNEL_LEARNER_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum learner_unary {
    UNARY_CLIP, /* a..b; ReLU is 0..infinity */
    UNARY_LEAKY,
    UNARY_ELU,
    UNARY_SIGMOID,
    UNARY_HARD_SIGMOID, /* clip(a x + b, 0, 1) */
    UNARY_HARD_SWISH,
    UNARY_SWISH, /* x sigmoid(x) */
    UNARY_TANH,
    UNARY_GELU,
    UNARY_GELU_TANH,
    UNARY_LINEAR, /* a x + b */
    UNARY_SQRT,
    UNARY_EXP,
    UNARY_LOG,
    UNARY_ABS,
    UNARY_RECIPROCAL
};

enum learner_binary {
    BINARY_ADD,
    BINARY_SUB,
    BINARY_MUL,
    BINARY_DIV,
    BINARY_PRELU,   /* a, below 0 a b */
    BINARY_FIRST,   /* a */
    BINARY_MINUS,   /* -a */
    BINARY_STEP,    /* 1, or b where a <= 0 */
    BINARY_NEGATIVE /* 0, or a where that is below 0 */
};

/* Of a normalisation going backward: dx = by (g - mean_g - (x - mean) slope). */
struct norm_back {
    const float *by, *mean_g, *mean, *slope; /* [channels] */
};

struct learner_kernels {
    /* r += a */
    void (*add)(size_t n, const float *a, float *r);
    /* y = a[c] x + b[c] */
    void (*affine)(size_t rows, size_t channels, const float *x, const float *a, const float *b,
                   float *y);
    /* sum[c] += x; square[c] += x^2; room: [2 channels] */
    void (*norm_sums)(size_t rows, size_t channels, const float *x, double *sum, double *square,
                      float *room);
    /* sum[c] += g; product[c] += g (x - mean[c]) */
    void (*norm_back_sums)(size_t rows, size_t channels, const float *x, const float *g,
                           const float *mean, double *sum, double *product, float *room);
    /* dx, or dx += */
    void (*norm_back)(size_t rows, size_t channels, const float *x, const float *g,
                      const struct norm_back *k, float *dx, int add);
    /* sum[c] += g */
    void (*column_sums)(size_t rows, size_t channels, const float *g, double *sum);
    void (*unary)(enum learner_unary kind, size_t n, float a, float b, const float *x, float *y);
    /* dx, or dx +=, from x, y and dy. */
    void (*unary_back)(enum learner_unary kind, size_t n, float a, float b, const float *x,
                       const float *y, const float *dy, float *dx, int add);
    /* r = a[i sa] op b[i sb], or r += that; strides 0 or 1 */
    void (*binary)(enum learner_binary kind, size_t n, const float *a, int sa, const float *b,
                   int sb, float *r, int add);
    /* r = max(r, a), NaN if one is */
    void (*maximum)(size_t n, const float *a, float *r);
    /* Where x is the maximum y: dx += left, of which nothing is left then. */
    void (*maximum_back)(size_t n, const float *x, const float *y, float *left, float *dx);
};

const struct learner_kernels *learner_kernels(void);

#endif

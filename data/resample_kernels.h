/* resample_kernels.h -- the two passes of resample.h, once in plain C and once for AVX2.
 * Both give the same bits: integer sums, IEEE single subtraction and division. Private to the
 * resample modules and their test. Threads: any; pure functions. */
#ifndef KENNEL_RESAMPLE_KERNELS_H
#define KENNEL_RESAMPLE_KERNELS_H

#include "data/resample.h"

enum { RESAMPLE_HALF = 1 << (RESAMPLE_PRECISION - 1) };

/* One source row each of upper and lower (which may be the same) -> [3][x->padded] bytes
 * each. One byte behind a row's last pixel is read. Weights are never negative and sum up to 1
 * within rounding, so that no result passes 255. */
typedef void (*resample_row_pair_fn)(const struct resample_axis *x, const uint8_t *upper,
                                     const uint8_t *lower, uint8_t *ret_upper, uint8_t *ret_lower);

/* y->taps rows of stride bytes each, weighted, -> width floats, (value - mean) / std.
 * Reads whole groups of RESAMPLE_LANES. */
typedef void (*resample_column_fn)(const int32_t *weight, int taps, const uint8_t *rows,
                                   size_t stride, int width, float mean, float std, float *ret);

struct resample_kernels {
    resample_row_pair_fn row_pair;
    resample_column_fn column;
};

extern const struct resample_kernels resample_plain;
#ifdef __x86_64__
extern const struct resample_kernels resample_avx2;
#endif

#endif

/* softmax.h -- the multinomial logistic loss of linear logits, and its gradient.
 *
 * loss = sum_i k[y_i] * -log softmax(W x_i)[y_i] over the rows asked for. A bias is a feature that
 * is always 1. One pass over the rows computes both, a block of rows at a time, so that a row is
 * read from memory once. Vectorised along the features with the widest instructions at hand;
 * sums are taken in a fixed order, so equal arguments give equal bits on one instruction set.
 * Threads: any; a scratch has one user at a time. */
#ifndef KENNEL_SOFTMAX_H
#define KENNEL_SOFTMAX_H

#include "data/base/err.h"

enum { SOFTMAX_LANES = 16, SOFTMAX_ALIGN = 64 };

struct softmax_data {
    const float *x;            /* [..][stride], SOFTMAX_ALIGN aligned; borrowed */
    size_t stride;             /* a multiple of SOFTMAX_LANES; columns past the features are 0 */
    const int *y;              /* [..], 0..classes-1; borrowed */
    const double *class_scale; /* k [classes]; borrowed */
    int classes;
};

/* SOFTMAX_WIDEST takes the widest that the processor has; the others are for tests. */
enum softmax_vectors { SOFTMAX_WIDEST, SOFTMAX_PLAIN, SOFTMAX_AVX2, SOFTMAX_AVX512 };
bool softmax_has(enum softmax_vectors v);

struct softmax_scratch;
/* ERR_INTERNAL when the processor lacks the vectors asked for. */
enum err_code softmax_scratch_new(const struct softmax_data *d, enum softmax_vectors v,
                                  struct softmax_scratch **ret, struct err *e) MUST_USE;
void softmax_scratch_free(struct softmax_scratch *s);

/* rows: `count` indices into x and y. w and ret_gradient [classes][stride], aligned alike;
 * ret_gradient is overwritten. */
double softmax_loss(const struct softmax_data *d, struct softmax_scratch *s, const int *rows,
                    int count, const float *w, float *ret_gradient);

/* The same rows judged: the sum of -log p[y] (p clipped to 1e-15) and how often y has the largest
 * logit. class_scale is not used. */
void softmax_score(const struct softmax_data *d, struct softmax_scratch *s, const int *rows,
                   int count, const float *w, double *ret_log_loss, int *ret_correct);

#endif

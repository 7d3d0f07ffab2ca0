/* optimiser.h -- from gradients to new weights: SGD and AdamW as PyTorch has them, with clipping
 * and a running average of the weights.
 *
 *   clip     gradients are scaled down to a Euclidean norm over all of them of at most `clip`
 *            (torch.nn.utils.clip_grad_norm_)
 *   sgd      g += decay w;  v = momentum v + g (v = g at the first step);
 *            w -= rate (nesterov ? g + momentum v : v)              (torch.optim.SGD)
 *   adamw    w -= rate decay w;  then Adam with bias correction      (Loshchilov, Hutter 2019)
 *   average  a += (1 - d) (w - a), d = min(average, (1 + step) / (10 + step)), so that
 *            what the weights were at the start is soon forgotten
 *
 * Sums run in the parameters' order: equal calls give equal bits.
 * Threads: one owner; borrows the parameters' arrays for its whole life. */
#ifndef KENNEL_OPTIMISER_H
#define KENNEL_OPTIMISER_H

#include "data/base/err.h"

#include <stdint.h>

struct optimiser;

enum optimiser_kind { OPTIMISER_SGD, OPTIMISER_ADAMW };

struct optimiser_param {
    const char *name; /* for errors */
    float *value;
    const float *gradient; /* NULL: only averaged (running statistics) */
    size_t count;
    bool decay;         /* false for norms and biases */
    double rate_factor; /* of the learning rate */
};

struct optimiser_options {
    enum optimiser_kind kind;
    double momentum;     /* SGD; AdamW's are 0.9 and 0.999 */
    bool nesterov;       /* SGD */
    double weight_decay; /* >= 0 */
    double clip;         /* 0: none */
    double average;      /* 0: none; else below 1 */
};

/* Copies the table of parameters, not what they point to. ERR_NOMEM. */
enum err_code optimiser_new(const struct optimiser_param *params, size_t count,
                            const struct optimiser_options *o, struct optimiser **ret,
                            struct err *e) MUST_USE;
void optimiser_free(struct optimiser *o);

/* One step with the gradients as they stand; they are scaled in passing, not in place. ret_norm
 * (NULL: not wanted): of the gradients before clipping. ERR_DIVERGED, naming the parameter and with
 * every weight as it was, when a gradient is not finite. */
enum err_code optimiser_step(struct optimiser *o, double rate, double *ret_norm, struct err *e)
    MUST_USE;

/* Exchanges weights and averages; called twice it changes nothing. Without an average: nothing. */
void optimiser_swap_average(struct optimiser *o);

/* What a resume needs beside the weights: arrays in a fixed order, to be written out or read into,
 * and the number of steps made. */
size_t optimiser_state_count(const struct optimiser *o);
float *optimiser_state(const struct optimiser *o, size_t i, size_t *ret_count);
int64_t optimiser_steps(const struct optimiser *o);
void optimiser_set_steps(struct optimiser *o, int64_t steps);

#endif

/* learner.h -- a network (or what stands behind a cut) whose weights are trained: forward, loss,
 * backward.
 *
 * Every step of the batch is cut into shards (a function of the batch size alone), each run by one
 * thread at a time with single-thread oneDNN primitives; sums over shards (weight gradients, batch
 * statistics, loss) are taken in the shards' order. So the bits depend on the batch size, the
 * network, the instruction set and the oneDNN version, never on `threads`.
 * Parameters are the float32 initialisers of convolutions, normalisations, products with a matrix
 * and slopes, and those that are added or multiplied behind something that is trained. An
 * initialiser that several nodes read is one parameter, whose gradient is the sum.
 * Threads: one owner; makes its own helpers in learner_new() and joins them in learner_free(). They
 * wait without spinning. */
#ifndef KENNEL_LEARNER_H
#define KENNEL_LEARNER_H

#include "nn/network.h"

struct learner;

/* Running statistics used and kept, or those of the batch used and the running ones updated. */
enum learner_norm { LEARNER_NORM_FROZEN, LEARNER_NORM_BATCH };
enum learner_kind {
    LEARNER_WEIGHT,
    LEARNER_BIAS,
    LEARNER_NORM_SCALE,
    LEARNER_NORM_SHIFT,
    LEARNER_NORM_MEAN,
    LEARNER_NORM_VARIANCE
};

struct learner_param {
    const char *name;       /* the initialiser's; borrowed */
    enum learner_kind kind; /* MEAN and VARIANCE: state, no gradient, not for the optimiser */
    bool head;              /* belongs to the new head */
    size_t count;
    float *value, *gradient; /* [count] row-major as in the ONNX file; owned by the learner;
                                gradient NULL for state */
};

enum { LEARNER_BATCH_MAX = 4096, LEARNER_THREADS_MAX = 64 };

struct learner_options {
    const char *input;   /* NULL: the picture; else the value (the cut) that is given instead */
    const char *feature; /* the head stands on it (network_feature()); pooled when spatial */
    int classes;         /* the new head: Linear on the pooled feature */
    int batch;           /* largest; a smaller last batch may be given */
    enum learner_norm norm;
    float norm_momentum; /* weight of the new batch in the running statistics, PyTorch's 0.1 */
    int threads;
    uint64_t seed; /* of the head's initial numbers */
};

/* Borrows the network, which must outlive the learner, and copies its initialisers.
 * ERR_ONNX_OPERATOR naming the node that has no backward; ERR_ONNX_FEATURE when the feature does
 * not stand behind the cut; ERR_FIELD_RANGE; ERR_NOMEM; ERR_DNN. */
enum err_code learner_new(const struct network *n, const struct learner_options *o,
                          struct learner **ret, struct err *e) MUST_USE;
void learner_free(struct learner *l);

size_t learner_param_count(const struct learner *l);
struct learner_param *learner_param(struct learner *l, size_t i);
/* Random numbers by PyTorch's rules: convolutions normal with Kaiming's fan-out, norms 1 and 0,
 * biases 0, matrices and the head uniform within the root of the fan-in. For `scratch`. */
void learner_reset(struct learner *l, uint64_t seed);
size_t learner_input_size(const struct learner *l); /* floats of one item, row-major as in ONNX */
size_t learner_bytes(const struct learner *l);      /* all memory it holds, but oneDNN's code */

/* x [count][input], target [count][classes] (rows sum to 1: soft labels), class_weight [classes] or
 * NULL: 1. The mean loss is sum_i sum_c w_c t_ic -log p_ic / sum_i sum_c w_c t_ic: for hard labels
 * PyTorch's weighted cross_entropy; label smoothing is the caller's, in target. Fills every
 * gradient, updates running statistics. ret_probability [count][classes] or NULL. ERR_DIVERGED when
 * the loss is not finite; running statistics are then as before. */
enum err_code learner_step(struct learner *l, int count, const float *x, const float *target,
                           const float *class_weight, double *ret_loss, float *ret_probability,
                           struct err *e) MUST_USE;
/* Forward only, with running statistics: probabilities [count][classes]. */
enum err_code learner_predict(struct learner *l, int count, const float *x, float *ret_probability,
                              struct err *e) MUST_USE;

/* The trained network as ONNX: the graph from the picture up to `feature` with the parameters'
 * present numbers, head, softmax; like network_export(). */
enum err_code learner_export(const struct learner *l, const struct network_meta_pair *meta,
                             size_t meta_count, struct buf *ret, struct err *e) MUST_USE;

#endif

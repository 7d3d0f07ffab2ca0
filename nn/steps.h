/* steps.h -- a network as the list of operations that a plan will run.
 *
 * Made from a graph's nodes for one batch size (lower.c), shortened by passes (fuse.c), turned
 * into primitives (compile.c).
 * Invariants: values have the graph's indices, those that only a plan has come behind them;
 * steps stand in an order of execution; every value is made by at most one living step.
 * Threads: one owner. */
#ifndef KENNEL_STEPS_H
#define KENNEL_STEPS_H

#include "nn/dnn.h"
#include "nn/frame.h"
#include "nn/window.h"

enum step_kind {
    STEP_CONV,
    STEP_INNER, /* [rows][depth] x weight [width][depth] + bias [width] */
    STEP_NORM,  /* per channel, with fixed statistics */
    STEP_UNARY,
    STEP_BINARY,
    STEP_POOL,
    STEP_SOFTMAX,
    STEP_LAYER_NORM,
    STEP_LRN,
    STEP_MATMUL,
    STEP_CONCAT,
    STEP_TRANSPOSE,
    STEP_SLICE, /* a part with positive steps */
    STEP_SPLIT, /* parts along an axis: the node's outputs */
    STEP_VIEW,  /* the same entries under another shape */
    STEP_PLAIN, /* the operator's own loop */
};

struct step_post {
    enum { POST_UNARY, POST_SUM } kind;
    enum dnn_unary unary;
    float alpha, beta;
    int value; /* of the sum */
};

/* Numbers of a step: the frame's, until a pass has to change them. */
struct numbers {
    const float *data;
    float *owned;
};

struct step {
    enum step_kind kind;
    const struct node *node;
    bool dead;
    int *in; /* owned; values */
    int in_count;
    int out;
    struct window window; /* conv, pool */
    int64_t group;
    struct numbers weight, bias; /* conv, inner; weight [O][I/group][k...]; bias NULL: none */
    const float *scale, *shift, *mean, *variance; /* norm, layer norm */
    float epsilon;
    bool relu;                  /* norm: with a ReLU behind it */
    int64_t rows, depth, width; /* inner; softmax: outer, length, inner; layer norm: rows, depth */
    bool log;                   /* softmax */
    bool zero_pad; /* plain: a Pad with noughts behind the channels; start, by: how many */
    enum dnn_binary binary;
    enum dnn_pool_kind pool_kind;
    float alpha, beta, k;                                /* lrn */
    int axis;                                            /* concat, split */
    int64_t start[TENSOR_RANK_MAX], by[TENSOR_RANK_MAX]; /* slice */
    struct step_post posts[DNN_POSTS_MAX];               /* unary: the operations themselves */
    int post_count;
};

/* How a value is held as integers: entry = scale x integer, each channel with its own scale where
 * there are such. Values of one group and type have the same scales. */
struct quant {
    enum dnn_type type;
    float scale;     /* the largest; 0: it has no range and stays a float */
    float *channels; /* owned; [dim 1], or NULL: all the same */
    float *means;    /* owned; [dim 1] of the integers, or NULL: not known */
    float *squares;  /* likewise; means of their squares */
    bool held;       /* whoever makes it should make integers */
    int group;
};

struct steps {
    const struct frame *frame;
    struct tensor *values; /* [value_count]: shapes, and data of constants (borrowed) */
    int value_count, value_max;
    struct step *list;
    int count;
    int output;
    int *uses;            /* [value_max]: by living steps, and one for the output */
    struct quant *quants; /* [value_max]; all zero: everything is float */
};

/* What computes value `output` of a frame's graph, averaged over its spatial dims if pool. */
enum err_code steps_new(const struct frame *f, int output, bool pool, struct steps *ret,
                        struct err *e) MUST_USE;
void steps_fini(struct steps *s);

/* The passes, in this order: operators that were exported as several (steps_match), batch norms
 * into convolutions, activations and residual sums into what comes before them. */
enum err_code steps_fuse(struct steps *s, struct err *e) MUST_USE;

/* Layer normalisation, Gelu and Swish spelt out, bias and scale behind a product, padding before a
 * convolution. maker [value_max] is room to work in. */
void steps_match(struct steps *s, int *maker);

/* Decides which values are held as integers. After steps_fuse(). (quantise.c) */
struct ranges;
enum err_code steps_quantise(struct steps *s, const struct ranges *ranges, struct err *e) MUST_USE;

/* One node as a step, its kind and numbers; in and out are set already. Falls back to
 * STEP_PLAIN. */
enum err_code steps_lower(struct steps *s, const struct op_call *c, struct step *p, struct err *e)
    MUST_USE;

#endif

/* ops.h -- what an operator is: its name, what it may be given, the shapes it makes, and a plain
 * loop that computes it.
 *
 * The plain loops work on dense row-major tensors. They fold constants and run what oneDNN has
 * no primitive for; everything on the hot path is lowered to oneDNN instead (lower.h).
 * Threads: the table is constant; infer and eval touch only the call. */
#ifndef KENNEL_OPS_H
#define KENNEL_OPS_H

#include "nn/graph.h"

struct op_call {
    const struct graph *graph;
    const struct node *node;
    const struct tensor *const *in; /* [node->in_count], NULL: left out */
    struct tensor *const *out;      /* [node->out_count], NULL: not wanted */
};

enum op_kind {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_POW,
    OP_MIN,
    OP_MAX,
    OP_EQUAL,
    OP_LESS,
    OP_GREATER,
    OP_PRELU,
    OP_WHERE,
    OP_RELU,
    OP_LEAKY_RELU,
    OP_ELU,
    OP_SIGMOID,
    OP_HARD_SIGMOID,
    OP_HARD_SWISH,
    OP_TANH,
    OP_GELU,
    OP_ERF,
    OP_SQRT,
    OP_EXP,
    OP_LOG,
    OP_ABS,
    OP_NEG,
    OP_FLOOR,
    OP_CEIL,
    OP_RECIPROCAL,
    OP_NOT,
    OP_SOFTPLUS,
    OP_CLIP,
    OP_CONV,
    OP_BATCH_NORM,
    OP_GEMM,
    OP_MATMUL,
    OP_MAX_POOL,
    OP_AVERAGE_POOL,
    OP_GLOBAL_AVERAGE_POOL,
    OP_GLOBAL_MAX_POOL,
    OP_REDUCE_MEAN,
    OP_REDUCE_SUM,
    OP_REDUCE_MAX,
    OP_REDUCE_MIN,
    OP_REDUCE_PROD,
    OP_LAYER_NORM,
    OP_LRN,
    OP_SOFTMAX,
    OP_LOG_SOFTMAX,
    OP_FLATTEN,
    OP_RESHAPE,
    OP_SQUEEZE,
    OP_UNSQUEEZE,
    OP_TRANSPOSE,
    OP_CONCAT,
    OP_SPLIT,
    OP_SLICE,
    OP_PAD,
    OP_GATHER,
    OP_EXPAND,
    OP_SHAPE,
    OP_CONSTANT_OF_SHAPE,
    OP_RANGE,
    OP_CONSTANT,
    OP_IDENTITY,
    OP_DROPOUT,
    OP_CAST,
    OP_QUANTIZE,
    OP_DEQUANTIZE,
    OP_COUNT,
};

struct op {
    const char *name;
    enum op_kind kind;
    int in_min, in_max, out_max;
    int since;         /* first operator set that has it */
    const char *attrs; /* names, with a blank between them */
    /* Fills type, rank and dims of every wanted output; data stays NULL. Inputs with data are
     * constants. */
    enum err_code (*infer)(const struct op_call *c, struct err *e);
    /* Everything has data of the inferred shape. */
    enum err_code (*eval)(const struct op_call *c, struct err *e);
    bool costly; /* more than a few steps per entry: never folded, always run */
};

const struct op *op_find(const char *name);

/* "node Conv \"name\": " and the message. */
enum err_code op_refuse(const struct op_call *c, struct err *e, enum err_code code,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Integers given as an attribute or, in later operator sets, as constant input `input` (-1: never).
 * *ret_count is -1 when there are none. ERR_ONNX_OPERATOR when they are not constant. */
enum err_code op_ints(const struct op_call *c, const char *attr, int input, int64_t *ret, int max,
                      int *ret_count, struct err *e) MUST_USE;
/* A negative axis counts from the end. False when it is out of range. */
bool op_axis(int64_t axis, int rank, int *ret);
/* All inputs and output 0 hold float32 or float64 alike. */
enum err_code op_same_type(const struct op_call *c, struct err *e) MUST_USE;

/* Walks a shape in row-major order with the offsets of up to OP_WALK tensors, whose stride is 0
 * where they are broadcast. */
enum { OP_WALK = 4 };
struct walk {
    int rank, tensors;
    int64_t left;
    int64_t dims[TENSOR_RANK_MAX], index[TENSOR_RANK_MAX];
    int64_t stride[OP_WALK][TENSOR_RANK_MAX];
    int64_t at[OP_WALK];
};
void walk_init(struct walk *w, const struct tensor *shape);
/* t's dims align with the shape's last ones. */
void walk_add(struct walk *w, const struct tensor *t);
bool walk_next(struct walk *w);
/* numpy's rule; false when they do not fit. ret's type is untouched. */
bool broadcast_shape(const struct tensor *a, const struct tensor *b, struct tensor *ret);

/* One row a kind, in the file of its family. */
#define OP_FUNCTIONS(name)                                                                         \
    enum err_code name##_infer(const struct op_call *c, struct err *e);                            \
    enum err_code name##_eval(const struct op_call *c, struct err *e);
OP_FUNCTIONS(unary)
OP_FUNCTIONS(binary)
OP_FUNCTIONS(extreme)
OP_FUNCTIONS(where)
OP_FUNCTIONS(clip)
OP_FUNCTIONS(conv)
OP_FUNCTIONS(batch_norm)
OP_FUNCTIONS(gemm)
OP_FUNCTIONS(matmul)
OP_FUNCTIONS(pool)
OP_FUNCTIONS(global_pool)
OP_FUNCTIONS(reduce)
OP_FUNCTIONS(layer_norm)
OP_FUNCTIONS(lrn)
OP_FUNCTIONS(softmax)
OP_FUNCTIONS(reshape)
OP_FUNCTIONS(transpose)
OP_FUNCTIONS(concat)
OP_FUNCTIONS(split)
OP_FUNCTIONS(slice)
OP_FUNCTIONS(pad)
OP_FUNCTIONS(gather)
OP_FUNCTIONS(expand)
OP_FUNCTIONS(shape)
OP_FUNCTIONS(constant_of_shape)
OP_FUNCTIONS(range)
OP_FUNCTIONS(constant)
OP_FUNCTIONS(identity)
OP_FUNCTIONS(cast)
OP_FUNCTIONS(quantize)
OP_FUNCTIONS(dequantize)
#undef OP_FUNCTIONS

/* The entry's value of an element-wise operator of one input; a and b as unary_params() says. */
void unary_params(const struct node *n, double *ret_a, double *ret_b);
double unary_value(enum op_kind kind, double x, double a, double b);
/* Bounds of a Clip; an unbounded side is infinite. False when a bound is not constant. */
bool clip_bounds(const struct op_call *c, double *ret_low, double *ret_high);
/* Which entries a Slice takes, per dim of its input. */
struct slice_range {
    int64_t start[TENSOR_RANK_MAX], step[TENSOR_RANK_MAX], count[TENSOR_RANK_MAX];
};
enum err_code slice_ranges(const struct op_call *c, struct slice_range *ret, struct err *e)
    MUST_USE;
/* How many entries a Pad puts before each dim of its input, and behind, [rank + dim]. */
enum err_code pad_amounts(const struct op_call *c, int64_t ret[2 * TENSOR_RANK_MAX], struct err *e)
    MUST_USE;
/* First axis of the group that a Softmax sums over, and whether it runs to the last one
 * (operator sets before 13). */
bool softmax_axis(const struct op_call *c, int *ret_axis, bool *ret_to_end);

#endif

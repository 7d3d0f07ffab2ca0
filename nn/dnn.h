/* dnn.h -- the little of oneDNN that plans are made of, the same for its versions 2.6 and 3.x.
 *
 * Everything runs on the calling thread: each call that makes or runs a primitive must stand
 * between dnn_thread_enter() and dnn_thread_leave(), which keep OpenMP from making a team.
 * Scratchpads are given by the caller, so a primitive has no state and any number of
 * threads may run it at once, each with its own calls and memories.
 * Floats are float32; layouts are of floats unless made otherwise by dnn_layout_as(). Shapes are
 * those of ONNX: [N,C,...] with weights [O,I,...], or [G,O/G,I/G,...] with groups. */
#ifndef KENNEL_DNN_H
#define KENNEL_DNN_H

#include "data/base/err.h"

#include <stdint.h>

struct dnn_engine;
struct dnn_layout;    /* how a tensor lies in memory */
struct dnn_primitive; /* code for one operation on fixed layouts */
struct dnn_memory;    /* a layout at an address */
struct dnn_call;      /* a primitive with its arguments */

enum { DNN_RANK_MAX = 8, DNN_POSTS_MAX = 4, DNN_SPATIAL_MAX = 3, DNN_ALIGN = 64 };

/* The calling thread's OpenMP setting, to be given back. */
int dnn_thread_enter(void);
void dnn_thread_leave(int saved);

enum err_code dnn_engine_new(struct dnn_engine **ret, struct err *e) MUST_USE;
void dnn_engine_free(struct dnn_engine *d);
/* "onednn-2.6.3 avx512_core_vnni 2"; static. */
const char *dnn_engine_text(void);

/* NULL without memory. ANY leaves the choice to the primitive. */
enum dnn_form { DNN_PLAIN, DNN_ANY };
struct dnn_layout *dnn_layout_new(int rank, const int64_t *dims, enum dnn_form form);
/* Row-major dims[perm[i]] seen as dims[i]; for transposed operands. */
struct dnn_layout *dnn_layout_strided(int rank, const int64_t *dims, const int64_t *strides);
/* Of a spatial tensor: channels in blocks of dnn_block(), what convolutions of this machine take.
 */
struct dnn_layout *dnn_layout_blocked(int rank, const int64_t *dims);
int dnn_block(void);
/* The blocks, or the order of dims, of `like` on other dims of the same rank. */
struct dnn_layout *dnn_layout_like(const struct dnn_layout *like, const int64_t *dims);
/* The same numbers under other dims; NULL when no layout says that, or without memory.
 * permuted: dims[perm[i]] become dims[i]. reshaped: the same entries in row-major order.
 * part: entries start[d] + k step[d], k < dims[d]; *ret_offset: of the first one. */
struct dnn_layout *dnn_layout_permuted(const struct dnn_layout *l, const int *perm);
struct dnn_layout *dnn_layout_reshaped(const struct dnn_layout *l, int rank, const int64_t *dims);
struct dnn_layout *dnn_layout_part(const struct dnn_layout *l, const int64_t *dims,
                                   const int64_t *start, const int64_t *step, int64_t *ret_offset);
/* Row-major but for dim 1, which comes last. */
struct dnn_layout *dnn_layout_channels_last(int rank, const int64_t *dims);
/* Blocked, or dims in an order that every primitive knows: row-major or channels last. */
bool dnn_layout_is_known(const struct dnn_layout *l);
/* l itself, or the nearest known layout without gaps. */
struct dnn_layout *dnn_layout_settled(const struct dnn_layout *l);
/* The dim whose entries are neighbours in memory; -1 when it is blocked or holds one entry. */
int dnn_layout_innermost(const struct dnn_layout *l);
struct dnn_layout *dnn_layout_copy(const struct dnn_layout *l);
void dnn_layout_free(struct dnn_layout *l);
/* What an entry is. */
enum dnn_type { DNN_F32, DNN_U8, DNN_S8 };
/* The same places, counted in entries, of another type. l is what the functions above made, or the
 * source or destination of a primitive. */
struct dnn_layout *dnn_layout_as(const struct dnn_layout *l, enum dnn_type type);
enum dnn_type dnn_layout_type(const struct dnn_layout *l);
/* The same shape and type at the same places. */
bool dnn_layout_same(const struct dnn_layout *a, const struct dnn_layout *b);
/* Entries lie in row-major order without gaps, whatever the layout is called. */
bool dnn_layout_is_plain(const struct dnn_layout *l);
/* Entries of dim 1 that lie together in a block; 1 when it is not blocked, 0 when blocked
 * otherwise. */
int64_t dnn_layout_block(const struct dnn_layout *l);
/* Dim 1 is the innermost, the others in row-major order, without gaps. */
bool dnn_layout_is_channels_last(const struct dnn_layout *l);
/* Each dim has one stride: row-major, channels last, and the like. */
bool dnn_layout_is_strided(const struct dnn_layout *l);
size_t dnn_layout_bytes(const struct dnn_layout *l);
/* Returns the rank. */
int dnn_layout_dims(const struct dnn_layout *l, int64_t ret[DNN_RANK_MAX]);
/* Bytes from one row (dim 2) of a single picture to the next when its rows follow one another in
 * memory, as with channels last; else 0. */
size_t dnn_layout_row(const struct dnn_layout *l);

enum dnn_unary {
    DNN_RELU, /* alpha: slope below 0 */
    DNN_ELU,
    DNN_CLIP, /* alpha..beta */
    DNN_LOGISTIC,
    DNN_TANH,
    DNN_SQRT,
    DNN_EXP,
    DNN_LOG,
    DNN_ABS,
    DNN_LINEAR, /* alpha x + beta */
    DNN_GELU_ERF,
    DNN_GELU_TANH,
    DNN_HARD_SWISH,
    DNN_SWISH, /* x logistic(alpha x) */
    DNN_POW    /* alpha x^beta */
};
/* DNN_PRELU: x, or below 0 x times the other operand, which is the WEIGHT; it takes no posts. */
enum dnn_binary { DNN_ADD, DNN_SUB, DNN_MUL, DNN_DIV, DNN_MIN, DNN_MAX, DNN_PRELU };

/* What is done to a result before it is stored. */
struct dnn_post {
    enum { DNN_POST_UNARY, DNN_POST_SUM, DNN_POST_BINARY } kind;
    enum dnn_unary unary;
    float alpha, beta;
    enum dnn_binary binary;
    const struct dnn_layout *with; /* of the binary's other operand */
    float scale;                   /* of a sum: of what is there; 0 stands for 1 */
    enum dnn_type type;            /* of a sum: of what is there */
};
struct dnn_posts {
    int count;
    struct dnn_post post[DNN_POSTS_MAX];
};

enum dnn_role {
    DNN_SRC,
    DNN_SRC1,
    DNN_WEIGHT,
    DNN_BIAS,
    DNN_DST,
    DNN_SCALE,
    DNN_SHIFT,
    DNN_MEAN,
    DNN_VARIANCE,
    DNN_SCRATCHPAD,
    DNN_DIFF_SRC, /* gradients: dnn_backward.h */
    DNN_DIFF_WEIGHT,
    DNN_DIFF_DST,
    DNN_SRC_SCALE,    /* of a reorder; where dnn_scales_are_arguments() */
    DNN_WEIGHT_SCALE, /* of a convolution; likewise */
    DNN_POST_FIRST,   /* + index of the post */
    DNN_SRC_FIRST = DNN_POST_FIRST + DNN_POSTS_MAX /* + index, of a concat */
};

struct dnn_conv {
    const struct dnn_layout *src, *weight, *bias, *dst; /* bias may be NULL */
    int spatial;
    int64_t stride[DNN_SPATIAL_MAX], dilation[DNN_SPATIAL_MAX]; /* dilation 1: dense */
    int64_t low[DNN_SPATIAL_MAX], high[DNN_SPATIAL_MAX];
    struct dnn_posts posts;
    /* Integer operands: the sum of products is taken times scales[output channel] before the posts.
     * NULL: floats. The bias is then given as dnn_conv_bias() says. */
    const float *scales;
    int64_t scale_count;
    bool grouped;  /* the weights have a dim for the group */
    bool winograd; /* by Winograd's minimal filtering, where there is an implementation */
};
enum dnn_pool_kind { DNN_POOL_MAX, DNN_POOL_MEAN_INSIDE, DNN_POOL_MEAN_ALL };
struct dnn_pool {
    enum dnn_pool_kind kind;
    const struct dnn_layout *src, *dst;
    int spatial;
    int64_t kernel[DNN_SPATIAL_MAX], stride[DNN_SPATIAL_MAX], dilation[DNN_SPATIAL_MAX];
    int64_t low[DNN_SPATIAL_MAX], high[DNN_SPATIAL_MAX];
};

/* Scales must also be given to each call, as an argument of the roles above. */
bool dnn_scales_are_arguments(void);
/* The bias that ends up as `bias` in units of the result, for that channel's scale. */
float dnn_conv_bias(float bias, float scale);
/* The largest absolute s8 weight whose products with u8 no instruction of this processor
 * saturates in between: 127, or 64 where pairs of products are summed in 16 bits. */
int dnn_weight_max(void);

/* Layouts given as DNN_ANY are chosen and can be asked for with dnn_primitive_layout().
 * ERR_DNN: no implementation; ERR_NOMEM. */
enum err_code dnn_conv_new(struct dnn_engine *d, const struct dnn_conv *c,
                           struct dnn_primitive **ret, struct err *e) MUST_USE;
enum err_code dnn_pool_new(struct dnn_engine *d, const struct dnn_pool *p,
                           struct dnn_primitive **ret, struct err *e) MUST_USE;
enum err_code dnn_inner_new(struct dnn_engine *d, const struct dnn_layout *src,
                            const struct dnn_layout *weight, const struct dnn_layout *bias,
                            const struct dnn_layout *dst, const struct dnn_posts *posts,
                            struct dnn_primitive **ret, struct err *e) MUST_USE;
enum err_code dnn_matmul_new(struct dnn_engine *d, const struct dnn_layout *a,
                             const struct dnn_layout *b, const struct dnn_layout *dst,
                             const struct dnn_posts *posts, struct dnn_primitive **ret,
                             struct err *e) MUST_USE;
/* scale and shift and the given mean and variance; then ReLU if asked for. */
enum err_code dnn_norm_new(struct dnn_engine *d, const struct dnn_layout *data, float epsilon,
                           bool relu, struct dnn_primitive **ret, struct err *e) MUST_USE;
/* Over the last dim. */
enum err_code dnn_layer_norm_new(struct dnn_engine *d, const struct dnn_layout *data, float epsilon,
                                 struct dnn_primitive **ret, struct err *e) MUST_USE;
enum err_code dnn_unary_new(struct dnn_engine *d, const struct dnn_layout *data,
                            enum dnn_unary kind, float alpha, float beta,
                            struct dnn_primitive **ret, struct err *e) MUST_USE;
enum err_code dnn_binary_new(struct dnn_engine *d, enum dnn_binary kind, const struct dnn_layout *a,
                             const struct dnn_layout *b, const struct dnn_layout *dst,
                             const struct dnn_posts *posts, struct dnn_primitive **ret,
                             struct err *e) MUST_USE;
enum err_code dnn_softmax_new(struct dnn_engine *d, const struct dnn_layout *data, int axis,
                              bool log, struct dnn_primitive **ret, struct err *e) MUST_USE;
enum err_code dnn_lrn_new(struct dnn_engine *d, const struct dnn_layout *data, int64_t size,
                          float alpha, float beta, float k, struct dnn_primitive **ret,
                          struct err *e) MUST_USE;
enum err_code dnn_concat_new(struct dnn_engine *d, const struct dnn_layout *const *src, int count,
                             int axis, const struct dnn_layout *dst, struct dnn_primitive **ret,
                             struct err *e) MUST_USE;
/* A source may have gaps. Not in 3.x: 3.7 copies between equal strides as if there were none, past
 * the end of both. */
bool dnn_concat_reads_gaps(void);
/* Entries times scales, one for all or one for each channel (dim 1), then rounded to the nearest
 * (ties to even) and saturated when dst is of integers. scales NULL: 1. They are DNN_SRC_SCALE. */
enum err_code dnn_reorder_new(struct dnn_engine *d, const struct dnn_layout *src,
                              const struct dnn_layout *dst, const float *scales,
                              int64_t scale_count, struct dnn_primitive **ret, struct err *e)
    MUST_USE;
void dnn_primitive_free(struct dnn_primitive *p);
/* A copy for the caller to free; NULL without memory. SRC, WEIGHT, BIAS, DST, SCRATCHPAD. */
struct dnn_layout *dnn_primitive_layout(const struct dnn_primitive *p, enum dnn_role role);
size_t dnn_primitive_scratchpad(const struct dnn_primitive *p); /* bytes */
/* "convolution"; static. */
const char *dnn_primitive_kind(const struct dnn_primitive *p);
/* Which implementation was chosen, e.g. "jit:avx512_core". Borrowed. */
const char *dnn_primitive_text(const struct dnn_primitive *p);

/* data may be NULL until dnn_memory_point(). Not written to here. */
enum err_code dnn_memory_new(struct dnn_engine *d, const struct dnn_layout *l, void *data,
                             struct dnn_memory **ret, struct err *e) MUST_USE;
void dnn_memory_free(struct dnn_memory *m);
enum err_code dnn_memory_point(struct dnn_memory *m, void *data, struct err *e) MUST_USE;

/* Borrows the primitive and the memories. */
enum err_code dnn_call_new(struct dnn_engine *d, const struct dnn_primitive *p, int args,
                           struct dnn_call **ret, struct err *e) MUST_USE;
void dnn_call_free(struct dnn_call *c);
void dnn_call_set(struct dnn_call *c, int index, int role, struct dnn_memory *m);
enum err_code dnn_call_run(const struct dnn_call *c, struct err *e) MUST_USE;

#endif

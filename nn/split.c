#include "nn/split.h"

#include "data/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_MIN = 4, ARGS_MAX = 24 };
/* Less than this is done before a second core has heard of it. */
enum { BYTES_MIN = 8 << 10 };

/* Where the rows of a half begin and end. */
struct band {
    int64_t out, out_end, in, in_end;
    int64_t low, high; /* padding that is left to it */
};

/* How rows of the result hang on rows of the source. */
struct reach {
    int64_t stride, dilation, kernel, low, rows_in, rows_out;
};

static struct band band_of(const struct reach *w, int half)
{
    int64_t cut = (w->rows_out + 1) / 2;
    struct band b = { .out = half ? cut : 0, .out_end = half ? w->rows_out : cut };
    b.in = b.out * w->stride - w->low;
    b.in_end = (b.out_end - 1) * w->stride + (w->kernel - 1) * w->dilation + 1 - w->low;
    b.low = b.in < 0 ? -b.in : 0;
    b.high = b.in_end > w->rows_in ? b.in_end - w->rows_in : 0;
    b.in += b.low;
    b.in_end -= b.high;
    return b;
}

/* Rows [from, to) of what lies like l. */
static struct dnn_layout *rows_of(const struct dnn_layout *l, int64_t from, int64_t to)
{
    int64_t dims[DNN_RANK_MAX];
    dnn_layout_dims(l, dims);
    dims[2] = to - from;
    return dnn_layout_like(l, dims);
}

/* The same in row-major order, where rows of one channel lie together. */
static struct dnn_layout *plain_rows_of(const struct dnn_layout *l, int64_t from, int64_t to)
{
    int64_t dims[DNN_RANK_MAX];
    dnn_layout_dims(l, dims);
    const int64_t strides[] = { dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1 };
    dims[2] = to - from;
    return dnn_layout_strided(4, dims, strides);
}

struct half {
    struct dnn_primitive *primitive;
    struct arg args[ARGS_MAX]; /* their layouts are owned */
    int count;
};

static void half_fini(struct half *h)
{
    dnn_primitive_free(h->primitive);
    for (int k = 0; k < h->count; k++)
        dnn_layout_free(h->args[k].layout);
}

static const struct dnn_layout *layout_in(const struct half *h, int role)
{
    for (int k = 0; k < h->count; k++)
        if (h->args[k].role == role)
            return h->args[k].layout;
    return NULL;
}

static bool is_source(int role)
{
    return role == DNN_SRC;
}

/* Everything but weights and the like is cut by rows. */
static bool is_cut(int role)
{
    return role == DNN_SRC || role == DNN_DST || role >= DNN_POST_FIRST;
}

/* The half's arguments; false without memory. */
static bool half_args(const struct instr *i, const struct band *b, struct half *ret)
{
    for (int k = 0; k < i->arg_count; k++) {
        const struct arg *from = &i->args[k];
        struct arg *to = &ret->args[k];
        *to = *from;
        int64_t begin = is_source(from->role) ? b->in : b->out;
        int64_t end = is_source(from->role) ? b->in_end : b->out_end;
        size_t row = dnn_layout_row(from->layout);
        if (!is_cut(from->role)) {
            to->layout = dnn_layout_copy(from->layout);
        } else if (row) {
            to->layout = rows_of(from->layout, begin, end);
            to->offset = (size_t)begin * row;
        } else {
            int64_t dims[DNN_RANK_MAX];
            dnn_layout_dims(from->layout, dims);
            to->layout = plain_rows_of(from->layout, begin, end);
            to->offset = (size_t)(begin * dims[3]) * sizeof(float);
        }
        ret->count = k + 1;
        if (!to->layout)
            return false;
    }
    return true;
}

/* Can every argument be cut into bands of rows? */
static bool fits(const struct plan *p, const struct instr *i, const struct reach *w)
{
    if (p->threads < 2 || i->kind != INSTR_DNN || w->rows_out < ROWS_MIN || i->arg_count > ARGS_MAX)
        return false;
    for (int k = 0; k < i->arg_count; k++) {
        const struct arg *a = &i->args[k];
        int64_t dims[DNN_RANK_MAX];
        if (!is_cut(a->role))
            continue;
        int rank = dnn_layout_dims(a->layout, dims);
        if (rank != 4 || dims[0] != 1 || dims[2] != (is_source(a->role) ? w->rows_in : w->rows_out))
            return false;
        if (a->role == DNN_DST && dnn_layout_bytes(a->layout) < BYTES_MIN)
            return false;
        bool plain_source = is_source(a->role) && dnn_layout_is_plain(a->layout);
        if (!dnn_layout_row(a->layout) && !plain_source)
            return false;
    }
    return true;
}

/* The last instruction becomes lane 0's, and one of lane 1 follows it. Takes what is in h. */
static enum err_code replace(struct plan *p, struct half h[2], struct err *e)
{
    int first = p->instr_count - 1;
    struct instr *whole = &p->instrs[first], *second;
    for (int k = 0; k < whole->arg_count; k++) {
        dnn_layout_free(whole->args[k].layout);
        whole->args[k] = h[0].args[k];
        h[0].args[k].layout = NULL;
    }
    dnn_primitive_free(whole->primitive);
    whole->primitive = STEAL(h[0].primitive);
    size_t scratchpad = dnn_primitive_scratchpad(whole->primitive);
    p->scratchpad = scratchpad > p->scratchpad ? scratchpad : p->scratchpad;
    CLEANUP(cleanup_free) char *name = strdup(whole->name);
    if (!name)
        return err_set(e, ERR_NOMEM, "no memory to split an instruction");
    enum err_code r = plan_emit(p, STEAL(h[1].primitive), name, &second, e);
    if (r)
        return r;
    second->lane = 1;
    for (int k = 0; k < h[1].count && !r; k++) {
        const struct arg *a = &h[1].args[k];
        r = plan_arg(p, second, a->role, a->of, a->layout, e);
        if (!r)
            second->args[k].offset = a->offset;
    }
    return r;
}

typedef enum err_code make_half(struct plan *p, const struct half *h, const struct band *b,
                                const void *what, struct dnn_primitive **ret, struct err *e);

static enum err_code split(struct plan *p, const struct reach *w, make_half *make, const void *what,
                           struct err *e)
{
    struct instr *i = &p->instrs[p->instr_count - 1];
    if (!fits(p, i, w))
        return ERR_OK;
    struct half h[2] = { 0 };
    enum err_code r = ERR_OK;
    for (int k = 0; k < 2 && !r; k++) {
        struct band b = band_of(w, k);
        if (b.in_end <= b.in)
            r = ERR_DNN; /* a half that is all padding */
        else if (!half_args(i, &b, &h[k]))
            r = err_set(e, ERR_NOMEM, "no memory to split an instruction");
        else
            r = make(p, &h[k], &b, what, &h[k].primitive, e);
    }
    if (!r)
        r = replace(p, h, e);
    half_fini(&h[0]);
    half_fini(&h[1]);
    /* What oneDNN has no code for stays whole. */
    return r == ERR_DNN ? ERR_OK : r;
}

static enum err_code make_conv(struct plan *p, const struct half *h, const struct band *b,
                               const void *what, struct dnn_primitive **ret, struct err *e)
{
    struct dnn_conv c = *(const struct dnn_conv *)what;
    c.src = layout_in(h, DNN_SRC);
    c.weight = layout_in(h, DNN_WEIGHT);
    c.bias = layout_in(h, DNN_BIAS);
    c.dst = layout_in(h, DNN_DST);
    c.low[0] = b->low;
    c.high[0] = b->high;
    for (int k = 0; k < c.posts.count; k++)
        if (c.posts.post[k].kind == DNN_POST_BINARY)
            c.posts.post[k].with = c.dst;
    enum err_code r = dnn_conv_new(p->engine, &c, ret, e);
    /* Half of it may want the weights in other blocks; then oneDNN falls back on slow code. */
    const char *whole = dnn_primitive_text(p->instrs[p->instr_count - 1].primitive);
    if (r || strcmp(dnn_primitive_text(*ret), whole) == 0)
        return r;
    dnn_primitive_free(STEAL(*ret));
    return err_set(e, ERR_DNN, "half of a convolution has no fast code");
}

static int64_t rows(const struct plan *p, int role)
{
    const struct instr *i = &p->instrs[p->instr_count - 1];
    int64_t dims[DNN_RANK_MAX] = { 0 };
    for (int k = 0; k < i->arg_count; k++)
        if (i->args[k].role == role)
            return dnn_layout_dims(i->args[k].layout, dims) == 4 ? dims[2] : 0;
    return 0;
}

enum err_code split_conv(struct plan *p, const struct dnn_conv *c, struct err *e)
{
    const struct instr *i = &p->instrs[p->instr_count - 1];
    int64_t dims[DNN_RANK_MAX] = { 0 };
    for (int k = 0; k < i->arg_count; k++)
        if (i->args[k].role == DNN_WEIGHT) {
            int rank = dnn_layout_dims(i->args[k].layout, dims);
            struct reach w = { c->stride[0], c->dilation[0],   dims[rank > 2 ? rank - 2 : 0],
                               c->low[0],    rows(p, DNN_SRC), rows(p, DNN_DST) };
            return c->spatial == 2 ? split(p, &w, make_conv, c, e) : ERR_OK;
        }
    return ERR_OK;
}

static enum err_code make_pool(struct plan *p, const struct half *h, const struct band *b,
                               const void *what, struct dnn_primitive **ret, struct err *e)
{
    struct dnn_pool o = *(const struct dnn_pool *)what;
    o.src = layout_in(h, DNN_SRC);
    o.dst = layout_in(h, DNN_DST);
    o.low[0] = b->low;
    o.high[0] = b->high;
    return dnn_pool_new(p->engine, &o, ret, e);
}

enum err_code split_pool(struct plan *p, const struct dnn_pool *o, struct err *e)
{
    struct reach w = { o->stride[0], o->dilation[0],   o->kernel[0],
                       o->low[0],    rows(p, DNN_SRC), rows(p, DNN_DST) };
    return o->spatial == 2 ? split(p, &w, make_pool, o, e) : ERR_OK;
}

static struct reach row_by_row(const struct plan *p)
{
    int64_t n = rows(p, DNN_DST);
    return (struct reach){ .stride = 1, .dilation = 1, .kernel = 1, .rows_in = n, .rows_out = n };
}

struct norm {
    float epsilon;
    bool relu;
};

static enum err_code make_norm(struct plan *p, const struct half *h, const struct band *b,
                               const void *what, struct dnn_primitive **ret, struct err *e)
{
    const struct norm *n = what;
    (void)b;
    return dnn_norm_new(p->engine, layout_in(h, DNN_SRC), n->epsilon, n->relu, ret, e);
}

enum err_code split_norm(struct plan *p, float epsilon, bool relu, struct err *e)
{
    struct reach w = row_by_row(p);
    return split(p, &w, make_norm, &(struct norm){ epsilon, relu }, e);
}

static enum err_code make_concat(struct plan *p, const struct half *h, const struct band *b,
                                 const void *what, struct dnn_primitive **ret, struct err *e)
{
    const struct dnn_layout *src[ARGS_MAX];
    int count = 0;
    (void)b;
    (void)what;
    for (int k = 0; k < h->count; k++)
        if (h->args[k].role >= DNN_SRC_FIRST)
            src[count++] = h->args[k].layout;
    return dnn_concat_new(p->engine, src, count, 1, layout_in(h, DNN_DST), ret, e);
}

enum err_code split_concat(struct plan *p, struct err *e)
{
    struct reach w = row_by_row(p);
    return split(p, &w, make_concat, NULL, e);
}

static enum err_code make_reorder(struct plan *p, const struct half *h, const struct band *b,
                                  const void *what, struct dnn_primitive **ret, struct err *e)
{
    (void)b;
    (void)what;
    return dnn_reorder_new(p->engine, layout_in(h, DNN_SRC), layout_in(h, DNN_DST), NULL, 1, ret,
                           e);
}

/* The tensor as [1, C/block, H, W, block], without a word about blocks, and the half of `dim` of
 * it; *ret_offset in bytes. */
static struct dnn_layout *half_of_blocks(const struct dnn_layout *l, int64_t block, int dim,
                                         int lane, size_t *ret_offset)
{
    int64_t dims[DNN_RANK_MAX];
    dnn_layout_dims(l, dims);
    int64_t c = dims[1], h = dims[2], w = dims[3];
    bool last = dnn_layout_is_channels_last(l);
    const int64_t strides[] = { c * h * w, last ? block : h * w * block, w * (last ? c : block),
                                last ? c : block, 1 };
    int64_t whole[] = { 1, c / block, h, w, block };
    int64_t cut = (whole[dim] + 1) / 2;
    *ret_offset = lane ? (size_t)(cut * strides[dim]) * sizeof(float) : 0;
    whole[dim] = lane ? whole[dim] - cut : cut;
    return dnn_layout_strided(5, whole, strides);
}

static const struct arg *reorder_arg(const struct instr *i, int role)
{
    return i->arg_count == 2 ? &i->args[i->args[1].role == role] : NULL;
}

/* Between channels last and blocks of channels: what one lane writes is one piece of memory, rows
 * in the one and blocks in the other. */
static enum err_code split_blocks(struct plan *p, struct err *e)
{
    const struct instr *i = &p->instrs[p->instr_count - 1];
    const struct arg *from = reorder_arg(i, DNN_SRC), *to = reorder_arg(i, DNN_DST);
    int64_t dims[DNN_RANK_MAX];
    if (p->threads < 2 || !from || !to || dnn_layout_dims(to->layout, dims) != 4 || dims[0] != 1 ||
        dnn_layout_type(from->layout) != DNN_F32 || dnn_layout_type(to->layout) != DNN_F32 ||
        dnn_layout_bytes(to->layout) < BYTES_MIN)
        return ERR_OK;
    bool to_blocks = dnn_layout_is_channels_last(from->layout);
    const struct arg *blocked = to_blocks ? to : from, *last = to_blocks ? from : to;
    int64_t block = dnn_layout_block(blocked->layout);
    int dim = to_blocks ? 1 : 2;
    if (block <= 1 || dims[1] % block || !dnn_layout_is_channels_last(last->layout) ||
        (to_blocks ? dims[1] / block : dims[2]) < 2)
        return ERR_OK;
    struct half h[2] = { 0 };
    enum err_code r = ERR_OK;
    for (int k = 0; k < 2 && !r; k++) {
        h[k].args[0] = *from;
        h[k].args[1] = *to;
        h[k].count = 2;
        for (int a = 0; a < 2; a++)
            h[k].args[a].layout =
                half_of_blocks((a ? to : from)->layout, block, dim, k, &h[k].args[a].offset);
        if (!h[k].args[0].layout || !h[k].args[1].layout)
            r = err_set(e, ERR_NOMEM, "no memory to split an instruction");
        else
            r = make_reorder(p, &h[k], NULL, NULL, &h[k].primitive, e);
    }
    if (!r)
        r = replace(p, h, e);
    half_fini(&h[0]);
    half_fini(&h[1]);
    return r == ERR_DNN ? ERR_OK : r;
}

enum err_code split_reorder(struct plan *p, struct err *e)
{
    int count = p->instr_count;
    struct reach w = row_by_row(p);
    enum err_code r = split(p, &w, make_reorder, NULL, e);
    return r || p->instr_count > count ? r : split_blocks(p, e);
}

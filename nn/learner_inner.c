/* Product with a matrix: y = x W (+ b), one row an item; W is [depth][width], or the other way
 * round. */
#include "nn/learner_parts.h"

#include "data/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

CLEANUP_DEFINE(struct dnn_layout, dnn_layout_free);
#define LAYOUT CLEANUP(dnn_layout_free_p) struct dnn_layout *

/* y = x W; dx = dy W'; dW = x' dy, each for a chunk and a single item. */
enum way { FORWARD, DATA, WEIGHT, WAYS };
enum { CHUNK, SINGLE, SIZES };
enum { A, B, RESULT, SCRATCHPAD, ARGS };

struct call {
    struct dnn_memory *memory[ARGS];
    struct dnn_call *call;
};

struct inner {
    int64_t depth, width;
    bool transposed;
    struct dnn_primitive *primitive[WAYS][SIZES];
    struct call *calls; /* [workers][WAYS][SIZES] */
    size_t scratchpad;
};

static struct call *call_at(const struct inner *s, int worker, enum way way, int size)
{
    return &s->calls[((size_t)worker * WAYS + way) * SIZES + (size_t)size];
}

static struct dnn_layout *matrix(int64_t rows, int64_t columns, bool transposed)
{
    return dnn_layout_strided(2, (int64_t[]){ rows, columns },
                              transposed ? (int64_t[]){ 1, rows } : (int64_t[]){ columns, 1 });
}

/* Layouts of A, B and the result for `items` rows. */
static bool make_layouts(const struct inner *s, enum way way, int items, struct dnn_layout **ret)
{
    switch (way) {
    case FORWARD:
        ret[A] = matrix(items, s->depth, false);
        ret[B] = matrix(s->depth, s->width, s->transposed);
        ret[RESULT] = matrix(items, s->width, false);
        break;
    case DATA:
        ret[A] = matrix(items, s->width, false);
        ret[B] = matrix(s->width, s->depth, !s->transposed);
        ret[RESULT] = matrix(items, s->depth, false);
        break;
    case WEIGHT: /* the result must not be transposed: x' dy or dy' x */
    case WAYS:
        ret[A] = matrix(s->transposed ? s->width : s->depth, items, true);
        ret[B] = matrix(items, s->transposed ? s->depth : s->width, false);
        ret[RESULT] =
            s->transposed ? matrix(s->width, s->depth, false) : matrix(s->depth, s->width, false);
        break;
    }
    return ret[A] && ret[B] && ret[RESULT];
}

static enum err_code make_call(struct learner *l, const struct dnn_primitive *primitive,
                               struct dnn_layout *const *layouts, struct call *call, struct err *e)
{
    static const int roles[ARGS] = { DNN_SRC, DNN_WEIGHT, DNN_DST, DNN_SCRATCHPAD };
    LAYOUT scratchpad = dnn_primitive_layout(primitive, DNN_SCRATCHPAD);
    enum err_code r = dnn_call_new(l->engine, primitive, ARGS, &call->call, e);
    for (int i = 0; i < ARGS && !r; i++) {
        const struct dnn_layout *layout = i == SCRATCHPAD ? scratchpad : layouts[i];
        r = layout ? dnn_memory_new(l->engine, layout, NULL, &call->memory[i], e)
                   : err_set(e, ERR_NOMEM, "no memory for a product's layouts");
        if (!r)
            dnn_call_set(call->call, i, roles[i], call->memory[i]);
    }
    return r;
}

static enum err_code make_way(struct learner *l, const struct learner_step *p, enum way way,
                              int size, struct err *e)
{
    struct inner *s = p->state;
    int items = size == SINGLE ? 1 : way == FORWARD ? p->forward_chunk : p->backward_chunk;
    struct dnn_layout *layouts[ARGS] = { NULL };
    struct dnn_primitive **primitive = &s->primitive[way][size];
    enum err_code r =
        make_layouts(s, way, items, layouts)
            ? dnn_matmul_new(l->engine, layouts[A], layouts[B], layouts[RESULT], NULL, primitive, e)
            : err_set(e, ERR_NOMEM, "no memory for a product's layouts");
    if (!r && dnn_primitive_scratchpad(*primitive) > s->scratchpad)
        s->scratchpad = dnn_primitive_scratchpad(*primitive);
    for (int w = 0; w < l->threads && !r; w++)
        r = make_call(l, *primitive, layouts, call_at(s, w, way, size), e);
    for (int i = 0; i < ARGS; i++)
        dnn_layout_free(layouts[i]);
    return r;
}

static size_t round_up(size_t bytes)
{
    return (bytes + DNN_ALIGN - 1) / DNN_ALIGN * DNN_ALIGN;
}

static size_t matrix_bytes(const struct inner *s)
{
    return round_up((size_t)s->depth * (size_t)s->width * sizeof(float));
}

/* The worker's scratch: the primitive's own; a chunk's gradient of the weight; of the input. */
static enum err_code inner_prepare(struct learner *l, struct learner_step *p, struct err *e)
{
    struct inner *s = p->state;
    s->calls = calloc((size_t)l->threads * WAYS * SIZES, sizeof *s->calls);
    if (!s->calls)
        return err_set(e, ERR_NOMEM, "no memory for a product");
    enum err_code r = ERR_OK;
    for (int way = FORWARD; way < WAYS && !r; way++)
        for (int size = 0; size < SIZES && !r; size++)
            if (way == FORWARD || p->backward_chunk)
                r = make_way(l, p, (enum way)way, size, e);
    if (p->weights[0].param >= 0)
        p->weights[0].sums = matrix_bytes(s);
    if (p->weight_count > 1 && p->weights[1].param >= 0)
        p->weights[1].sums = round_up((size_t)s->width * sizeof(double));
    size_t input = (size_t)p->backward_chunk * (size_t)s->depth * sizeof(float);
    p->scratch = round_up(s->scratchpad) + matrix_bytes(s) + input;
    return r;
}

static enum err_code run(const struct learner_step *p, const struct learner_job *j, enum way way,
                         const float *a, const float *b, float *result, struct err *e)
{
    const struct inner *s = p->state;
    int chunk = way == FORWARD ? p->forward_chunk : p->backward_chunk;
    struct call *call = call_at(s, j->worker, way, j->count == chunk ? CHUNK : SINGLE);
    void *data[ARGS] = { (void *)a, (void *)b, result, j->scratch };
    enum err_code r = ERR_OK;
    for (int i = 0; i < ARGS && !r; i++)
        r = dnn_memory_point(call->memory[i], data[i], e);
    return r ? r : dnn_call_run(call->call, e);
}

static enum err_code inner_forward(struct learner *l, const struct learner_step *p,
                                   const struct learner_job *j, struct err *e)
{
    const struct inner *s = p->state;
    float *y = learner_data(l, j, p->out);
    enum err_code r = run(p, j, FORWARD, learner_data(l, j, p->in[0]), p->weights[0].value, y, e);
    for (int i = 0; i < j->count && !r && p->weight_count > 1; i++)
        l->kernels->add((size_t)s->width, p->weights[1].value, y + (size_t)i * (size_t)s->width);
    return r;
}

static enum err_code inner_backward(struct learner *l, const struct learner_step *p,
                                    const struct learner_job *j, struct err *e)
{
    const struct inner *s = p->state;
    const float *x = learner_data(l, j, p->in[0]), *dy = learner_gradient(l, j, p->out);
    enum err_code r = ERR_OK;
    if (p->weight_count > 1 && p->weights[1].param >= 0) {
        double *sums = learner_sums(l, &p->weights[1], j->shard);
        if (j->first)
            memset(sums, 0, (size_t)s->width * sizeof *sums);
        l->kernels->column_sums((size_t)j->count, (size_t)s->width, dy, sums);
    }
    if (p->weights[0].param >= 0) {
        float *sums = learner_sums(l, &p->weights[0], j->shard);
        float *room = j->first ? sums : (float *)(void *)(j->scratch + round_up(s->scratchpad));
        r = run(p, j, WEIGHT, s->transposed ? dy : x, s->transposed ? x : dy, room, e);
        if (!r && !j->first)
            l->kernels->add((size_t)s->depth * (size_t)s->width, room, sums);
    }
    if (r || !learner_wants(l, p, 0))
        return r;
    float *dx = learner_gradient(l, j, p->in[0]);
    size_t at = round_up(s->scratchpad) + matrix_bytes(s);
    float *room = p->add[0] ? (float *)(void *)(j->scratch + at) : dx;
    r = run(p, j, DATA, dy, p->weights[0].value, room, e);
    if (!r && p->add[0])
        l->kernels->add((size_t)j->count * (size_t)s->depth, room, dx);
    return r;
}

static enum err_code inner_combine(struct learner *l, struct learner_step *p, enum learner_moment m,
                                   struct err *e)
{
    (void)e;
    if (m != MOMENT_BACKWARD)
        return ERR_OK;
    if (p->weights[0].param >= 0)
        learner_sum_matrix(l, &p->weights[0]);
    if (p->weight_count > 1 && p->weights[1].param >= 0)
        learner_sum_vector(l, &p->weights[1]);
    return ERR_OK;
}

static void inner_free(const struct learner *l, struct learner_step *p)
{
    struct inner *s = p->state;
    if (!s)
        return;
    for (int i = 0; s->calls && i < l->threads * WAYS * SIZES; i++) {
        for (int k = 0; k < ARGS; k++)
            dnn_memory_free(s->calls[i].memory[k]);
        dnn_call_free(s->calls[i].call);
    }
    for (int way = 0; way < WAYS; way++)
        for (int size = 0; size < SIZES; size++)
            dnn_primitive_free(s->primitive[way][size]);
    free(s->calls);
    free(s);
}

enum err_code learner_inner_init(struct learner *l, struct learner_step *p, int64_t depth,
                                 int64_t width, bool transposed, struct err *e)
{
    (void)l;
    static const struct learner_op op = { .prepare = inner_prepare,
                                          .forward = inner_forward,
                                          .backward = inner_backward,
                                          .combine = inner_combine,
                                          .free = inner_free };
    struct inner *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a product");
    p->op = &op;
    p->state = s;
    s->depth = depth;
    s->width = width;
    s->transposed = transposed;
    p->needs = NEEDS_IN;
    return ERR_OK;
}

/* Convolution: three primitives (forward, gradient of the input, gradient of the weight), each for
 * a chunk and for a single item that is left over. */
#include "nn/dnn_backward.h"
#include "nn/learner_parts.h"

#include "data/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

CLEANUP_DEFINE(struct dnn_layout, dnn_layout_free);
#define LAYOUT CLEANUP(dnn_layout_free_p) struct dnn_layout *

enum way { FORWARD, DATA, WEIGHT, WAYS };
enum { CHUNK, SINGLE, SIZES };
enum { SRC, DST, MATRIX, BIAS, SCRATCHPAD, ARGS };

/* A worker's own call. */
struct call {
    struct dnn_memory *memory[ARGS];
    struct dnn_call *call;
};

struct conv {
    struct window window;
    int64_t group;
    struct dnn_primitive *primitive[WAYS][SIZES];
    struct call *calls; /* [workers][WAYS][SIZES] */
    size_t bytes[WAYS]; /* of the weight in the layout of that way */
    void *weight[WAYS]; /* FORWARD, DATA: the numbers in that layout; WEIGHT: the gradient's sum */
    struct call to[WAYS]; /* FORWARD, DATA: row-major -> layout; WEIGHT: back */
    struct dnn_primitive *reorder[WAYS];
    size_t scratchpad; /* the largest */
};

static struct call *call_at(const struct conv *c, int worker, enum way way, int size)
{
    return &c->calls[((size_t)worker * WAYS + way) * SIZES + (size_t)size];
}

static int weight_dims(const struct learner *l, const struct learner_step *p, int64_t *ret)
{
    const struct conv *c = p->state;
    int64_t in = l->values[p->in[0]].channels, out = l->values[p->out].channels;
    int rank = 0;
    if (c->group > 1)
        ret[rank++] = c->group;
    ret[rank++] = out / c->group;
    ret[rank++] = in / c->group;
    for (int d = 0; d < c->window.spatial; d++)
        ret[rank++] = c->window.kernel[d];
    return rank;
}

static struct dnn_layout *value_layout(const struct learner_value *v, int items)
{
    int64_t dims[TENSOR_RANK_MAX];
    memcpy(dims, v->shape.dims, sizeof dims);
    dims[0] = items;
    return dnn_layout_channels_last(v->shape.rank, dims);
}

static bool wanted(const struct learner *l, const struct learner_step *p, enum way way)
{
    return way == FORWARD || (way == DATA ? learner_wants(l, p, 0) : p->weights[0].param >= 0);
}

/* The weight's layout is the primitive's choice for a chunk, and then given for a single item. */
static enum err_code make_primitive(struct learner *l, struct learner_step *p, enum way way,
                                    int size, struct err *e)
{
    struct conv *c = p->state;
    int64_t dims[TENSOR_RANK_MAX + 1];
    int rank = weight_dims(l, p, dims),
        items = way == FORWARD ? p->forward_chunk : p->backward_chunk;
    enum dnn_role role = way == WEIGHT ? DNN_DIFF_WEIGHT : DNN_WEIGHT;
    LAYOUT src = value_layout(&l->values[p->in[0]], size == CHUNK ? items : 1);
    LAYOUT dst = value_layout(&l->values[p->out], size == CHUNK ? items : 1);
    LAYOUT weight = size == CHUNK ? dnn_layout_new(rank, dims, DNN_ANY)
                                  : dnn_primitive_layout(c->primitive[way][CHUNK], role);
    LAYOUT bias = dnn_layout_new(1, (int64_t[]){ l->values[p->out].channels }, DNN_PLAIN);
    if (!src || !dst || !weight || !bias)
        return err_set(e, ERR_NOMEM, "no memory for a convolution's layouts");
    struct dnn_conv conv = { .src = src,
                             .weight = weight,
                             .bias = way == FORWARD && p->weight_count > 1 ? bias : NULL,
                             .dst = dst,
                             .spatial = c->window.spatial,
                             .grouped = c->group > 1 };
    memcpy(conv.stride, c->window.stride, sizeof conv.stride);
    memcpy(conv.dilation, c->window.dilation, sizeof conv.dilation);
    memcpy(conv.low, c->window.low, sizeof conv.low);
    memcpy(conv.high, c->window.high, sizeof conv.high);
    struct dnn_primitive **ret = &c->primitive[way][size];
    enum err_code r = way == FORWARD ? dnn_conv_new(l->engine, &conv, ret, e)
                      : way == DATA  ? dnn_conv_backward_data_new(l->engine, &conv, ret, e)
                                     : dnn_conv_backward_weight_new(l->engine, &conv, ret, e);
    if (!r && dnn_primitive_scratchpad(*ret) > c->scratchpad)
        c->scratchpad = dnn_primitive_scratchpad(*ret);
    return r;
}

static enum err_code make_call(struct learner *l, struct learner_step *p, struct call *call,
                               enum way way, int size, struct err *e)
{
    struct conv *c = p->state;
    const struct dnn_primitive *primitive = c->primitive[way][size];
    static const int roles[WAYS][ARGS] = {
        { DNN_SRC, DNN_DST, DNN_WEIGHT, DNN_BIAS, DNN_SCRATCHPAD },
        { DNN_DIFF_SRC, DNN_DIFF_DST, DNN_WEIGHT, DNN_BIAS, DNN_SCRATCHPAD },
        { DNN_SRC, DNN_DIFF_DST, DNN_DIFF_WEIGHT, DNN_BIAS, DNN_SCRATCHPAD },
    };
    int items = size == SINGLE ? 1 : way == FORWARD ? p->forward_chunk : p->backward_chunk;
    LAYOUT src = value_layout(&l->values[p->in[0]], items);
    LAYOUT dst = value_layout(&l->values[p->out], items);
    LAYOUT weight = dnn_primitive_layout(primitive, way == WEIGHT ? DNN_DIFF_WEIGHT : DNN_WEIGHT);
    LAYOUT bias = dnn_layout_new(1, (int64_t[]){ l->values[p->out].channels }, DNN_PLAIN);
    LAYOUT scratchpad = dnn_primitive_layout(primitive, DNN_SCRATCHPAD);
    const struct dnn_layout *layouts[ARGS] = { src, dst, weight, bias, scratchpad };
    void *data[ARGS] = { NULL, NULL, way == WEIGHT ? NULL : c->weight[way],
                         p->weight_count > 1 ? (void *)p->weights[1].value : NULL, NULL };
    bool biased = way == FORWARD && p->weight_count > 1;
    int count = 0;
    enum err_code r = dnn_call_new(l->engine, primitive, ARGS - !biased, &call->call, e);
    for (int i = 0; i < ARGS && !r; i++) {
        if (i == BIAS && !biased)
            continue;
        r = layouts[i] ? dnn_memory_new(l->engine, layouts[i], data[i], &call->memory[i], e)
                       : err_set(e, ERR_NOMEM, "no memory for a convolution's layouts");
        if (!r)
            dnn_call_set(call->call, count++, roles[way][i], call->memory[i]);
    }
    return r;
}

/* Between the initialiser's order and a primitive's. */
static enum err_code make_reorder(struct learner *l, struct learner_step *p, enum way way,
                                  struct err *e)
{
    struct conv *c = p->state;
    int64_t dims[TENSOR_RANK_MAX + 1];
    int rank = weight_dims(l, p, dims);
    LAYOUT plain = dnn_layout_new(rank, dims, DNN_PLAIN);
    LAYOUT own = dnn_primitive_layout(c->primitive[way][CHUNK],
                                      way == WEIGHT ? DNN_DIFF_WEIGHT : DNN_WEIGHT);
    if (!plain || !own)
        return err_set(e, ERR_NOMEM, "no memory for a convolution's layouts");
    c->bytes[way] = dnn_layout_bytes(own);
    size_t room = (c->bytes[way] + DNN_ALIGN - 1) / DNN_ALIGN * DNN_ALIGN;
    c->weight[way] = aligned_alloc(DNN_ALIGN, room);
    if (!c->weight[way])
        return err_set(e, ERR_NOMEM, "no memory for %zu bytes of weights", room);
    memset(c->weight[way], 0, room);
    l->extra_bytes += room;
    const struct learner_weight *w = &p->weights[0];
    void *numbers = way == WEIGHT ? (void *)l->params[w->param].gradient : (void *)w->value;
    struct call *call = &c->to[way];
    enum err_code r = way == WEIGHT
                          ? dnn_reorder_new(l->engine, own, plain, NULL, 0, &c->reorder[way], e)
                          : dnn_reorder_new(l->engine, plain, own, NULL, 0, &c->reorder[way], e);
    if (!r)
        r = dnn_memory_new(l->engine, plain, numbers, &call->memory[way == WEIGHT ? DST : SRC], e);
    if (!r)
        r = dnn_memory_new(l->engine, own, c->weight[way], &call->memory[way == WEIGHT ? SRC : DST],
                           e);
    if (!r)
        r = dnn_call_new(l->engine, c->reorder[way], 2, &call->call, e);
    if (r)
        return r;
    dnn_call_set(call->call, 0, DNN_SRC, call->memory[SRC]);
    dnn_call_set(call->call, 1, DNN_DST, call->memory[DST]);
    return ERR_OK;
}

static size_t round_up(size_t bytes)
{
    return (bytes + DNN_ALIGN - 1) / DNN_ALIGN * DNN_ALIGN;
}

/* The worker's scratch: the primitive's own, the weight's gradient of a chunk, the input's gradient
 * of a chunk that is to be added. */
static size_t weight_room(const struct conv *c)
{
    return round_up(c->scratchpad);
}

static size_t input_room(const struct conv *c)
{
    return weight_room(c) + round_up(c->bytes[WEIGHT]);
}

static enum err_code conv_prepare(struct learner *l, struct learner_step *p, struct err *e)
{
    struct conv *c = p->state;
    c->calls = calloc((size_t)l->threads * WAYS * SIZES, sizeof *c->calls);
    if (!c->calls)
        return err_set(e, ERR_NOMEM, "no memory for a convolution");
    enum err_code r = ERR_OK;
    for (int way = FORWARD; way < WAYS && !r; way++) {
        int chunk = way == FORWARD ? p->forward_chunk : p->backward_chunk;
        if (!wanted(l, p, (enum way)way) || !chunk)
            continue;
        r = make_primitive(l, p, (enum way)way, CHUNK, e);
        if (!r && chunk > 1)
            r = make_primitive(l, p, (enum way)way, SINGLE, e);
        if (!r)
            r = make_reorder(l, p, (enum way)way, e);
        for (int w = 0; w < l->threads && !r; w++)
            for (int size = 0; size < SIZES && !r; size++)
                if (c->primitive[way][size])
                    r = make_call(l, p, call_at(c, w, (enum way)way, size), (enum way)way, size, e);
    }
    if (p->weights[0].param >= 0)
        p->weights[0].sums = round_up(c->bytes[WEIGHT]);
    if (p->weight_count > 1 && p->weights[1].param >= 0)
        p->weights[1].sums = round_up((size_t)l->values[p->out].channels * sizeof(double));
    p->scratch =
        input_room(c) +
        (p->add[0] ? (size_t)p->backward_chunk * l->values[p->in[0]].count * sizeof(float) : 0);
    return r;
}

static enum err_code conv_refresh(struct learner *l, struct learner_step *p, struct err *e)
{
    const struct conv *c = p->state;
    enum err_code r = dnn_call_run(c->to[FORWARD].call, e);
    return r || !l->training || !c->to[DATA].call ? r : dnn_call_run(c->to[DATA].call, e);
}

static enum err_code run(struct learner_step const *p, const struct learner_job *j, enum way way,
                         const float *src, const float *dst, void *matrix, struct err *e)
{
    const struct conv *c = p->state;
    int chunk = way == FORWARD ? p->forward_chunk : p->backward_chunk;
    struct call *call = call_at(c, j->worker, way, j->count == chunk ? CHUNK : SINGLE);
    enum err_code r = dnn_memory_point(call->memory[SRC], (void *)src, e);
    if (!r)
        r = dnn_memory_point(call->memory[DST], (void *)dst, e);
    if (!r && matrix)
        r = dnn_memory_point(call->memory[MATRIX], matrix, e);
    if (!r)
        r = dnn_memory_point(call->memory[SCRATCHPAD], j->scratch, e);
    return r ? r : dnn_call_run(call->call, e);
}

static enum err_code conv_forward(struct learner *l, const struct learner_step *p,
                                  const struct learner_job *j, struct err *e)
{
    return run(p, j, FORWARD, learner_data(l, j, p->in[0]), learner_data(l, j, p->out), NULL, e);
}

static void sum_bias(const struct learner *l, const struct learner_step *p,
                     const struct learner_job *j)
{
    size_t channels = (size_t)l->values[p->out].channels;
    double *sums = learner_sums(l, &p->weights[1], j->shard);
    if (j->first)
        memset(sums, 0, channels * sizeof *sums);
    l->kernels->column_sums((size_t)j->count * (size_t)l->values[p->out].inner, channels,
                            learner_gradient(l, j, p->out), sums);
}

static enum err_code sum_weight(const struct learner *l, const struct learner_step *p,
                                const struct learner_job *j, struct err *e)
{
    const struct conv *c = p->state;
    float *sums = learner_sums(l, &p->weights[0], j->shard);
    float *room = j->first ? sums : (float *)(void *)(j->scratch + weight_room(c));
    enum err_code r =
        run(p, j, WEIGHT, learner_data(l, j, p->in[0]), learner_gradient(l, j, p->out), room, e);
    if (!r && !j->first)
        l->kernels->add(c->bytes[WEIGHT] / sizeof(float), room, sums);
    return r;
}

static enum err_code conv_backward(struct learner *l, const struct learner_step *p,
                                   const struct learner_job *j, struct err *e)
{
    const struct conv *c = p->state;
    enum err_code r = ERR_OK;
    if (p->weight_count > 1 && p->weights[1].param >= 0)
        sum_bias(l, p, j);
    if (p->weights[0].param >= 0)
        r = sum_weight(l, p, j, e);
    if (r || !learner_wants(l, p, 0))
        return r;
    float *dx = learner_gradient(l, j, p->in[0]);
    float *room = p->add[0] ? (float *)(void *)(j->scratch + input_room(c)) : dx;
    r = run(p, j, DATA, room, learner_gradient(l, j, p->out), NULL, e);
    if (!r && p->add[0])
        l->kernels->add((size_t)j->count * l->values[p->in[0]].count, room, dx);
    return r;
}

static enum err_code conv_combine(struct learner *l, struct learner_step *p, enum learner_moment m,
                                  struct err *e)
{
    const struct conv *c = p->state;
    if (m != MOMENT_BACKWARD)
        return ERR_OK;
    if (p->weight_count > 1 && p->weights[1].param >= 0)
        learner_sum_vector(l, &p->weights[1]);
    if (p->weights[0].param < 0)
        return ERR_OK;
    const struct learner_param *param = &l->params[p->weights[0].param];
    float *sum = learner_sums(l, &p->weights[0], 0);
    for (int s = 1; s < l->run_shards; s++)
        l->kernels->add(c->bytes[WEIGHT] / sizeof(float), learner_sums(l, &p->weights[0], s), sum);
    /* A shared parameter gets its part by way of the room of the gradient's own layout. */
    bool shared = l->users[p->weights[0].param] > 1;
    enum err_code r = dnn_memory_point(c->to[WEIGHT].memory[SRC], sum, e);
    if (!r)
        r = dnn_memory_point(c->to[WEIGHT].memory[DST],
                             shared ? c->weight[WEIGHT] : (void *)param->gradient, e);
    if (!r)
        r = dnn_call_run(c->to[WEIGHT].call, e);
    if (!r && shared)
        l->kernels->add(param->count, c->weight[WEIGHT], param->gradient);
    return r;
}

static void free_call(struct call *c)
{
    for (int i = 0; i < ARGS; i++)
        dnn_memory_free(c->memory[i]);
    dnn_call_free(c->call);
}

static void conv_free(const struct learner *l, struct learner_step *p)
{
    struct conv *c = p->state;
    if (!c)
        return;
    for (int i = 0; c->calls && i < l->threads * WAYS * SIZES; i++)
        free_call(&c->calls[i]);
    for (int way = 0; way < WAYS; way++) {
        free_call(&c->to[way]);
        dnn_primitive_free(c->reorder[way]);
        for (int size = 0; size < SIZES; size++)
            dnn_primitive_free(c->primitive[way][size]);
        free(c->weight[way]);
    }
    free(c->calls);
    free(c);
}

enum err_code learner_conv_init(struct learner *l, struct learner_step *p, const struct step *s,
                                struct err *e)
{
    (void)l;
    static const struct learner_op op = { .prepare = conv_prepare,
                                          .refresh = conv_refresh,
                                          .forward = conv_forward,
                                          .backward = conv_backward,
                                          .combine = conv_combine,
                                          .free = conv_free };
    struct conv *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_NOMEM, "no memory for a convolution");
    p->op = &op;
    p->state = c;
    c->window = s->window;
    c->group = s->group;
    p->needs = NEEDS_IN;
    return ERR_OK;
}

/* What a learner computes: a graph's nodes between the cut and the feature, and a head, as steps.
 */
#include "nn/learner_parts.h"

#include "data/base/cleanup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory to prepare training");
}

static int add_value(struct learner *l, const char *name, const struct tensor *shape)
{
    struct learner_value *v = &l->values[l->value_count];
    *v = (struct learner_value){ .name = name, .shape = *shape, .maker = -1 };
    v->shape.data = NULL;
    v->channels = shape->rank > 1 ? shape->dims[1] : 1;
    v->count = (size_t)tensor_count(shape);
    v->inner = (int64_t)v->count / (v->channels > 0 ? v->channels : 1);
    return l->value_count++;
}

/* A step that makes value out of values in; its op is set by the caller. */
static enum err_code add_step(struct learner *l, const char *name, const int *in, int in_count,
                              int out, struct learner_step **ret, struct err *e)
{
    struct learner_step *p = &l->list[l->step_count];
    *p = (struct learner_step){ .name = name, .out = out, .in_count = in_count };
    p->in = calloc((size_t)in_count + 1, sizeof *p->in);
    p->add = calloc((size_t)in_count + 1, sizeof *p->add);
    if (!p->in || !p->add) {
        free(p->in);
        free(p->add);
        return no_memory(e);
    }
    for (int i = 0; i < in_count; i++)
        p->in[i] = in[i];
    l->values[out].maker = l->step_count++;
    *ret = p;
    return ERR_OK;
}

/* map[graph value]: the learner's value, or -1. */
struct building {
    struct learner *l;
    const struct steps *steps;
    int *map;
};

static enum err_code refuse(const struct op_call *c, struct err *e)
{
    return op_refuse(c, e, ERR_ONNX_OPERATOR, "training has no backward for it in this form");
}

static enum err_code check_shape(const struct op_call *c, const struct tensor *t, struct err *e)
{
    char text[TENSOR_TEXT];
    if (t->type == TENSOR_F32 && t->rank >= 2 && t->dims[0] == 1 && tensor_count(t) > 0)
        return ERR_OK;
    return op_refuse(c, e, ERR_ONNX_OPERATOR, "training does not take %s of %s",
                     tensor_text(t, text), tensor_type_text(t->type));
}

static enum err_code build_conv(struct building *b, struct learner_step *p, const struct step *s,
                                const struct op_call *c, struct err *e)
{
    enum err_code r = learner_set_weight(b->l, p, 0, c->node, 1, LEARNER_WEIGHT, e);
    if (!r && c->node->in_count > 2 && c->node->in[2] >= 0)
        r = learner_set_weight(b->l, p, 1, c->node, 2, LEARNER_BIAS, e);
    return r ? r : learner_conv_init(b->l, p, s, e);
}

static enum err_code build_norm(struct building *b, struct learner_step *p, const struct op_call *c,
                                struct err *e)
{
    static const enum learner_kind kinds[] = { LEARNER_NORM_SCALE, LEARNER_NORM_SHIFT,
                                               LEARNER_NORM_MEAN, LEARNER_NORM_VARIANCE };
    enum err_code r = ERR_OK;
    for (int k = 0; k < 4 && !r; k++)
        r = learner_set_weight(b->l, p, k, c->node, 1 + k, kinds[k], e);
    return r ? r : learner_norm_init(b->l, p, node_float(c->node, "epsilon", 1e-5f), e);
}

static enum err_code build_inner(struct building *b, struct learner_step *p,
                                 const struct op_call *c, struct err *e)
{
    const struct node *n = c->node;
    const struct tensor *w = c->in[1], *bias = n->in_count > 2 ? c->in[2] : NULL;
    bool gemm = n->op->kind == OP_GEMM, transposed = gemm && node_int(n, "transB", 0);
    if (c->in[0]->rank != 2 || w->rank != 2 ||
        (gemm && (node_float(n, "alpha", 1) != 1 || node_int(n, "transA", 0))) ||
        (bias && (node_float(n, "beta", 1) != 1 || tensor_count(bias) != c->out[0]->dims[1])))
        return refuse(c, e);
    enum err_code r = learner_set_weight(b->l, p, 0, n, 1, LEARNER_WEIGHT, e);
    if (!r && bias)
        r = learner_set_weight(b->l, p, 1, n, 2, LEARNER_BIAS, e);
    return r ? r
             : learner_inner_init(b->l, p, w->dims[transposed], w->dims[!transposed], transposed,
                                  e);
}

/* An operand that does not depend on the picture is trained where something before it is. */
static enum err_code build_binary(struct building *b, struct learner_step *p,
                                  const struct op_call *c, struct err *e)
{
    struct learner *l = b->l;
    for (int i = 0; i < 2; i++) {
        int other = b->map[c->node->in[!i]];
        if (!c->in[i]->data)
            continue;
        bool trained = tensor_count(c->in[i]) > 1 && other >= 0 && l->values[other].gradient;
        if (c->node->op->kind == OP_PRELU)
            trained = i == 1;
        if (!trained) {
            p->weights[0] = (struct learner_weight){ .param = -1, .value = c->in[i]->data };
            p->weight_count = 1;
            continue;
        }
        enum err_code r =
            learner_set_weight(l, p, 0, c->node, i, learner_operand_kind(c->node->op->kind), e);
        if (r)
            return r;
    }
    return learner_binary_init(l, p, c, e);
}

/* from[] of learner_move_init() for what takes entries start + k by of its input; a negative start
 * pads. */
static enum err_code build_part(struct building *b, struct learner_step *p, const int64_t *start,
                                const int64_t *by, const int *axes, const struct op_call *c,
                                struct err *e)
{
    const struct tensor *x = &b->l->values[p->in[0]].shape, *y = &b->l->values[p->out].shape;
    int64_t count = tensor_count(y), strides[TENSOR_RANK_MAX], index[TENSOR_RANK_MAX] = { 0 };
    if (start[0] || by[0] != 1 || axes[0])
        return refuse(c, e);
    int64_t *from = malloc((size_t)count * sizeof *from);
    if (!from)
        return no_memory(e);
    tensor_strides(x, strides);
    for (int64_t i = 0; i < count; i++) {
        from[i] = 0;
        for (int d = 0; d < y->rank && from[i] >= 0; d++) {
            int64_t at = start[d] + index[d] * by[d];
            from[i] = at < 0 || at >= x->dims[axes[d]] ? -1 : from[i] + at * strides[axes[d]];
        }
        for (int d = y->rank - 1; d >= 0 && ++index[d] == y->dims[d]; d--)
            index[d] = 0;
    }
    return learner_move_init(b->l, p, from, e);
}

static const int same_axes[TENSOR_RANK_MAX] = { 0, 1, 2, 3, 4, 5, 6 };
static const int64_t zeros[TENSOR_RANK_MAX] = { 0 };
static const int64_t ones[TENSOR_RANK_MAX] = { 1, 1, 1, 1, 1, 1, 1 };

static enum err_code build_transpose(struct building *b, struct learner_step *p,
                                     const struct op_call *c, struct err *e)
{
    int64_t perm[TENSOR_RANK_MAX];
    int axes[TENSOR_RANK_MAX], given, rank = c->in[0]->rank;
    enum err_code r = op_ints(c, "perm", -1, perm, TENSOR_RANK_MAX, &given, e);
    if (r)
        return r;
    for (int d = 0; d < rank; d++)
        axes[d] = given < 0 ? rank - 1 - d : (int)perm[d];
    return build_part(b, p, zeros, ones, axes, c, e);
}

static enum err_code build_pad(struct building *b, struct learner_step *p, const struct op_call *c,
                               struct err *e)
{
    int64_t pads[2 * TENSOR_RANK_MAX], start[TENSOR_RANK_MAX];
    const struct tensor *value = c->node->in_count > 2 ? c->in[2] : NULL;
    if (strcmp(node_string(c->node, "mode", "constant"), "constant") != 0 ||
        (value && tensor_real(value, 0) != 0) || node_float(c->node, "value", 0) != 0)
        return refuse(c, e);
    enum err_code r = pad_amounts(c, pads, e);
    for (int d = 0; d < TENSOR_RANK_MAX; d++)
        start[d] = d < c->in[0]->rank ? -pads[d] : 0;
    return r ? r : build_part(b, p, start, ones, same_axes, c, e);
}

/* The same entries under another shape. */
static enum err_code build_view(struct building *b, struct learner_step *p, struct err *e)
{
    const struct learner_value *x = &b->l->values[p->in[0]], *y = &b->l->values[p->out];
    bool line = (x->inner == 1 || x->channels == 1) && (y->inner == 1 || y->channels == 1);
    if (line || (x->channels == y->channels && x->inner == y->inner))
        return learner_copy_init(b->l, p, e);
    int64_t *from = malloc(x->count * sizeof *from);
    if (!from)
        return no_memory(e);
    for (size_t i = 0; i < x->count; i++)
        from[i] = (int64_t)i;
    return learner_move_init(b->l, p, from, e);
}

/* The window of the whole, for means over it. */
static struct window whole(const struct tensor *x)
{
    struct window w = { .spatial = x->rank - 2 };
    for (int d = 0; d < w.spatial; d++) {
        w.in[d] = w.kernel[d] = x->dims[2 + d];
        w.out[d] = w.stride[d] = w.dilation[d] = 1;
    }
    return w;
}

static enum err_code build_kind(struct building *b, struct learner_step *p, const struct step *s,
                                const struct op_call *c, struct err *e)
{
    switch (s->kind) {
    case STEP_CONV:
        return build_conv(b, p, s, c, e);
    case STEP_NORM:
        return build_norm(b, p, c, e);
    case STEP_INNER:
        return build_inner(b, p, c, e);
    case STEP_POOL:
        return s->window.spatial <= 2 ? learner_pool_init(b->l, p, &s->window, s->pool_kind, e)
                                      : refuse(c, e);
    case STEP_VIEW:
        return build_view(b, p, e);
    case STEP_TRANSPOSE:
        return build_transpose(b, p, c, e);
    case STEP_SLICE:
        return build_part(b, p, s->start, s->by, same_axes, c, e);
    case STEP_CONCAT:
        return s->axis ? learner_concat_init(b->l, p, s->axis, e) : refuse(c, e);
    default:
        break;
    }
    switch (c->node->op->kind) {
    case OP_PAD:
        return build_pad(b, p, c, e);
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_PRELU:
        return build_binary(b, p, c, e);
    default:
        return learner_unary_init(b->l, p, c, e);
    }
}

static bool is_trained(const struct learner *l, const struct learner_step *p)
{
    for (int i = 0; i < p->in_count; i++)
        if (l->values[p->in[i]].gradient)
            return true;
    for (int k = 0; k < p->weight_count; k++)
        if (p->weights[k].param >= 0)
            return true;
    return false;
}

static bool takes_two(const struct node *n)
{
    switch (n->op->kind) {
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_PRELU:
        return true;
    default:
        return false;
    }
}

/* The node's inputs that depend on the picture: all of a Concat, those of two operands that do,
 * else the first. */
static enum err_code find_inputs(const struct building *b, const struct step *s,
                                 const struct op_call *c, int *in, int *ret_count, struct err *e)
{
    const struct node *n = c->node;
    bool all = s->kind == STEP_CONCAT, two = takes_two(n);
    for (int i = 0; i < n->in_count && (all || two || i == 0); i++) {
        if (n->in[i] >= 0 && c->in[i]->data && two)
            continue;
        if (n->in[i] < 0 || c->in[i]->data)
            return refuse(c, e);
        enum err_code r = check_shape(c, c->in[i], e);
        if (r)
            return r;
        in[(*ret_count)++] = b->map[n->in[i]];
    }
    return ERR_OK;
}

/* Output k of a step's node. */
static enum err_code build_output(struct building *b, const struct step *s, const struct op_call *c,
                                  int k, struct err *e)
{
    struct learner *l = b->l;
    const struct node *n = c->node;
    enum err_code r = check_shape(c, c->out[k], e);
    if (r)
        return r;
    CLEANUP(cleanup_free) int *in = calloc((size_t)n->in_count + 1, sizeof *in);
    if (!in)
        return no_memory(e);
    int count = 0;
    r = find_inputs(b, s, c, in, &count, e);
    if (r)
        return r;
    const char *name = l->network->graph.values[n->out[k]].name;
    int out = b->map[n->out[k]] = add_value(l, name, c->out[k]);
    struct learner_step *p;
    r = add_step(l, name, in, count, out, &p, e);
    if (r)
        return r;
    if (s->kind == STEP_SPLIT) {
        int64_t start[TENSOR_RANK_MAX] = { 0 };
        for (int i = 0; i < k; i++)
            start[s->axis] += c->out[i]->dims[s->axis];
        r = build_part(b, p, start, ones, same_axes, c, e);
    } else {
        r = build_kind(b, p, s, c, e);
    }
    if (!r)
        l->values[out].gradient = is_trained(l, p);
    return r;
}

static enum err_code build_step(struct building *b, const struct step *s, const struct tensor **in,
                                struct tensor **out, struct err *e)
{
    struct op_call c = frame_call(&b->l->frame, s->node, in, out);
    int count = s->kind == STEP_SPLIT ? s->node->out_count : 1;
    enum err_code r = ERR_OK;
    for (int k = 0; k < count && !r; k++)
        if (c.out[k])
            r = build_output(b, s, &c, k, e);
    return r;
}

/* The pooled feature, when it is spatial, and the head on it. */
static enum err_code build_head(struct learner *l, int feature, struct err *e)
{
    struct learner_step *p;
    struct tensor row = { .type = TENSOR_F32,
                          .rank = 2,
                          .dims = { 1, l->values[feature].channels } };
    enum err_code r = ERR_OK;
    if (l->values[feature].shape.rank > 2) {
        struct window w = whole(&l->values[feature].shape);
        int pooled = add_value(l, "head.pooled", &row);
        r = add_step(l, "head.pooled", &feature, 1, pooled, &p, e);
        if (!r)
            r = learner_pool_init(l, p, &w, DNN_POOL_MEAN_INSIDE, e);
        if (r)
            return r;
        l->values[pooled].gradient = l->values[feature].gradient;
        feature = pooled;
    }
    row.dims[1] = l->classes;
    l->logits = add_value(l, "head.logits", &row);
    r = add_step(l, "head.logits", &feature, 1, l->logits, &p, e);
    if (r)
        return r;
    static const char *const names[] = { "head.weight", "head.bias" };
    for (int k = 0; k < 2; k++) {
        size_t count = (size_t)l->classes * (k ? 1 : (size_t)l->width);
        int param =
            learner_add_param(l, names[k], k ? LEARNER_BIAS : LEARNER_WEIGHT, count, NULL, e);
        if (param < 0)
            return ERR_NOMEM;
        l->params[param].head = true;
        l->users[param] = 1;
        p->weights[k] = (struct learner_weight){ .param = param, .value = l->params[param].value };
    }
    p->weight_count = 2;
    l->values[l->logits].gradient = true;
    return learner_inner_init(l, p, l->width, l->classes, true, e);
}

/* Steps that the feature needs, down to the input. */
static enum err_code mark_needed(const struct building *b, int input, int feature, bool *keep,
                                 struct err *e)
{
    const struct graph *g = &b->l->network->graph;
    CLEANUP(cleanup_free) bool *used = calloc((size_t)g->value_count + 1, sizeof *used);
    if (!used)
        return no_memory(e);
    used[feature] = true;
    bool reached = false;
    for (int i = b->steps->count - 1; i >= 0; i--) {
        const struct node *n = b->steps->list[i].node;
        for (int k = 0; k < n->out_count; k++)
            keep[i] = keep[i] || (n->out[k] >= 0 && n->out[k] != input && used[n->out[k]]);
        for (int k = 0; k < n->in_count && keep[i]; k++)
            if (n->in[k] >= 0)
                used[n->in[k]] = true;
    }
    reached = used[input];
    if (!reached || (input != g->inputs[0] && used[g->inputs[0]]))
        return err_set(e, ERR_ONNX_FEATURE,
                       "tensor \"%.120s\" does not depend on \"%.120s\", or not on that alone",
                       g->values[feature].name, g->values[input].name);
    return ERR_OK;
}

static enum err_code build_steps(struct building *b, int input, int feature, struct err *e)
{
    struct learner *l = b->l;
    const struct graph *g = &l->network->graph;
    int widest = 1;
    for (int i = 0; i < g->node_count; i++) {
        widest = g->nodes[i].in_count > widest ? g->nodes[i].in_count : widest;
        widest = g->nodes[i].out_count > widest ? g->nodes[i].out_count : widest;
    }
    CLEANUP(cleanup_free) bool *keep = calloc((size_t)b->steps->count + 1, sizeof *keep);
    CLEANUP(cleanup_free) const struct tensor **in = calloc((size_t)widest, sizeof *in);
    CLEANUP(cleanup_free) struct tensor **out = calloc((size_t)widest, sizeof *out);
    if (!keep || !in || !out)
        return no_memory(e);
    enum err_code r = mark_needed(b, input, feature, keep, e);
    if (r)
        return r;
    struct learner_step *p;
    l->input = b->map[input] = add_value(l, g->values[input].name, &l->frame.values[input]);
    r = add_step(l, g->values[input].name, NULL, 0, l->input, &p, e);
    if (!r)
        r = learner_load_init(l, p, e);
    for (int i = 0; i < b->steps->count && !r; i++)
        if (keep[i])
            r = build_step(b, &b->steps->list[i], in, out, e);
    return r ? r : build_head(l, b->map[feature], e);
}

/* Each step makes one value; a split is as many steps as it has outputs. Two more of each: input
 * and pooled feature, and the head. */
static enum err_code make_room(struct learner *l, struct err *e)
{
    const struct graph *g = &l->network->graph;
    size_t values = (size_t)g->value_count + 4;
    size_t params = 2;
    for (int i = 0; i < g->node_count; i++)
        params += (size_t)g->nodes[i].in_count;
    l->values = calloc(values, sizeof *l->values);
    l->list = calloc(values, sizeof *l->list);
    l->params = calloc(params, sizeof *l->params);
    l->initialisers = calloc(params, sizeof *l->initialisers);
    l->users = calloc(params, sizeof *l->users);
    l->uses = calloc(params, sizeof *l->uses);
    l->roles = calloc((size_t)g->value_count + 1, sizeof *l->roles);
    if (!l->values || !l->list || !l->params || !l->initialisers || !l->users || !l->uses ||
        !l->roles)
        return no_memory(e);
    return ERR_OK;
}

static enum err_code find_input(const struct learner *l, const char *name, int *ret, struct err *e)
{
    const struct graph *g = &l->network->graph;
    int v = name ? graph_find(g, name) : g->inputs[0];
    if (v < 0 || l->frame.values[v].data || l->frame.values[v].type != TENSOR_F32 ||
        l->frame.values[v].rank < 2 || l->frame.values[v].dims[0] != 1)
        return err_set(e, ERR_ONNX_FEATURE, "the network has no activation \"%.120s\" to begin at",
                       name);
    *ret = v;
    return ERR_OK;
}

enum err_code learner_build(struct learner *l, const struct learner_options *o, struct err *e)
{
    const struct graph *g = &l->network->graph;
    const char *feature;
    int input = -1;
    enum err_code r = network_feature(l->network, o->feature, &feature, &l->width, e);
    if (!r) {
        l->feature = strdup(feature);
        r = l->feature ? network_frame(l->network, 1, &l->frame, e) : no_memory(e);
    }
    if (!r)
        r = find_input(l, o->input, &input, e);
    if (!r)
        r = steps_new(&l->frame, graph_find(g, feature), false, &l->steps, e);
    if (!r)
        r = make_room(l, e);
    if (r)
        return r;
    learner_find_roles(l);
    CLEANUP(cleanup_free) int *map = malloc(((size_t)g->value_count + 1) * sizeof *map);
    if (!map)
        return no_memory(e);
    for (int v = 0; v < g->value_count; v++)
        map[v] = -1;
    struct building b = { l, &l->steps, map };
    return build_steps(&b, input, graph_find(g, feature), e);
}

/* What exporters spell out because their operator set has no operator for it, and what they put
 * behind a matrix product because MatMul has neither bias nor scale.
 *
 * A match turns its last step into the whole; the steps before it go when nobody else reads them.
 */
#include "nn/steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct match {
    struct steps *s;
    const int *maker; /* step, by value; -1: none before the step that is looked at */
};

static struct step *maker_of(const struct match *m, int value)
{
    return value >= 0 && m->maker[value] >= 0 ? &m->s->list[m->maker[value]] : NULL;
}

static void set_input(struct steps *s, struct step *p, int value)
{
    s->uses[value]++;
    for (int k = 0; k < p->in_count; k++)
        if (p->in[k] >= 0)
            s->uses[p->in[k]]--;
    p->in[0] = value;
    p->in_count = 1;
}

static bool is_binary(const struct step *p, enum dnn_binary kind)
{
    return p && p->kind == STEP_BINARY && p->binary == kind && !p->post_count;
}

/* The operand of x -> alpha x + beta, or -1. */
static int linear_of(const struct match *m, int value, float alpha, float beta)
{
    const struct step *p = maker_of(m, value);
    bool fits = p && p->kind == STEP_UNARY && p->post_count == 1 &&
                p->posts[0].unary == DNN_LINEAR && fabsf(p->posts[0].alpha - alpha) < 1e-5f &&
                fabsf(p->posts[0].beta - beta) < 1e-5f;
    return fits ? p->in[0] : -1;
}

/* ---- layer normalisation: (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) scale + shift */

/* The operand of a mean over the last dims of it, and over how many entries; or -1. */
static int mean_of(const struct match *m, int value, int64_t *ret_len)
{
    const struct step *p = maker_of(m, value);
    if (!p || p->kind != STEP_PLAIN || p->node->op->kind != OP_REDUCE_MEAN)
        return -1;
    const struct tensor *x = &m->s->values[p->in[0]], *y = &m->s->values[value];
    if (x->rank != y->rank)
        return -1;
    int d = 0;
    while (d < x->rank && x->dims[d] == y->dims[d])
        d++;
    for (int k = d; k < x->rank; k++)
        if (y->dims[k] != 1)
            return -1;
    *ret_len = tensor_span(x, d, x->rank);
    return p->in[0];
}

/* x - mean(x) over *ret_len entries: x, or -1. */
static int centred(const struct match *m, int value, int64_t *ret_len)
{
    const struct step *sub = maker_of(m, value);
    if (!is_binary(sub, DNN_SUB) || mean_of(m, sub->in[1], ret_len) != sub->in[0])
        return -1;
    return sub->in[0];
}

/* sqrt(mean(c^2) + epsilon): the centred value c, or -1. */
static int deviation_of(const struct match *m, int value, int64_t *ret_len, float *ret_epsilon)
{
    const struct step *root = maker_of(m, value);
    if (!root || root->kind != STEP_UNARY || root->post_count != 1 ||
        root->posts[0].unary != DNN_SQRT)
        return -1;
    const struct step *add = maker_of(m, root->in[0]);
    if (!add || add->kind != STEP_UNARY || add->post_count != 1 ||
        add->posts[0].unary != DNN_LINEAR || add->posts[0].alpha != 1.0f)
        return -1;
    *ret_epsilon = add->posts[0].beta;
    const struct step *square = maker_of(m, mean_of(m, add->in[0], ret_len));
    if (is_binary(square, DNN_MUL))
        return square->in[0] == square->in[1] ? square->in[0] : -1;
    bool fits = square && square->kind == STEP_UNARY && square->post_count == 1 &&
                square->posts[0].unary == DNN_POW && square->posts[0].alpha == 1.0f &&
                square->posts[0].beta == 2.0f;
    return fits ? square->in[0] : -1;
}

/* A constant operand of len numbers that lie along the last dims. */
static const float *along_last(const struct steps *s, const struct step *p, int64_t len)
{
    const struct tensor *t = &s->values[p->in[1]], *x = &s->values[p->in[0]];
    if (!t->data || t->type != TENSOR_F32 || tensor_count(t) != len || t->rank > x->rank)
        return NULL;
    int64_t left = len;
    for (int d = 1; d <= t->rank && left > 1; d++) {
        if (t->dims[t->rank - d] != x->dims[x->rank - d])
            return NULL;
        left /= t->dims[t->rank - d];
    }
    return t->data;
}

static bool match_layer_norm(const struct match *m, struct step *add)
{
    struct steps *s = m->s;
    const struct step *mul = is_binary(add, DNN_ADD) ? maker_of(m, add->in[0]) : NULL;
    const struct step *div = is_binary(mul, DNN_MUL) ? maker_of(m, mul->in[0]) : NULL;
    if (!is_binary(div, DNN_DIV))
        return false;
    int64_t len, inner_len, again_len;
    float epsilon;
    int x = centred(m, div->in[0], &len);
    int inner = deviation_of(m, div->in[1], &inner_len, &epsilon);
    if (x < 0 || inner < 0 || inner_len != len ||
        (inner != div->in[0] && (centred(m, inner, &again_len) != x || again_len != len)))
        return false;
    const float *scale = along_last(s, mul, len), *shift = along_last(s, add, len);
    if (!scale || !shift || len < 1)
        return false;
    add->kind = STEP_LAYER_NORM;
    add->depth = len;
    add->rows = tensor_count(&s->values[x]) / len;
    add->scale = scale;
    add->shift = shift;
    add->epsilon = epsilon;
    set_input(s, add, x);
    return true;
}

/* ---- Gelu: x (1 + erf(x / sqrt(2))) / 2, halved in any place */

/* 1 + erf(x / sqrt(2)): x, or -1. */
static int erf_of(const struct match *m, int value)
{
    int inner = linear_of(m, value, 1.0f, 1.0f);
    const struct step *erf = maker_of(m, inner);
    if (!erf || erf->kind != STEP_PLAIN || erf->node->op->kind != OP_ERF)
        return -1;
    return linear_of(m, erf->in[0], (float)M_SQRT1_2, 0.0f);
}

static int half_of(const struct match *m, int value)
{
    return linear_of(m, value, 0.5f, 0.0f);
}

static int match_gelu(const struct match *m, const struct step *p)
{
    bool halved = p->kind == STEP_UNARY && half_of(m, p->out) >= 0;
    const struct step *mul = halved ? maker_of(m, p->in[0]) : p;
    if (!is_binary(mul, DNN_MUL))
        return -1;
    for (int k = 0; k < 2; k++) {
        int a = mul->in[k], b = mul->in[!k], half = half_of(m, a);
        if (halved && erf_of(m, b) == a)
            return a;
        if (!halved && half >= 0 && erf_of(m, b) == half)
            return half;
        if (!halved && half >= 0 && erf_of(m, half) == b)
            return b;
    }
    return -1;
}

/* ---- Swish: x sigmoid(x), and its straight-sided form */

static bool is_unary(const struct step_post *p, enum dnn_unary kind, float alpha, float beta)
{
    return p->unary == kind && fabsf(p->alpha - alpha) < 1e-6f && fabsf(p->beta - beta) < 1e-6f;
}

static int match_swish(const struct match *m, const struct step *mul, struct step_post *ret)
{
    for (int k = 0; k < 2 && is_binary(mul, DNN_MUL); k++) {
        const struct step *gate = maker_of(m, mul->in[k]);
        if (!gate || gate->kind != STEP_UNARY || gate->in[0] != mul->in[!k])
            continue;
        *ret = (struct step_post){ .kind = POST_UNARY, .unary = DNN_SWISH, .alpha = 1 };
        if (gate->post_count == 1 && gate->posts[0].unary == DNN_LOGISTIC)
            return gate->in[0];
        ret->unary = DNN_HARD_SWISH;
        if (gate->post_count == 2 && is_unary(&gate->posts[0], DNN_LINEAR, 1.0f / 6, 0.5f) &&
            is_unary(&gate->posts[1], DNN_CLIP, 0, 1))
            return gate->in[0];
    }
    return -1;
}

/* ---- padding that its own operator does before a convolution */

static bool match_pad(const struct match *m, struct step *conv)
{
    const struct step *pad = conv->kind == STEP_CONV ? maker_of(m, conv->in[0]) : NULL;
    if (!pad || pad->kind != STEP_PLAIN || !pad->zero_pad)
        return false;
    struct window *w = &conv->window;
    for (int d = 0; d < w->spatial; d++) {
        int64_t extent = (w->kernel[d] - 1) * w->dilation[d] + 1;
        if (w->low[d] + pad->start[2 + d] >= extent || w->high[d] + pad->by[2 + d] >= extent)
            return false;
    }
    for (int d = 0; d < w->spatial; d++) {
        w->low[d] += pad->start[2 + d];
        w->high[d] += pad->by[2 + d];
        w->in[d] -= pad->start[2 + d] + pad->by[2 + d];
    }
    set_input(m->s, conv, pad->in[0]);
    return true;
}

/* ---- a bias or scale behind a product */

/* The product behind a value that nobody else reads. */
static struct step *product_of(const struct match *m, int value)
{
    struct step *p = maker_of(m, value);
    return p && p->kind == STEP_INNER && !p->post_count && m->s->uses[value] == 1 ? p : NULL;
}

static bool match_bias(const struct match *m, struct step *add, int *maker)
{
    struct steps *s = m->s;
    struct step *inner = is_binary(add, DNN_ADD) ? product_of(m, add->in[0]) : NULL;
    if (!inner || inner->bias.data)
        return false;
    const float *bias = along_last(s, add, inner->width);
    if (!bias || s->values[add->out].dims[s->values[add->out].rank - 1] != inner->width)
        return false;
    inner->bias.data = bias;
    for (int k = 0; k < 2; k++)
        s->uses[add->in[k]]--;
    inner->out = add->out;
    add->dead = true;
    maker[inner->out] = (int)(inner - s->list);
    return true;
}

/* A constant with one number for each entry of that dim of y. */
static bool along_dim(const struct tensor *t, const struct tensor *y, int dim)
{
    if (!t->data || t->type != TENSOR_F32 || tensor_count(t) != y->dims[dim] || t->rank > y->rank)
        return false;
    int at = dim - (y->rank - t->rank);
    return tensor_count(t) == 1 || (at >= 0 && t->dims[at] == y->dims[dim]);
}

/* Also through a transposition between them, as ConvNeXt has it. */
static bool match_scale(const struct match *m, struct step *mul, int *maker)
{
    struct steps *s = m->s;
    if (!is_binary(mul, DNN_MUL))
        return false;
    struct step *last = maker_of(m, mul->in[0]);
    const struct tensor *y = &s->values[mul->out];
    struct step *inner = product_of(m, mul->in[0]);
    int dim = y->rank - 1;
    if (last && last->kind == STEP_TRANSPOSE && s->uses[mul->in[0]] == 1) {
        const struct attr *perm = node_attr(last->node, "perm");
        inner = product_of(m, last->in[0]);
        for (int d = 0; d < y->rank; d++)
            if ((perm ? perm->ints[d] : y->rank - 1 - d) == y->rank - 1)
                dim = d;
    }
    if (!inner || !along_dim(&s->values[mul->in[1]], y, dim) || y->dims[dim] != inner->width)
        return false;
    const float *scale = s->values[mul->in[1]].data;
    size_t count = (size_t)(inner->width * inner->depth);
    float *weight = malloc(count * sizeof *weight);
    float *bias = inner->bias.data ? malloc((size_t)inner->width * sizeof *bias) : NULL;
    if (!weight || (inner->bias.data && !bias)) { /* not fused is right too */
        free(weight);
        free(bias);
        return false;
    }
    for (int64_t i = 0; i < inner->width; i++) {
        for (int64_t k = i * inner->depth; k < (i + 1) * inner->depth; k++)
            weight[k] = scale[i] * inner->weight.data[k];
        if (bias)
            bias[i] = scale[i] * inner->bias.data[i];
    }
    free(inner->weight.owned);
    free(inner->bias.owned);
    inner->weight.data = inner->weight.owned = weight;
    inner->bias.data = inner->bias.owned = bias;
    for (int k = 0; k < 2; k++)
        s->uses[mul->in[k]]--;
    last->out = mul->out;
    mul->dead = true;
    maker[last->out] = (int)(last - s->list);
    return true;
}

/* ---- steps that nobody reads any more */

static bool is_read(const struct steps *s, const struct step *p)
{
    bool read = s->uses[p->out] > 0;
    for (int k = 1; p->node && k < p->node->out_count; k++)
        read = read || (p->node->out[k] >= 0 && s->uses[p->node->out[k]] > 0);
    return read;
}

static void drop_unread(struct steps *s)
{
    for (int i = s->count - 1; i >= 0; i--) {
        struct step *p = &s->list[i];
        if (p->dead || is_read(s, p))
            continue;
        p->dead = true;
        for (int k = 0; k < p->in_count; k++)
            if (p->in[k] >= 0)
                s->uses[p->in[k]]--;
    }
}

void steps_match(struct steps *s, int *maker)
{
    struct match m = { s, maker };
    for (int v = 0; v < s->value_max; v++)
        maker[v] = -1;
    for (int i = 0; i < s->count; i++) {
        struct step *p = &s->list[i];
        maker[p->out] = i;
        if (match_pad(&m, p) || match_layer_norm(&m, p) || match_bias(&m, p, maker) ||
            match_scale(&m, p, maker))
            continue;
        struct step_post post = { .kind = POST_UNARY, .unary = DNN_GELU_ERF };
        int x = match_gelu(&m, p);
        if (x < 0)
            x = match_swish(&m, p, &post);
        if (x < 0)
            continue;
        p->kind = STEP_UNARY;
        p->posts[0] = post;
        p->post_count = 1;
        set_input(s, p, x);
    }
    drop_unread(s);
}

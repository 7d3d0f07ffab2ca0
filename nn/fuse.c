/* The passes over a list of steps. One walk in order is enough: when a step is looked at,
 * everything before it is fused as far as it goes. */
#include "nn/steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Living step that makes a value, by value. */
struct makers {
    int *step;
};

static struct step *maker_of(struct steps *s, const struct makers *m, int value)
{
    int i = m->step[value];
    return i >= 0 ? &s->list[i] : NULL;
}

/* w' = w scale, b' = (b - mean) scale + shift, per output channel. */
static enum err_code fold_norm(struct steps *s, struct step *conv, const struct step *norm,
                               struct err *e)
{
    const struct tensor *w = &s->values[conv->node->in[1]];
    int64_t channels = w->dims[0], taps = tensor_span(w, 1, w->rank);
    float *weight = malloc((size_t)(channels * taps) * sizeof *weight);
    float *bias = malloc((size_t)channels * sizeof *bias);
    if (!weight || !bias) {
        free(weight);
        free(bias);
        return err_set(e, ERR_NOMEM, "no memory to fold a batch normalisation");
    }
    for (int64_t i = 0; i < channels; i++) {
        double scale =
            (double)norm->scale[i] / sqrt((double)norm->variance[i] + (double)norm->epsilon);
        double old = conv->bias.data ? (double)conv->bias.data[i] : 0;
        bias[i] = (float)((old - (double)norm->mean[i]) * scale + (double)norm->shift[i]);
        for (int64_t k = i * taps; k < (i + 1) * taps; k++)
            weight[k] = (float)((double)conv->weight.data[k] * scale);
    }
    free(conv->weight.owned);
    free(conv->bias.owned);
    conv->weight.data = conv->weight.owned = weight;
    conv->bias.data = conv->bias.owned = bias;
    return ERR_OK;
}

static void take_over(struct steps *s, struct makers *m, struct step *into, struct step *gone)
{
    m->step[into->out] = -1;
    s->uses[into->out]--;
    into->out = gone->out;
    gone->dead = true;
    m->step[into->out] = (int)(into - s->list);
}

static bool takes_posts(const struct step *p)
{
    return p && (p->kind == STEP_CONV || p->kind == STEP_INNER ||
                 (p->kind == STEP_BINARY && p->binary != DNN_PRELU) || p->kind == STEP_MATMUL);
}

static bool fuse_unary(struct steps *s, struct makers *m, struct step *p)
{
    struct step *before = maker_of(s, m, p->in[0]);
    if (!before || s->uses[p->in[0]] != 1)
        return false;
    bool is_relu = p->post_count == 1 && p->posts[0].unary == DNN_RELU && p->posts[0].alpha == 0;
    if (before->kind == STEP_NORM && is_relu && !before->relu) {
        before->relu = true;
    } else if ((takes_posts(before) || before->kind == STEP_UNARY) &&
               before->post_count + p->post_count <= DNN_POSTS_MAX) {
        memcpy(before->posts + before->post_count, p->posts,
               (size_t)p->post_count * sizeof p->posts[0]);
        before->post_count += p->post_count;
    } else {
        return false;
    }
    take_over(s, m, before, p);
    return true;
}

static bool has_sum(const struct step *p)
{
    for (int i = 0; i < p->post_count; i++)
        if (p->posts[i].kind == POST_SUM)
            return true;
    return false;
}

/* The convolution takes the sum's place in the list, where both operands are there. */
static bool fuse_sum(struct steps *s, struct makers *m, struct step *add)
{
    struct step *best = NULL;
    int other = -1;
    for (int k = 0; k < 2; k++) {
        struct step *conv = maker_of(s, m, add->in[k]);
        bool fits = conv && conv->kind == STEP_CONV && s->uses[add->in[k]] == 1 &&
                    conv->post_count < DNN_POSTS_MAX && !has_sum(conv);
        if (fits && (!best || conv > best)) {
            best = conv;
            other = add->in[!k];
        }
    }
    if (!best || s->values[other].data)
        return false;
    struct step moved = *best;
    int *in = realloc(moved.in, 2 * sizeof *in);
    if (!in)
        return false; /* not fused is right too */
    moved.in = in;
    in[moved.in_count++] = other;
    moved.posts[moved.post_count++] = (struct step_post){ .kind = POST_SUM, .value = other };
    m->step[moved.out] = -1;
    s->uses[moved.out]--;
    moved.out = add->out;
    best->in = NULL;
    best->in_count = 0;
    best->weight = best->bias = (struct numbers){ 0 };
    best->dead = true;
    free(add->in);
    *add = moved;
    m->step[add->out] = (int)(add - s->list);
    return true;
}

static enum err_code fuse_step(struct steps *s, struct makers *m, struct step *p, struct err *e)
{
    struct step *before = p->in_count > 0 && p->in[0] >= 0 ? maker_of(s, m, p->in[0]) : NULL;
    if (p->kind == STEP_NORM && before && before->kind == STEP_CONV && !before->post_count &&
        s->uses[p->in[0]] == 1) {
        enum err_code r = fold_norm(s, before, p, e);
        if (!r)
            take_over(s, m, before, p);
        return r;
    }
    if (p->kind == STEP_UNARY)
        fuse_unary(s, m, p);
    else if (p->kind == STEP_BINARY && p->binary == DNN_ADD && p->in[0] != p->in[1] &&
             tensor_same_shape(&s->values[p->in[0]], &s->values[p->in[1]]))
        fuse_sum(s, m, p);
    return ERR_OK;
}

enum err_code steps_fuse(struct steps *s, struct err *e)
{
    struct makers m = { calloc((size_t)s->value_max, sizeof *m.step) };
    if (!m.step)
        return err_set(e, ERR_NOMEM, "no memory to fuse steps");
    enum err_code r = ERR_OK;
    steps_match(s, m.step);
    for (int v = 0; v < s->value_max; v++)
        m.step[v] = -1;
    for (int i = 0; i < s->count && !r; i++) {
        if (s->list[i].dead)
            continue;
        m.step[s->list[i].out] = i;
        r = fuse_step(s, &m, &s->list[i], e);
    }
    free(m.step);
    return r;
}

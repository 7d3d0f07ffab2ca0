/* Activations and other functions of one entry. */
#include "nn/learner_parts.h"

#include <math.h>
#include <stdlib.h>

struct unary {
    enum learner_unary kind;
    float a, b;
};

static enum err_code unary_forward(struct learner *l, const struct learner_step *p,
                                   const struct learner_job *j, struct err *e)
{
    (void)e;
    const struct unary *u = p->state;
    l->kernels->unary(u->kind, (size_t)j->count * l->values[p->out].count, u->a, u->b,
                      learner_data(l, j, p->in[0]), learner_data(l, j, p->out));
    return ERR_OK;
}

static enum err_code unary_backward(struct learner *l, const struct learner_step *p,
                                    const struct learner_job *j, struct err *e)
{
    (void)e;
    const struct unary *u = p->state;
    /* The one that is not looked at need not be there. */
    const float *x = p->needs & NEEDS_IN ? learner_data(l, j, p->in[0]) : NULL;
    const float *y = p->needs & NEEDS_OUT ? learner_data(l, j, p->out) : x;
    const float *dy = learner_gradient(l, j, p->out);
    x = x ? x : y ? y : dy;
    l->kernels->unary_back(u->kind, (size_t)j->count * l->values[p->out].count, u->a, u->b, x,
                           y ? y : x, dy, learner_gradient(l, j, p->in[0]), p->add[0]);
    return ERR_OK;
}

static void unary_free(const struct learner *l, struct learner_step *p)
{
    (void)l;
    free(p->state);
}

static bool read_kind(struct unary *u, const struct op_call *c)
{
    double a = 0, b = 0;
    if (c->node->op->kind == OP_CLIP) {
        if (!clip_bounds(c, &a, &b) || a > b)
            return false;
        *u = (struct unary){ UNARY_CLIP, (float)a, (float)b };
        return true;
    }
    unary_params(c->node, &a, &b);
    *u = (struct unary){ UNARY_CLIP, (float)a, (float)b };
    switch (c->node->op->kind) {
    case OP_RELU:
        u->a = 0;
        u->b = INFINITY;
        return true;
    case OP_LEAKY_RELU:
        u->kind = UNARY_LEAKY;
        return true;
    case OP_ELU:
        u->kind = UNARY_ELU;
        return true;
    case OP_SIGMOID:
        u->kind = UNARY_SIGMOID;
        return true;
    case OP_HARD_SIGMOID:
        u->kind = UNARY_HARD_SIGMOID;
        return true;
    case OP_HARD_SWISH:
        u->kind = UNARY_HARD_SWISH;
        return true;
    case OP_TANH:
        u->kind = UNARY_TANH;
        return true;
    case OP_GELU:
        u->kind = a != 0 ? UNARY_GELU_TANH : UNARY_GELU;
        return true;
    case OP_SQRT:
        u->kind = UNARY_SQRT;
        return true;
    case OP_EXP:
        u->kind = UNARY_EXP;
        return true;
    case OP_LOG:
        u->kind = UNARY_LOG;
        return true;
    case OP_ABS:
        u->kind = UNARY_ABS;
        return true;
    case OP_NEG:
        *u = (struct unary){ UNARY_LINEAR, -1, 0 };
        return true;
    case OP_RECIPROCAL:
        u->kind = UNARY_RECIPROCAL;
        return true;
    default:
        return false;
    }
}

/* Which numbers the derivative is made from. */
static unsigned needs_of(enum learner_unary kind)
{
    switch (kind) {
    case UNARY_CLIP:
    case UNARY_ELU:
    case UNARY_SIGMOID:
    case UNARY_HARD_SIGMOID:
    case UNARY_TANH:
    case UNARY_SQRT:
    case UNARY_EXP:
    case UNARY_RECIPROCAL:
        return NEEDS_OUT;
    case UNARY_LINEAR:
        return 0;
    case UNARY_LEAKY:
    case UNARY_HARD_SWISH:
    case UNARY_SWISH:
    case UNARY_GELU:
    case UNARY_GELU_TANH:
    case UNARY_LOG:
    case UNARY_ABS:
        break;
    }
    return NEEDS_IN;
}

enum err_code learner_unary_init(struct learner *l, struct learner_step *p, const struct op_call *c,
                                 struct err *e)
{
    (void)l;
    static const struct learner_op op = { .forward = unary_forward,
                                          .backward = unary_backward,
                                          .free = unary_free };
    struct unary u;
    if (!read_kind(&u, c))
        return op_refuse(c, e, ERR_ONNX_OPERATOR, "training has no backward for it in this form");
    struct unary *state = malloc(sizeof *state);
    if (!state)
        return err_set(e, ERR_NOMEM, "no memory for a step");
    *state = u;
    p->op = &op;
    p->state = state;
    p->needs = needs_of(u.kind);
    p->cheap = true;
    return ERR_OK;
}

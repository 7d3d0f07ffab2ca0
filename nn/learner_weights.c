/* The parameters of a learner: which initialisers they are, and who reads them.
 *
 * Exporters merge initialisers of equal numbers: of an untrained network all shifts and running
 * means of one size become one. What stands for two things of unlike kind was merged so; each of
 * its uses is a parameter of its own. What several nodes read as the same thing is one parameter,
 * as the file says. An initialiser that others read too (a parameter of another kind, what is
 * before the cut) stays as it is: learner_export() gives the parameter one of its own. */
#include "nn/learner_parts.h"

#include <stdlib.h>
#include <string.h>

int learner_add_param(struct learner *l, const char *name, enum learner_kind kind, size_t count,
                      const float *value, struct err *e)
{
    bool state = kind == LEARNER_NORM_MEAN || kind == LEARNER_NORM_VARIANCE;
    size_t bytes = (count * sizeof(float) + DNN_ALIGN - 1) / DNN_ALIGN * DNN_ALIGN;
    struct learner_param *p = &l->params[l->param_count];
    *p = (struct learner_param){ .name = name, .kind = kind, .count = count };
    p->value = aligned_alloc(DNN_ALIGN, bytes);
    p->gradient = state ? NULL : aligned_alloc(DNN_ALIGN, bytes);
    if (!p->value || (!state && !p->gradient)) {
        free(p->value);
        free(p->gradient);
        (void)err_set(e, ERR_NOMEM, "no memory for the %zu numbers of %.200s", count, name);
        return -1;
    }
    l->extra_bytes += state ? bytes : 2 * bytes;
    memset(p->value, 0, bytes);
    if (!state)
        memset(p->gradient, 0, bytes);
    if (value)
        memcpy(p->value, value, count * sizeof(float));
    l->initialisers[l->param_count] = -1;
    l->users[l->param_count] = 0;
    return l->param_count++;
}

/* The initialiser that a value is, also by another name. */
static int find_initialiser(const struct graph *g, int v)
{
    while (v >= 0 && g->values[v].maker >= 0) {
        const struct node *n = &g->nodes[g->values[v].maker];
        v = n->op->kind == OP_IDENTITY ? n->in[0] : -1;
    }
    return v >= 0 && g->values[v].constant.data && g->values[v].constant.type == TENSOR_F32 ? v
                                                                                            : -1;
}

enum learner_kind learner_operand_kind(enum op_kind op)
{
    switch (op) {
    case OP_ADD:
    case OP_SUB:
        return LEARNER_BIAS;
    case OP_PRELU:
        return LEARNER_WEIGHT;
    default:
        return LEARNER_NORM_SCALE;
    }
}

/* What input k of a node is to it, of those that may be trained; -1: nothing. */
static int role_of(const struct node *n, int k)
{
    static const enum learner_kind norm[] = { LEARNER_NORM_SCALE, LEARNER_NORM_SHIFT,
                                              LEARNER_NORM_MEAN, LEARNER_NORM_VARIANCE };
    switch (n->op->kind) {
    case OP_CONV:
    case OP_GEMM:
    case OP_MATMUL:
        return k == 1 ? LEARNER_WEIGHT : k == 2 ? LEARNER_BIAS : -1;
    case OP_BATCH_NORM:
        return k >= 1 && k <= 4 ? (int)norm[k - 1] : -1;
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_PRELU:
        return (int)learner_operand_kind(n->op->kind);
    default:
        return -1;
    }
}

void learner_find_roles(struct learner *l)
{
    const struct graph *g = &l->network->graph;
    for (int i = 0; i < g->node_count; i++)
        for (int k = 0; k < g->nodes[i].in_count; k++) {
            int v = find_initialiser(g, g->nodes[i].in[k]), role = role_of(&g->nodes[i], k);
            if (v < 0 || g->nodes[i].op->kind == OP_IDENTITY)
                continue;
            l->roles[v].kinds |= role >= 0 ? 1u << role : 0;
            l->roles[v].readers++;
        }
}

static bool is_merged(const struct learner *l, int initialiser)
{
    unsigned kinds = l->roles[initialiser].kinds;
    return (kinds & (kinds - 1)) != 0;
}

enum err_code learner_set_weight(struct learner *l, struct learner_step *p, int k,
                                 const struct node *n, int slot, enum learner_kind kind,
                                 struct err *e)
{
    const struct graph *g = &l->network->graph;
    struct learner_weight *w = &p->weights[k];
    const struct tensor *t = &l->frame.values[n->in[slot]];
    *w = (struct learner_weight){ .param = -1, .value = t->data };
    p->weight_count = p->weight_count > k ? p->weight_count : k + 1;
    int init = find_initialiser(g, n->in[slot]);
    if (init < 0)
        return ERR_OK;
    bool merged = is_merged(l, init);
    for (int i = 0; i < l->param_count && w->param < 0 && !merged; i++)
        if (l->initialisers[i] == init)
            w->param = i;
    if (w->param < 0) {
        w->param = learner_add_param(l, g->values[init].name, kind, (size_t)tensor_count(t),
                                     g->values[init].constant.data, e);
        if (w->param < 0)
            return ERR_NOMEM;
        l->initialisers[w->param] = init;
    }
    l->users[w->param]++;
    l->uses[l->use_count++] = (struct learner_use){ n, slot, w->param };
    w->value = l->params[w->param].value;
    return ERR_OK;
}

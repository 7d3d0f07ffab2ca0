#include "nn/cut.h"

#include "data/base/cleanup.h"
#include "nn/network_parts.h"
#include "nn/ops.h"

#include <string.h>

/* A vector longer than this is not kept (data/feature_cache.c). */
enum { FLOATS_MAX = 1 << 20 };

struct search {
    const struct network *n;
    int feature;
    bool *behind;      /* owned, [node_count]: the feature needs it */
    int *last_use;     /* owned, [value_count]: node index, -1: none */
    double *cost;      /* owned, [node_count] */
    double all, done;  /* multiplications: of all nodes, of those before the cut looked at */
    int64_t live, sum; /* values that cross there: how many, and the sum of their numbers */
};

static void search_fini(struct search *s)
{
    free(s->behind);
    free(s->last_use);
    free(s->cost);
}

static bool moves(const struct search *s, int value)
{
    return value >= 0 && !s->n->constant[value];
}

/* Multiplications of one picture; where there is no product, a touch of each number made. */
static double cost_of(const struct search *s, const struct node *node)
{
    const struct network *n = s->n;
    double made = 0;
    for (int i = 0; i < node->out_count; i++)
        if (node->out[i] >= 0)
            made += (double)tensor_count(&n->shapes[node->out[i]]);
    bool product =
        node->op->kind == OP_CONV || node->op->kind == OP_GEMM || node->op->kind == OP_MATMUL;
    if (!product || node->in_count < 2 || !n->constant[node->in[1]])
        return made;
    const struct tensor *w = &n->shapes[node->in[1]];
    int64_t rows = node->op->kind == OP_CONV ? w->dims[0]
                   : node->op->kind == OP_GEMM && node_int(node, "transB", 0)
                       ? w->dims[0]
                       : w->dims[w->rank - 1];
    return rows > 0 ? made * (double)tensor_count(w) / (double)rows : made;
}

/* Nodes stand in order, so one walk back finds what the feature needs. */
static enum err_code prepare(struct search *s, struct err *e)
{
    const struct graph *g = &s->n->graph;
    s->behind = calloc((size_t)g->node_count + 1, sizeof *s->behind);
    s->cost = calloc((size_t)g->node_count + 1, sizeof *s->cost);
    s->last_use = calloc((size_t)g->value_count + 1, sizeof *s->last_use);
    CLEANUP(cleanup_free) bool *needed = calloc((size_t)g->value_count + 1, sizeof *needed);
    if (!s->behind || !s->cost || !s->last_use || !needed)
        return err_set(e, ERR_NOMEM, "no memory to look for a cut");
    for (int v = 0; v < g->value_count; v++)
        s->last_use[v] = -1;
    needed[s->feature] = true;
    for (int i = g->node_count - 1; i >= 0; i--) {
        const struct node *node = &g->nodes[i];
        for (int k = 0; k < node->out_count; k++)
            if (node->out[k] >= 0 && needed[node->out[k]] && moves(s, node->out[k]))
                s->behind[i] = true;
        for (int k = 0; s->behind[i] && k < node->in_count; k++)
            if (moves(s, node->in[k])) {
                needed[node->in[k]] = true;
                if (s->last_use[node->in[k]] < 0)
                    s->last_use[node->in[k]] = i;
            }
        s->cost[i] = s->behind[i] ? cost_of(s, node) : 0;
        s->all += s->cost[i];
    }
    s->last_use[s->feature] = g->node_count; /* the head uses it */
    return ERR_OK;
}

static bool fill(const struct search *s, int value, struct cut *ret)
{
    const struct tensor *t = &s->n->shapes[value];
    int64_t floats = tensor_count(t);
    if (t->type != TENSOR_F32 || (t->rank != 2 && t->rank != 4) || t->dims[0] != 1 || floats < 1 ||
        floats > FLOATS_MAX)
        return false;
    *ret = (struct cut){ .name = s->n->graph.values[value].name,
                         .floats = (size_t)floats,
                         .share = s->all > 0 ? 1 - s->done / s->all : 0 };
    return true;
}

static bool is_better(const struct cut *c, const struct cut *best, const struct cut_budget *b)
{
    bool ours = c->share >= b->share / 2, theirs = best->name && best->share >= b->share / 2;
    if (!best->name)
        return true;
    return ours && theirs && c->floats < best->floats;
}

/* Why the walk did not find it. */
static enum err_code explain(const struct search *s, const char *wanted, struct err *e)
{
    const struct graph *g = &s->n->graph;
    int value = graph_find(g, wanted);
    if (value < 0)
        return err_set(e, ERR_RECIPE, "recipe: cut: the network has no value \"%.120s\"", wanted);
    int at = g->values[value].maker;
    if (!moves(s, value) || at < 0 || !s->behind[at])
        return err_set(e, ERR_RECIPE,
                       "recipe: cut: \"%.120s\" is not between the picture and the feature",
                       wanted);
    for (int v = 0; v < g->value_count; v++)
        if (v != value && moves(s, v) && s->last_use[v] > at && g->values[v].maker <= at)
            return err_set(e, ERR_RECIPE,
                           "recipe: cut: \"%.120s\" is no cut: \"%.120s\" is needed beside it",
                           wanted, g->values[v].name);
    return err_set(
        e, ERR_RECIPE,
        "recipe: cut: \"%.120s\" is not a float32 value [N,C] or [N,C,H,W] of at most %d "
        "numbers",
        wanted, FLOATS_MAX);
}

/* From before node i to behind it. */
static void pass(struct search *s, int i)
{
    const struct node *node = &s->n->graph.nodes[i];
    s->done += s->cost[i];
    for (int k = 0; k < node->out_count; k++)
        if (moves(s, node->out[k]) && s->last_use[node->out[k]] > i) {
            s->live++;
            s->sum += node->out[k];
        }
    for (int k = 0; k < node->in_count; k++) {
        bool again = false; /* x + x uses x once */
        for (int j = 0; j < k; j++)
            again = again || node->in[j] == node->in[k];
        if (!again && moves(s, node->in[k]) && s->last_use[node->in[k]] == i) {
            s->live--;
            s->sum -= node->in[k];
        }
    }
}

static void begin(struct search *s)
{
    const struct graph *g = &s->n->graph;
    for (int i = 0; i < g->input_count; i++)
        if (moves(s, g->inputs[i]) && s->last_use[g->inputs[i]] >= 0) {
            s->live++;
            s->sum += g->inputs[i];
        }
}

enum err_code cut_choose(const struct network *n, const char *feature, const char *wanted,
                         const struct cut_budget *budget, struct cut *ret, struct err *e)
{
    CLEANUP(search_fini) struct search s = { .n = n, .feature = graph_find(&n->graph, feature) };
    const struct graph *g = &n->graph;
    bool is_auto = strcmp(wanted, "auto") == 0;
    struct cut best = { 0 }, last = { 0 };
    if (s.feature < 0)
        return err_set(e, ERR_ONNX_FEATURE, "the network has no tensor \"%.120s\"", feature);
    enum err_code r = prepare(&s, e);
    if (r)
        return r;
    begin(&s);
    for (int i = 0; i < g->node_count; i++) {
        struct cut c;
        if (!s.behind[i])
            continue;
        pass(&s, i);
        if (s.live != 1 || !fill(&s, (int)s.sum, &c))
            continue;
        last = c;
        if (!is_auto && strcmp(c.name, wanted) == 0) {
            *ret = c;
            return ERR_OK;
        }
        double bytes = (double)c.floats * sizeof(float) * (double)budget->values;
        if (c.share <= budget->share && bytes <= (double)budget->bytes &&
            is_better(&c, &best, budget))
            best = c;
    }
    if (!is_auto)
        return explain(&s, wanted, e);
    if (!best.name)
        best = last;
    if (!best.name)
        return err_set(e, ERR_RECIPE, "recipe: cut: the network has no value to cut at");
    *ret = best;
    return ERR_OK;
}

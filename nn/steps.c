#include "nn/steps.h"

#include <stdlib.h>
#include <string.h>

static void step_fini(struct step *p)
{
    free(p->in);
    free(p->weight.owned);
    free(p->bias.owned);
}

void steps_fini(struct steps *s)
{
    for (int i = 0; i < s->count; i++)
        step_fini(&s->list[i]);
    free(s->list);
    free(s->values);
    free(s->uses);
    for (int v = 0; s->quants && v < s->value_max; v++) {
        free(s->quants[v].channels);
        free(s->quants[v].means);
        free(s->quants[v].squares);
    }
    free(s->quants);
    *s = (struct steps){ 0 };
}

/* Marks the nodes whose outputs are needed and not constant. */
static void mark_needed(const struct frame *f, int output, bool *wanted, bool *keep)
{
    const struct graph *g = f->graph;
    wanted[output] = true;
    for (int i = g->node_count - 1; i >= 0; i--) {
        const struct node *n = &g->nodes[i];
        for (int j = 0; j < n->out_count; j++) {
            int v = n->out[j];
            keep[i] = keep[i] || (v >= 0 && wanted[v] && !f->values[v].data);
        }
        for (int j = 0; j < n->in_count && keep[i]; j++)
            if (n->in[j] >= 0)
                wanted[n->in[j]] = true;
    }
}

static enum err_code add_node(struct steps *s, const struct node *n, const struct tensor **in,
                              struct tensor **out, struct err *e)
{
    struct step *p = &s->list[s->count++];
    *p = (struct step){ .kind = STEP_PLAIN, .node = n, .out = n->out[0], .group = 1 };
    p->in = calloc((size_t)n->in_count + 1, sizeof *p->in);
    if (!p->in)
        return err_set(e, ERR_NOMEM, "no memory for a step");
    struct op_call c = frame_call(s->frame, n, in, out);
    return steps_lower(s, &c, p, e);
}

static enum err_code add_pool(struct steps *s, struct err *e)
{
    const struct tensor *x = &s->values[s->output];
    if (x->rank < 3)
        return ERR_OK;
    struct step *p = &s->list[s->count++];
    *p = (struct step){ .kind = STEP_POOL,
                        .out = s->value_count,
                        .group = 1,
                        .in_count = 1,
                        .pool_kind = DNN_POOL_MEAN_INSIDE };
    p->in = calloc(1, sizeof *p->in);
    if (!p->in)
        return err_set(e, ERR_NOMEM, "no memory for a step");
    p->in[0] = s->output;
    struct tensor pooled = *x;
    p->window.spatial = x->rank - 2;
    for (int d = 0; d < x->rank - 2; d++) {
        p->window.in[d] = p->window.kernel[d] = x->dims[2 + d];
        p->window.out[d] = p->window.stride[d] = p->window.dilation[d] = 1;
        pooled.dims[2 + d] = 1;
    }
    s->values[s->value_count] = pooled;
    s->output = s->value_count++;
    return ERR_OK;
}

static void count_uses(struct steps *s)
{
    for (int i = 0; i < s->count; i++)
        for (int j = 0; j < s->list[i].in_count; j++)
            if (s->list[i].in[j] >= 0)
                s->uses[s->list[i].in[j]]++;
    s->uses[s->output]++;
}

static enum err_code add_nodes(struct steps *s, const bool *keep, struct err *e)
{
    const struct graph *g = s->frame->graph;
    int widest = 1;
    for (int i = 0; i < g->node_count; i++) {
        widest = g->nodes[i].in_count > widest ? g->nodes[i].in_count : widest;
        widest = g->nodes[i].out_count > widest ? g->nodes[i].out_count : widest;
    }
    const struct tensor **in = calloc((size_t)widest, sizeof *in);
    struct tensor **out = calloc((size_t)widest, sizeof *out);
    enum err_code r = in && out ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for steps");
    for (int i = 0; i < g->node_count && !r; i++)
        if (keep[i])
            r = add_node(s, &g->nodes[i], in, out, e);
    free(in);
    free(out);
    return r;
}

enum err_code steps_new(const struct frame *f, int output, bool pool, struct steps *ret,
                        struct err *e)
{
    const struct graph *g = f->graph;
    enum { EXTRA = 1 }; /* the pooled output */
    struct steps s = { .frame = f,
                       .value_count = g->value_count,
                       .value_max = g->value_count + EXTRA,
                       .output = output };
    bool *wanted = calloc((size_t)g->value_count + 1, sizeof *wanted);
    bool *keep = calloc((size_t)g->node_count + 1, sizeof *keep);
    s.values = calloc((size_t)s.value_max, sizeof *s.values);
    s.uses = calloc((size_t)s.value_max, sizeof *s.uses);
    s.quants = calloc((size_t)s.value_max, sizeof *s.quants);
    s.list = calloc((size_t)g->node_count + EXTRA, sizeof *s.list);
    enum err_code r = ERR_OK;
    if (!wanted || !keep || !s.values || !s.uses || !s.quants || !s.list)
        r = err_set(e, ERR_NOMEM, "no memory for %d steps", g->node_count);
    if (!r) {
        memcpy(s.values, f->values, (size_t)g->value_count * sizeof *s.values);
        mark_needed(f, output, wanted, keep);
        r = add_nodes(&s, keep, e);
    }
    if (!r && pool)
        r = add_pool(&s, e);
    if (!r)
        count_uses(&s);
    free(wanted);
    free(keep);
    if (r) {
        steps_fini(&s);
        return r;
    }
    *ret = s;
    return ERR_OK;
}

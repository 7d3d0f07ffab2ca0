/* Steps that run the operator's own loop. */
#include "nn/compile.h"

#include "data/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

/* ---- the operator's own loop ---- */

static bool copy_attr(const struct attr *from, struct attr *to)
{
    *to = *from;
    to->name = strdup(from->name);
    to->s = from->s ? strdup(from->s) : NULL;
    to->ints = NULL;
    to->floats = NULL;
    to->t.data = NULL;
    bool whole = to->name && (to->s || !from->s);
    if (from->ints && (to->ints = malloc((from->count + 1) * sizeof *to->ints)))
        memcpy(to->ints, from->ints, from->count * sizeof *to->ints);
    if (from->floats && (to->floats = malloc((from->count + 1) * sizeof *to->floats)))
        memcpy(to->floats, from->floats, from->count * sizeof *to->floats);
    if (from->t.data && (to->t.data = malloc(tensor_bytes(&from->t) + 1)))
        memcpy(to->t.data, from->t.data, tensor_bytes(&from->t));
    return whole && !from->ints == !to->ints && !from->floats == !to->floats &&
           !from->t.data == !to->t.data;
}

/* The plan outlives the graph. Inputs and outputs keep their numbers, not their indices. */
static enum err_code copy_node(const struct node *from, const char *name, struct node **ret,
                               struct err *e)
{
    struct node *n = *ret = calloc(1, sizeof *n);
    if (!n)
        return compile_no_memory(e);
    n->op = from->op;
    n->in_count = from->in_count;
    n->out_count = from->out_count;
    n->name = strdup(from->name[0] ? from->name : name);
    n->attrs = calloc(from->attr_count + 1, sizeof *n->attrs);
    bool whole = n->name && n->attrs;
    for (; whole && n->attr_count < from->attr_count; n->attr_count++)
        whole = copy_attr(&from->attrs[n->attr_count], &n->attrs[n->attr_count]);
    return whole ? ERR_OK : compile_no_memory(e);
}

static enum err_code loop_args(struct plan *p, const struct steps *s, const struct step *step,
                               const struct operand *ins, struct instr *i, struct err *e)
{
    const struct node *n = step->node;
    enum err_code r = ERR_OK;
    for (int k = 0; k < n->in_count + n->out_count && !r; k++) {
        bool is_in = k < n->in_count;
        int v = is_in ? n->in[k] : n->out[k - n->in_count];
        struct operand of = is_in ? ins[k] : compile_at(v);
        if (v >= 0) {
            i->tensors[k] = s->values[v];
            i->tensors[k].data = NULL;
        }
        if (v >= 0 && !is_in)
            r = plan_define(p, v,
                            s->values[v].type == TENSOR_F32 ? plan_plain(&s->values[v]) : NULL, e);
        if (!r)
            r = plan_arg(p, i, k, of, NULL, e);
    }
    return r;
}

enum err_code compile_loop(struct plan *p, const struct steps *s, const struct step *step,
                           struct err *e)
{
    const struct node *n = step->node;
    CLEANUP(cleanup_free) struct operand *ins = calloc((size_t)n->in_count + 1, sizeof *ins);
    if (!ins)
        return compile_no_memory(e);
    enum err_code r = ERR_OK;
    for (int k = 0; k < n->in_count && !r; k++) {
        ins[k] = (struct operand){ -1, -1 };
        if (n->in[k] < 0)
            continue;
        r = s->values[n->in[k]].data ? plan_fetch(p, n->in[k], NULL, false, &ins[k], e)
                                     : compile_fetch_plain(p, n->in[k], &ins[k], e);
    }
    struct instr *i;
    if (!r)
        r = plan_emit(p, NULL, compile_name(s, step), &i, e);
    if (r)
        return r;
    i->kind = INSTR_LOOP;
    i->tensors = calloc((size_t)(n->in_count + n->out_count) + 1, sizeof *i->tensors);
    if (!i->tensors)
        return compile_no_memory(e);
    r = copy_node(n, compile_name(s, step), &i->node, e);
    return r ? r : loop_args(p, s, step, ins, i, e);
}

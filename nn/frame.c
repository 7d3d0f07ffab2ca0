#include "nn/frame.h"

#include <inttypes.h>
#include <stdlib.h>

void frame_fini(struct frame *f)
{
    for (int i = 0; f->graph && f->owned && i < f->graph->value_count; i++)
        if (f->owned[i])
            free(f->values[i].data);
    free(f->values);
    free(f->owned);
    *f = (struct frame){ 0 };
}

struct op_call frame_call(const struct frame *f, const struct node *n, const struct tensor **in,
                          struct tensor **out)
{
    for (int i = 0; i < n->in_count; i++)
        in[i] = n->in[i] >= 0 ? &f->values[n->in[i]] : NULL;
    for (int i = 0; i < n->out_count; i++)
        out[i] = n->out[i] >= 0 ? &f->values[n->out[i]] : NULL;
    return (struct op_call){ f->graph, n, in, out };
}

static bool all_constant(const struct op_call *c)
{
    if (c->node->op->kind == OP_SHAPE)
        return true;
    for (int i = 0; i < c->node->in_count; i++)
        if (c->in[i] && !c->in[i]->data)
            return false;
    return true;
}

static enum err_code check_out(const struct op_call *c, int64_t *total, int64_t most, struct err *e)
{
    char text[TENSOR_TEXT];
    for (int i = 0; i < c->node->out_count; i++) {
        if (!c->out[i])
            continue;
        if (!tensor_check(c->out[i]))
            return op_refuse(c, e, ERR_ONNX_LIMIT, "its output %s is larger than %d bytes",
                             tensor_text(c->out[i], text), TENSOR_BYTES_MAX);
        *total += (int64_t)tensor_bytes(c->out[i]);
        if (*total > most)
            return op_refuse(c, e, ERR_ONNX_LIMIT,
                             "with its output %s all values take more than %" PRId64 " bytes",
                             tensor_text(c->out[i], text), most);
    }
    return ERR_OK;
}

static enum err_code fold(struct frame *f, const struct op_call *c, struct err *e)
{
    for (int i = 0; i < c->node->out_count; i++) {
        if (!c->out[i])
            continue;
        enum err_code r = tensor_alloc(c->out[i], e);
        if (r)
            return r;
        f->owned[c->node->out[i]] = true;
    }
    return c->node->op->eval(c, e);
}

static enum err_code run_nodes(struct frame *f, struct err *e)
{
    const struct graph *g = f->graph;
    int widest = 1;
    for (int i = 0; i < g->node_count; i++) {
        widest = g->nodes[i].in_count > widest ? g->nodes[i].in_count : widest;
        widest = g->nodes[i].out_count > widest ? g->nodes[i].out_count : widest;
    }
    const struct tensor **in = calloc((size_t)widest, sizeof *in);
    struct tensor **out = calloc((size_t)widest, sizeof *out);
    enum err_code r = in && out ? ERR_OK : err_set(e, ERR_NOMEM, "no memory to infer shapes");
    int64_t total = 0;
    for (int i = 0; i < g->node_count && !r; i++) {
        struct op_call c = frame_call(f, &g->nodes[i], in, out);
        r = c.node->op->infer(&c, e);
        if (!r)
            r = check_out(&c, &total, (int64_t)FRAME_BYTES_MAX * f->batch, e);
        if (!r && !c.node->op->costly && all_constant(&c))
            r = fold(f, &c, e);
    }
    free(in);
    free(out);
    return r;
}

enum err_code frame_new(const struct graph *g, const struct tensor *inputs, int64_t batch,
                        struct frame *ret, struct err *e)
{
    struct frame f = { .graph = g, .batch = batch };
    f.values = calloc((size_t)g->value_count + 1, sizeof *f.values);
    f.owned = calloc((size_t)g->value_count + 1, sizeof *f.owned);
    enum err_code r = ERR_OK;
    if (!f.values || !f.owned)
        r = err_set(e, ERR_NOMEM, "no memory for %d values", g->value_count);
    for (int i = 0; i < g->value_count && !r; i++)
        f.values[i] = g->values[i].constant;
    for (int i = 0; i < g->input_count && !r; i++) {
        f.values[g->inputs[i]] = inputs[i];
        if (!tensor_check(&inputs[i]) || !tensor_type_size(inputs[i].type))
            r = err_set(e, ERR_ONNX_LIMIT, "input \"%.120s\" is too large",
                        g->values[g->inputs[i]].name);
    }
    if (!r)
        r = run_nodes(&f, e);
    if (r) {
        frame_fini(&f);
        return r;
    }
    *ret = f;
    return ERR_OK;
}

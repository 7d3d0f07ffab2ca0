#include "nn/plan_parts.h"

#include "nn/network_parts.h"

#include <stdlib.h>

enum { BATCH_MAX = 1024 };
enum { SHORT_PRODUCTS = 3000000 }; /* of an instruction on average; nn/README.md */

static void node_copy_free(struct node *n)
{
    if (!n)
        return;
    struct graph g = { .nodes = n, .node_count = 1 };
    graph_fini(&g);
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->instr_count; i++) {
        struct instr *x = &p->instrs[i];
        dnn_primitive_free(x->primitive);
        for (int k = 0; k < x->arg_count; k++)
            dnn_layout_free(x->args[k].layout);
        node_copy_free(x->node);
        free(x->args);
        free(x->tensors);
        free(x->name);
    }
    for (int v = 0; v < p->value_count; v++)
        dnn_layout_free(p->values[v].layout);
    for (int i = 0; i < p->param_count; i++)
        dnn_memory_free(p->params[i].memory);
    weights_unref(p->weights);
    free(p->instrs);
    free(p->values);
    free(p->params);
    free(p->inputs);
    free(p->segments);
    dnn_engine_free(p->engine);
    free(p);
}

/* For `batch` pictures at once. */
static enum err_code compile(const struct network *n, const struct plan_options *o, int output,
                             int batch, struct plan **ret, struct err *e)
{
    struct frame f;
    enum err_code r = network_frame(n, batch, &f, e);
    if (r)
        return r;
    struct plan *p;
    int saved = dnn_thread_enter();
    r = plan_compile(&f, output, o->pool, o->threads == 2 ? 2 : 1,
                     o->precision == PLAN_INT8 ? o->ranges : NULL, &p, e);
    dnn_thread_leave(saved);
    frame_fini(&f);
    if (r)
        return r;
    p->repeat = o->batch / batch;
    p->input_size = (size_t)tensor_count(&p->values[p->inputs[0]].shape) / (size_t)batch;
    p->output_size = (size_t)tensor_count(&p->values[p->output].shape) / (size_t)batch;
    *ret = p;
    return ERR_OK;
}

/* What a convolution or a product with weights multiplies; 0 for all others. */
static double products(const struct instr *i)
{
    double weight = 0, result = 0;
    int64_t dims[DNN_RANK_MAX];
    for (int k = 0; k < i->arg_count && i->kind == INSTR_DNN; k++) {
        const struct arg *a = &i->args[k];
        if (!a->layout || (a->role != DNN_WEIGHT && a->role != DNN_DST))
            continue;
        int rank = dnn_layout_dims(a->layout, dims);
        double *count = a->role == DNN_WEIGHT ? &weight : &result;
        *count = 1;
        for (int d = 0; d < rank; d++)
            *count *= (double)dims[d];
        if (a->role == DNN_DST) /* each weight meets the entries of one channel */
            *count /= (double)dims[rank > 3 ? 1 : rank - 1];
    }
    return weight * result;
}

/* Whether calls are so short that what each costs beside its work is worth sharing between
 * pictures. With longer ones a picture at a time is faster: it stays in the cache, Concat is free,
 * and Winograd's convolutions are for one picture. */
static bool calls_are_short(const struct plan *p)
{
    double sum = 0;
    for (int i = 0; i < p->instr_count; i++)
        sum += products(&p->instrs[i]);
    return sum < (double)SHORT_PRODUCTS * p->instr_count;
}

enum err_code plan_new(const struct network *n, const struct plan_options *o, struct plan **ret,
                       struct err *e)
{
    const char *name = o->output ? o->output : network_output(n);
    int output = graph_find(&n->graph, name);
    if (output < 0 || n->constant[output])
        return err_set(e, ERR_ONNX_FEATURE, "the network computes no tensor \"%.120s\"", name);
    if (o->batch < 1 || o->batch > BATCH_MAX)
        return err_set(e, ERR_FIELD_RANGE, "batch must be between 1 and %d, is %d", BATCH_MAX,
                       o->batch);
    if (n->shapes[output].type != TENSOR_F32 || !tensor_count(&n->shapes[output]))
        return err_set(e, ERR_ONNX_FEATURE, "tensor \"%.120s\" is not float32", name);
    if (o->precision == PLAN_INT8 && !o->ranges)
        return err_set(e, ERR_INTERNAL, "an int8 plan needs ranges");
    bool at_once = n->scales && o->batch > 1;
    struct plan *p;
    enum err_code r =
        compile(n, o, output, at_once && o->precision == PLAN_INT8 ? o->batch : 1, &p, e);
    if (!r && at_once && o->precision == PLAN_FP32 && calls_are_short(p)) {
        plan_free(p);
        r = compile(n, o, output, o->batch, &p, e);
    }
    if (!r)
        *ret = p;
    return r;
}

size_t plan_input_size(const struct plan *p)
{
    return p->input_size;
}

size_t plan_output_size(const struct plan *p)
{
    return p->output_size;
}

size_t plan_bytes(const struct plan *p)
{
    return p->param_bytes;
}

size_t plan_scratch_bytes(const struct plan *p)
{
    return p->arena + p->scratchpad * (size_t)p->threads;
}

const char *plan_engine_text(void)
{
    return dnn_engine_text();
}

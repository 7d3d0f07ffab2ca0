#include "nn/network_parts.h"
#include "nn/weights.h"

#include "data/base/cleanup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_MAX = 4096 };

static enum err_code check_input(const struct graph *g, struct err *e)
{
    char text[TENSOR_TEXT];
    if (g->input_count != 1)
        return err_set(e, ERR_ONNX_INPUT, "%d inputs instead of one image input [N,3,H,W]",
                       g->input_count);
    const struct tensor *t = &g->input_types[0];
    const char *name = g->values[g->inputs[0]].name;
    if (t->type != TENSOR_F32)
        return err_set(e, ERR_ONNX_INPUT, "input \"%.120s\" is %s, not float32", name,
                       tensor_type_text(t->type));
    if (t->rank != 4 || t->dims[0] == 0 || t->dims[0] < -1 || t->dims[1] != 3 || t->dims[2] < 1 ||
        t->dims[3] < 1)
        return err_set(e, ERR_ONNX_INPUT,
                       "input \"%.120s\" has shape %s instead of [N,3,H,W] with a "
                       "fixed height and width",
                       name, tensor_text(t, text));
    if (t->dims[2] > SIDE_MAX || t->dims[3] > SIDE_MAX)
        return err_set(e, ERR_ONNX_LIMIT,
                       "input \"%.120s\" has shape %s, the limit is %d pixels a "
                       "side",
                       name, tensor_text(t, text), SIDE_MAX);
    return ERR_OK;
}

enum err_code network_frame(const struct network *n, int64_t batch, struct frame *ret,
                            struct err *e)
{
    struct tensor input = n->graph.input_types[0];
    input.dims[0] = batch;
    enum err_code r = frame_new(&n->graph, &input, batch, ret, e);
    if (!r)
        ret->weights = n->weights;
    return r;
}

static enum err_code learn_shapes(struct network *n, struct err *e)
{
    struct frame one, two;
    enum err_code r = network_frame(n, 1, &one, e);
    if (r)
        return r;
    int count = n->graph.value_count, out = n->graph.outputs[0];
    n->constant = calloc((size_t)count, sizeof *n->constant);
    if (!n->constant) {
        frame_fini(&one);
        return err_set(e, ERR_NOMEM, "no memory for %d values", count);
    }
    for (int i = 0; i < count; i++) {
        n->constant[i] = one.values[i].data != NULL;
        if (one.owned[i])
            free(one.values[i].data);
        one.values[i].data = NULL;
    }
    free(one.owned);
    n->shapes = STEAL(one.values);
    if (n->constant[out])
        return err_set(e, ERR_ONNX_GRAPH, "output \"%.120s\" does not depend on the input",
                       n->graph.values[out].name);

    /* An exporter that was given one picture may have written that 1 into a Reshape. */
    if (network_frame(n, 2, &two, NULL) == ERR_OK) {
        struct tensor want = n->shapes[out];
        want.dims[0] *= 2;
        n->scales = want.rank > 0 && tensor_same_shape(&want, &two.values[out]);
        frame_fini(&two);
    }
    return ERR_OK;
}

enum err_code network_load(const void *bytes, size_t len, struct network **ret, struct err *e)
{
    struct network *n = calloc(1, sizeof *n);
    if (!n)
        return err_set(e, ERR_NOMEM, "no memory for a network");
    enum err_code r = onnx_read(bytes, len, &n->graph, &n->meta, e);
    if (!r)
        r = check_input(&n->graph, e);
    if (!r)
        r = learn_shapes(n, e);
    if (!r)
        r = weights_new(&n->weights, e);
    if (r) {
        network_free(n);
        return r;
    }
    *ret = n;
    return ERR_OK;
}

void network_free(struct network *n)
{
    if (!n)
        return;
    graph_fini(&n->graph);
    onnx_meta_fini(&n->meta);
    weights_unref(n->weights);
    free(n->shapes);
    free(n->constant);
    free(n);
}

const char *network_meta(const struct network *n, const char *key)
{
    for (size_t i = 0; i < n->meta.count; i++)
        if (strcmp(n->meta.pairs[i].key, key) == 0)
            return n->meta.pairs[i].value;
    return NULL;
}

int64_t network_parameters(const struct network *n)
{
    int64_t sum = 0;
    for (int i = 0; i < n->graph.value_count; i++) {
        const struct tensor *t = &n->graph.values[i].constant;
        if (t->data && tensor_is_float(t->type))
            sum += tensor_count(t);
    }
    return sum;
}

const char *network_input(const struct network *n, int *ret_height, int *ret_width)
{
    *ret_height = (int)n->graph.input_types[0].dims[2];
    *ret_width = (int)n->graph.input_types[0].dims[3];
    return n->graph.values[n->graph.inputs[0]].name;
}

const char *network_output(const struct network *n)
{
    return n->graph.values[n->graph.outputs[0]].name;
}

int network_value_shape(const struct network *n, const char *value, int64_t dims[NETWORK_RANK_MAX])
{
    int v = graph_find(&n->graph, value);
    if (v < 0 || n->constant[v] || n->shapes[v].rank < 1)
        return -1;
    int rank = n->shapes[v].rank - 1;
    if (dims)
        memcpy(dims, n->shapes[v].dims + 1, (size_t)rank * sizeof *dims);
    return rank;
}

#include "nn/graph.h"

#include "nn/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Open addressing; at most half full. */
struct name_map {
    int *slots;  /* value index + 1, 0: free */
    size_t size; /* a power of two */
};

static uint64_t name_hash(const char *name)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 1099511628211u;
    return h ^ h >> 29;
}

static size_t name_slot(const struct graph *g, const char *name)
{
    size_t i = name_hash(name) & (g->names->size - 1);
    while (g->names->slots[i] && strcmp(g->values[g->names->slots[i] - 1].name, name) != 0)
        i = (i + 1) & (g->names->size - 1);
    return i;
}

int graph_find(const struct graph *g, const char *name)
{
    return g->names ? g->names->slots[name_slot(g, name)] - 1 : -1;
}

static bool map_grow(struct graph *g)
{
    if (!g->names && !(g->names = calloc(1, sizeof *g->names)))
        return false;
    if ((size_t)g->value_count * 2 < g->names->size)
        return true;
    size_t size = g->names->size ? g->names->size * 2 : 256;
    int *slots = calloc(size, sizeof *slots);
    struct value *values = realloc(g->values, size / 2 * sizeof *values);
    if (values)
        g->values = values;
    if (!slots || !values) {
        free(slots);
        return false;
    }
    free(g->names->slots);
    g->names->slots = slots;
    g->names->size = size;
    for (int i = 0; i < g->value_count; i++)
        slots[name_slot(g, g->values[i].name)] = i + 1;
    return true;
}

int graph_value(struct graph *g, const char *name)
{
    int found = graph_find(g, name);
    if (found >= 0)
        return found;
    if (!map_grow(g))
        return -1;
    struct value v = { .name = strdup(name), .maker = -1 };
    if (!v.name)
        return -1;
    g->values[g->value_count] = v;
    g->names->slots[name_slot(g, name)] = ++g->value_count;
    return g->value_count - 1;
}

static void node_fini(struct node *n)
{
    free(n->name);
    free(n->in);
    free(n->out);
    for (size_t i = 0; i < n->attr_count; i++) {
        free(n->attrs[i].name);
        free(n->attrs[i].s);
        free(n->attrs[i].t.data);
        free(n->attrs[i].ints);
        free(n->attrs[i].floats);
    }
    free(n->attrs);
}

void graph_fini(struct graph *g)
{
    for (int i = 0; i < g->node_count; i++)
        node_fini(&g->nodes[i]);
    for (int i = 0; i < g->value_count; i++) {
        free(g->values[i].name);
        free(g->values[i].constant.data);
    }
    free(g->nodes);
    free(g->values);
    free(g->inputs);
    free(g->outputs);
    free(g->input_types);
    if (g->names)
        free(g->names->slots);
    free(g->names);
    *g = (struct graph){ 0 };
}

const char *node_text(const struct graph *g, const struct node *n, char ret[NODE_TEXT])
{
    const char *name = n->name && n->name[0]                ? n->name
                       : n->out_count > 0 && n->out[0] >= 0 ? g->values[n->out[0]].name
                                                            : "";
    snprintf(ret, NODE_TEXT, "node %s \"%.120s\"", n->op ? n->op->name : "?", name);
    return ret;
}

static enum err_code set_makers(struct graph *g, struct err *e)
{
    char text[NODE_TEXT];
    for (int i = 0; i < g->node_count; i++)
        for (int j = 0; j < g->nodes[i].out_count; j++) {
            int v = g->nodes[i].out[j];
            if (v < 0)
                continue;
            bool taken = g->values[v].maker >= 0 || g->values[v].constant.data;
            for (int k = 0; k < g->input_count; k++)
                taken = taken || g->inputs[k] == v;
            if (taken)
                return err_set(e, ERR_ONNX_GRAPH, "%s makes \"%.120s\", which is made already",
                               node_text(g, &g->nodes[i], text), g->values[v].name);
            g->values[v].maker = i;
        }
    return ERR_OK;
}

static bool value_defined(const struct graph *g, int v)
{
    if (g->values[v].constant.data || g->values[v].maker >= 0)
        return true;
    for (int k = 0; k < g->input_count; k++)
        if (g->inputs[k] == v)
            return true;
    return false;
}

/* Depth first with an explicit stack, in file order, so that a file that is in order stays as it
 * is. order[i] is the old index of the new node i. */
static enum err_code sort_order(const struct graph *g, int *order, int *stack, uint8_t *state,
                                int *next_input, struct err *e)
{
    enum { NEW, OPEN, DONE };
    char text[NODE_TEXT];
    int done = 0;
    for (int root = 0; root < g->node_count; root++) {
        int depth = 0;
        if (state[root] == NEW) {
            stack[depth++] = root;
            state[root] = OPEN;
        }
        while (depth > 0) {
            int i = stack[depth - 1];
            const struct node *n = &g->nodes[i];
            if (next_input[i] == n->in_count) {
                state[i] = DONE;
                order[done++] = i;
                depth--;
                continue;
            }
            int v = n->in[next_input[i]++];
            int maker = v >= 0 ? g->values[v].maker : -1;
            if (maker < 0 || state[maker] == DONE)
                continue;
            if (state[maker] == OPEN)
                return err_set(e, ERR_ONNX_GRAPH, "%s is part of a cycle", node_text(g, n, text));
            state[maker] = OPEN;
            stack[depth++] = maker;
        }
    }
    return ERR_OK;
}

enum err_code graph_sort(struct graph *g, struct err *e)
{
    enum err_code r = set_makers(g, e);
    if (r)
        return r;
    char text[NODE_TEXT];
    for (int i = 0; i < g->node_count; i++)
        for (int j = 0; j < g->nodes[i].in_count; j++)
            if (g->nodes[i].in[j] >= 0 && !value_defined(g, g->nodes[i].in[j]))
                return err_set(e, ERR_ONNX_GRAPH, "%s needs \"%.120s\", which nothing makes",
                               node_text(g, &g->nodes[i], text), g->values[g->nodes[i].in[j]].name);

    size_t count = (size_t)g->node_count + 1;
    int *order = calloc(count, sizeof *order), *stack = calloc(count, sizeof *stack);
    int *next_input = calloc(count, sizeof *next_input);
    uint8_t *state = calloc(count, 1);
    struct node *sorted = calloc(count, sizeof *sorted);
    if (!order || !stack || !next_input || !state || !sorted)
        r = err_set(e, ERR_NOMEM, "no memory to sort %d nodes", g->node_count);
    else
        r = sort_order(g, order, stack, state, next_input, e);
    if (!r) {
        for (int i = 0; i < g->node_count; i++)
            sorted[i] = g->nodes[order[i]];
        free(g->nodes);
        g->nodes = sorted;
        sorted = NULL;
        for (int i = 0; i < g->node_count; i++)
            for (int j = 0; j < g->nodes[i].out_count; j++)
                if (g->nodes[i].out[j] >= 0)
                    g->values[g->nodes[i].out[j]].maker = i;
    }
    free(order);
    free(stack);
    free(next_input);
    free(state);
    free(sorted);
    return r;
}

const struct attr *node_attr(const struct node *n, const char *name)
{
    for (size_t i = 0; i < n->attr_count; i++)
        if (strcmp(n->attrs[i].name, name) == 0)
            return &n->attrs[i];
    return NULL;
}

int64_t node_int(const struct node *n, const char *name, int64_t otherwise)
{
    const struct attr *a = node_attr(n, name);
    return a && a->kind == ATTR_INT ? a->i : otherwise;
}

float node_float(const struct node *n, const char *name, float otherwise)
{
    const struct attr *a = node_attr(n, name);
    return a && a->kind == ATTR_FLOAT ? a->f : otherwise;
}

const char *node_string(const struct node *n, const char *name, const char *otherwise)
{
    const struct attr *a = node_attr(n, name);
    return a && a->kind == ATTR_STRING ? a->s : otherwise;
}

/* graph.h -- a network as values and nodes: our own small SSA.
 *
 * Invariants:
 * 1. A value has one maker: a node, an initialiser (constant.data != NULL) or a graph input.
 * 2. Nodes stand in an order in which every input is made before it is used.
 * 3. Node inputs and outputs are indices into values; -1 stands for an optional one left out.
 * 4. Nothing in a graph changes once it has been read; what a batch size makes of it is a frame.
 * Threads: any number of readers. */
#ifndef KENNEL_GRAPH_H
#define KENNEL_GRAPH_H

#include "nn/tensor.h"

struct op;
struct name_map;

enum attr_kind {
    ATTR_FLOAT = 1,
    ATTR_INT = 2,
    ATTR_STRING = 3,
    ATTR_TENSOR = 4,
    ATTR_FLOATS = 6,
    ATTR_INTS = 7
};

struct attr {
    char *name;
    enum attr_kind kind;
    int64_t i;
    float f;
    char *s;
    struct tensor t;
    int64_t *ints;
    float *floats;
    size_t count; /* of ints or floats */
};

struct node {
    const struct op *op;
    char *name; /* as in the file; may be "" */
    int *in, *out;
    int in_count, out_count;
    struct attr *attrs;
    size_t attr_count;
};

struct value {
    char *name;
    struct tensor constant; /* data owned; NULL: not an initialiser */
    int maker;              /* node index, or -1 */
};

struct graph {
    struct value *values;
    int value_count;
    struct node *nodes;
    int node_count;
    int *inputs, *outputs;
    int input_count, output_count;
    struct tensor *input_types; /* [input_count]; a dim of -1 is free */
    struct name_map *names;
    int64_t opset, ir_version;
};

void graph_fini(struct graph *g);

/* The index of a value, or -1. */
int graph_find(const struct graph *g, const char *name);
/* The value of that name, made when there is none; -1 without memory. */
int graph_value(struct graph *g, const char *name);

/* Brings nodes into order (invariant 2) and sets makers. ERR_ONNX_GRAPH naming the node: a cycle, a
 * value made twice or never. */
enum err_code graph_sort(struct graph *g, struct err *e) MUST_USE;

/* How a message names a node: `Conv "name"`, or by its first output when it has no name. */
enum { NODE_TEXT = 200 };
const char *node_text(const struct graph *g, const struct node *n, char ret[NODE_TEXT]);

const struct attr *node_attr(const struct node *n, const char *name);
int64_t node_int(const struct node *n, const char *name, int64_t otherwise);
float node_float(const struct node *n, const char *name, float otherwise);
const char *node_string(const struct node *n, const char *name, const char *otherwise);

#endif

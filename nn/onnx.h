/* onnx.h -- ONNX files as graphs, and back.
 *
 * Reading never recurses on what the file says, takes at most twice the file's size and a
 * fixed amount beside it, and moves the initialisers out of the unpacked message instead of copying
 * them. Threads: any. */
#ifndef KENNEL_ONNX_H
#define KENNEL_ONNX_H

#include "nn/graph.h"

struct onnx_meta {
    struct network_meta_pair *pairs; /* owned, texts too */
    size_t count;
};
void onnx_meta_fini(struct onnx_meta *m);

enum { ONNX_OPSET_MIN = 7, ONNX_OPSET_MAX = 20, ONNX_NODES_MAX = 20000, ONNX_VALUES_MAX = 100000 };

/* Errors as network_load(), as far as they need no shapes. Both outputs are the caller's to
 * _fini() after success. */
enum err_code onnx_read(const void *bytes, size_t len, struct graph *ret,
                        struct onnx_meta *ret_meta, struct err *e) MUST_USE;

/* A TensorProto alone (test data is kept like that); the caller frees ret->data. */
enum err_code onnx_read_tensor(const void *bytes, size_t len, struct tensor *ret, struct err *e)
    MUST_USE;

/* What a node that is written looks like; inputs and outputs are names. */
struct onnx_node {
    const char *op, *name;
    const char *in[3], *out;
    const char *attr_name; /* one integer attribute, or NULL */
    int64_t attr;
};
struct onnx_constant {
    const char *name;
    int rank;
    int64_t dims[2];
    const float *data;
};

/* Writes the nodes of g that keep[] marks, their initialisers, then tail's nodes and constants,
 * with the one output [N,classes]. */
struct onnx_tail {
    const struct onnx_node *nodes;
    size_t node_count;
    const struct onnx_constant *constants;
    size_t constant_count;
    const char *output;
    int64_t classes;
};
enum err_code onnx_write(const struct graph *g, const bool *keep, const struct onnx_tail *tail,
                         const struct network_meta_pair *meta, size_t meta_count, struct buf *ret,
                         struct err *e) MUST_USE;

#endif

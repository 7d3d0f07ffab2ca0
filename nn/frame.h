/* frame.h -- what a graph is for one batch size: every value's shape, and the data of those that
 * are constant.
 *
 * Invariants: after frame_new() every wanted value has a type, a rank and dims that passed
 * tensor_check(); a value is constant when all its maker's inputs are and computing it is cheap;
 * data of initialisers is borrowed from the graph, which must outlive the frame. Threads: immutable
 * after frame_new(). */
#ifndef KENNEL_FRAME_H
#define KENNEL_FRAME_H

#include "nn/ops.h"

/* All values of one frame together, at one picture a batch; more pictures may take as many times
 * more. */
enum { FRAME_BYTES_MAX = NETWORK_BYTES_MAX };

struct weights;

struct frame {
    const struct graph *graph;
    struct tensor *values; /* [graph->value_count] */
    bool *owned;           /* data was made here */
    int64_t batch;
    struct weights *weights; /* borrowed: where plans of this graph share theirs; may be NULL */
};

/* inputs [graph->input_count]: the shapes to assume, with data where an input is to count as
 * constant (borrowed). Errors as network_load(). */
enum err_code frame_new(const struct graph *g, const struct tensor *inputs, int64_t batch,
                        struct frame *ret, struct err *e) MUST_USE;
void frame_fini(struct frame *f);

/* The call of one node on a frame's tensors. in has room for node->in_count, out for
 * node->out_count. */
struct op_call frame_call(const struct frame *f, const struct node *n, const struct tensor **in,
                          struct tensor **out);

#endif

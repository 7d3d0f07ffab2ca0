/* network_parts.h -- what a struct network holds, for the files that make it up (network.c,
 * feature.c, export.c, plan.c). */
#ifndef KENNEL_NETWORK_PARTS_H
#define KENNEL_NETWORK_PARTS_H

#include "nn/frame.h"
#include "nn/onnx.h"

struct network {
    struct graph graph;
    struct onnx_meta meta;
    struct tensor *shapes;   /* [graph.value_count], at one picture; no data */
    bool *constant;          /* [graph.value_count]: does not depend on the input */
    struct weights *weights; /* owned reference; shared by its plans */
    bool scales;             /* two pictures give outputs of twice the size, else run one by one */
};

/* The frame of a network for a batch. */
enum err_code network_frame(const struct network *n, int64_t batch, struct frame *ret,
                            struct err *e) MUST_USE;

#endif

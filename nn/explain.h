/* explain.h -- what a plan does, step by step, and where its time goes.
 *
 * Threads: any; the plan is only read. */
#ifndef KENNEL_EXPLAIN_H
#define KENNEL_EXPLAIN_H

#include "nn/plan.h"

enum { EXPLAIN_SHAPE = 48 };

struct explain_row {
    char *name;                /* owned; the tensor that it computes, as the file calls it */
    const char *primitive;     /* "convolution", "loop", ...; static */
    char *implementation;      /* owned; oneDNN's name for the code, or the operator's */
    char input[EXPLAIN_SHAPE]; /* "1x3x224x224"; the first one */
    char output[EXPLAIN_SHAPE];
    char weight[EXPLAIN_SHAPE]; /* "" when there is none */
    size_t bytes;               /* read and written: activations and weights */
    int lane;                   /* 1: may run beside the row above */
    double microseconds;        /* median of the runs */
};

struct explain {
    struct explain_row *rows; /* owned */
    int count, runs;
    int repeat; /* times that a batch goes through the rows: 1, or its pictures one by one */
    double microseconds; /* of all rows once: one lane after the other */
};

/* Compiles nothing: runs the plan's instructions one by one on the calling thread, up to `runs`
 * times (at least once) or until a second has passed. ERR_NOMEM, ERR_DNN. */
enum err_code plan_explain(const struct plan *p, int runs, struct explain *ret, struct err *e)
    MUST_USE;
void explain_fini(struct explain *x);

#endif

/* plan.h -- a network compiled to oneDNN primitives for one batch size.
 *
 * Constants are folded, batch norms folded into convolutions, activations and residual sums
 * fused, layouts blocked from end to end, weights reordered once, memory planned by first
 * and last use. A plan is immutable and shared; each caller brings its own scratch. After
 * a scratch's first run no call allocates. A plan runs on the calling thread alone: throughput
 * comes from independent callers, and nothing waits by spinning. A picture's result does not
 * depend on the thread, the scratch or what ran before it.
 * With two threads, for one caller on an idle machine, each scratch has a companion thread that
 * takes half of the work when it gets a core in time (duo.h); the caller does that half itself when
 * not, with the same bits. They may differ from those of a plan with one thread. A plan in int8 has
 * one thread, whatever is asked for.
 * Threads: plan_new() and plan_free() any; plan_run() any number at once, one per scratch. */
#ifndef KENNEL_PLAN_H
#define KENNEL_PLAN_H

#include "nn/network.h"

struct plan;
struct plan_scratch;
struct ranges;

/* PLAN_INT8: convolutions whose input has a range are computed from 8-bit integers, weights scaled
 * by output channel; what lies between them stays 8-bit where it can. Everything else is float32,
 * and so are the input and the output. */
enum plan_precision { PLAN_FP32, PLAN_INT8 };

struct plan_options {
    const char *output; /* value to compute; NULL: the network's output */
    bool pool;          /* average an output that is still spatial over height and width */
    int batch;          /* pictures a run, >= 1; computed one by one where that is faster */
    int threads;        /* 2: a run may use a second core, but in int8; 0 or 1: it does not */
    enum plan_precision precision;
    const struct ranges *ranges; /* nn/ranges.h; read by PLAN_INT8 only, which needs them */
};

/* Borrows the network and the ranges during the call only. ERR_DNN, ERR_NOMEM, ERR_ONNX_OPERATOR.
 */
enum err_code plan_new(const struct network *n, const struct plan_options *options,
                       struct plan **ret, struct err *e) MUST_USE;
void plan_free(struct plan *p);

/* Floats of one picture going in (3*H*W) and coming out. */
size_t plan_input_size(const struct plan *p);
size_t plan_output_size(const struct plan *p);
/* Bytes held by the plan (weights) and by one scratch (activations). */
size_t plan_bytes(const struct plan *p);
size_t plan_scratch_bytes(const struct plan *p);

/* The plan must outlive its scratches. */
enum err_code plan_scratch_new(const struct plan *p, struct plan_scratch **ret, struct err *e)
    MUST_USE;
void plan_scratch_free(struct plan_scratch *s);

/* input [batch][3][H][W] -> output [batch][plan_output_size()], float32, dense. */
enum err_code plan_run(const struct plan *p, struct plan_scratch *s, const float *input,
                       float *output, struct err *e) MUST_USE;

/* What decides the bits of a result beside the network: instruction set, oneDNN
 * version and a number of our own, e.g. "onednn-2.6.3 avx512_core_vnni 2". Static text. */
const char *plan_engine_text(void);

#endif

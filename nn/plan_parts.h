/* plan_parts.h -- what a struct plan holds, for the files that make it up.
 *
 * compile.c and compile_steps.c fill it, arena.c places its values, plan_run.c runs it.
 * Invariants:
 * 1. A value's numbers stand in its root's room, at a fixed offset; a root is its own parent.
 * 2. Two roots whose lifetimes (first..last instruction) meet have rooms that do not.
 * 3. Instructions read and write rooms, parameters and the caller's buffers, nothing else.
 * Threads: immutable once compiled. */
#ifndef KENNEL_PLAN_PARTS_H
#define KENNEL_PLAN_PARTS_H

#include "nn/plan.h"
#include "nn/steps.h"
#include "nn/weights.h"

/* Numbers that never change: weights in the layout that their primitive wants. */
struct param {
    void *data; /* in the plan's weights, aligned */
    size_t bytes;
    struct dnn_memory *memory; /* NULL: read by a plain loop only */
};

/* What an instruction's argument stands for: a value, or a parameter when value is -1. */
struct operand {
    int value, param;
};

struct arg {
    int role;
    struct operand of;
    struct dnn_layout *layout; /* owned; as the primitive sees it */
    size_t offset;             /* in the operand's numbers, bytes: of a part that is split off */
};

enum instr_kind { INSTR_DNN, INSTR_LOOP, INSTR_COPY };

struct instr {
    enum instr_kind kind;
    struct dnn_primitive *primitive; /* owned */
    struct arg *args;                /* owned; of a loop: inputs, then outputs */
    int arg_count;
    struct node *node;      /* owned copy; loop */
    struct tensor *tensors; /* owned; loop: shape of each arg; type NONE: left out */
    char *name;             /* owned; what it computes, for messages */
    int lane;               /* 0: the caller's, 1: its companion's */
};

enum room { ROOM_ARENA, ROOM_INPUT, ROOM_OUTPUT };

struct plan_value {
    struct tensor shape;       /* data: of a constant, while compiling */
    struct dnn_layout *layout; /* owned; NULL: not float32 by its shape */
    const struct quant *quant; /* while compiling: how it is held as integers; NULL: it is not */
    size_t bytes;              /* of the room that a root needs */
    int parent;
    size_t offset; /* in the parent */
    enum room room;
    int input;       /* ROOM_INPUT: which */
    size_t at;       /* ROOM_ARENA: of a root, in the arena */
    int first, last; /* instructions; -1: none */
    int uses_left;   /* while compiling: of a root, by all values in its room */
    int uses;        /* while compiling: of this value */
    int copy;        /* while compiling: the same numbers in another layout, or -1 */
    bool defined;
};

struct plan {
    struct dnn_engine *engine;
    struct plan_value *values;
    int value_count, value_max;
    struct instr *instrs;
    int instr_count, instr_max;
    struct param *params;
    int param_count, param_max;
    struct weights *weights; /* a reference */
    int *inputs;             /* values */
    int input_count;
    int output;
    int threads;   /* lanes, 1 or 2 */
    int *segments; /* owned; first instruction of each, and their end (split.c) */
    int segment_count;
    size_t arena, scratchpad, param_bytes; /* bytes */
    size_t input_size, output_size;        /* entries of one picture */
    int repeat; /* runs a call: the batch, when it is computed one by one, else 1 */
    int64_t opset;
    int value_shown; /* values below this are those of the graph */
};

/* Compiles value `output` of a frame: its inputs are those of the graph that have no data. With
 * ranges in int8 and for one thread, without (NULL) in fp32. Borrows the frame and the ranges
 * during the call. */
enum err_code plan_compile(const struct frame *f, int output, bool pool, int threads,
                           const struct ranges *ranges, struct plan **ret, struct err *e) MUST_USE;
/* One run: buffers in the order of plan->inputs. */
enum err_code plan_execute(const struct plan *p, struct plan_scratch *s, const void *const *inputs,
                           void *output, struct err *e) MUST_USE;
/* The same on the calling thread alone; times: [instr_count] microseconds. */
enum err_code plan_execute_timed(const struct plan *p, struct plan_scratch *s,
                                 const void *const *inputs, void *output, double *times,
                                 struct err *e) MUST_USE;

/* A float value's entries as they lie: [rows][ceil(channels / block)][inner][block], where the
 * layout pads the last block with zeros. block 0: in some other order. */
struct plan_view {
    int value;
    const float *data;
    size_t count;
    int64_t channels, block, inner;
};
/* plan_execute() that shows each float value right after it is made, and the inputs. Values are
 * numbered as in the graph; those that only the plan has are not shown. */
typedef void (*plan_watch)(void *context, const struct plan_view *view);
enum err_code plan_execute_watched(const struct plan *p, struct plan_scratch *s,
                                   const void *const *inputs, void *output, plan_watch watch,
                                   void *context, struct err *e) MUST_USE;

/* Root of a value, and where the value stands in its room. */
int plan_root(const struct plan *p, int value, size_t *ret_offset);
/* Gives every root in the arena its place; sets arena. ERR_ONNX_LIMIT. */
enum err_code plan_place(struct plan *p, size_t most, struct err *e) MUST_USE;

/* Instructions between which the lanes need not wait for each other; after plan_place(). */
enum err_code plan_segment(struct plan *p, struct err *e) MUST_USE;

/* ---- for compile.c and compile_steps.c ---- */

/* A value that only the plan has; -1 without memory. Takes layout (NULL: not float32). */
int plan_add_value(struct plan *p, const struct tensor *shape, struct dnn_layout *layout);
/* value is made by the next instruction, in this layout (taken; NULL is without memory). */
enum err_code plan_define(struct plan *p, int value, struct dnn_layout *layout, struct err *e)
    MUST_USE;
/* value's numbers as they lie in that layout: itself, a reordered copy, or a parameter. A layout of
 * integers is filled by the value's scale, one of floats likewise from integers. fresh: the copy is
 * to be written over, nobody else may use it. */
enum err_code plan_fetch(struct plan *p, int value, const struct dnn_layout *want, bool fresh,
                         struct operand *ret, struct err *e) MUST_USE;
/* Numbers in the order of `from` as a parameter in the layout `to`; read during the call only. */
enum err_code plan_param(struct plan *p, const void *data, const struct dnn_layout *from,
                         const struct dnn_layout *to, struct operand *ret, struct err *e) MUST_USE;
/* Takes primitive, also on failure. Its scratchpad is added by itself. */
enum err_code plan_emit(struct plan *p, struct dnn_primitive *primitive, const char *name,
                        struct instr **ret, struct err *e) MUST_USE;
/* Copies layout. */
enum err_code plan_arg(struct plan *p, struct instr *i, int role, struct operand of,
                       const struct dnn_layout *layout, struct err *e) MUST_USE;
struct dnn_layout *plan_plain(const struct tensor *t);

enum err_code plan_compile_step(struct plan *p, const struct steps *s, const struct step *step,
                                struct err *e) MUST_USE;

#endif

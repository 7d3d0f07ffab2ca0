/* learner_parts.h -- what a struct learner holds, for the files that make it up.
 *
 *   learner_build     nodes -> steps         learner_schedule  steps -> segments, rooms
 *   learner_weights   initialisers -> parameters   learner_export  and back
 *   learner_run       segments on a team     learner           the interface
 *   learner_conv, _norm, _unary, _binary, _pool, _inner, _move: a family of steps each
 *
 * Invariants:
 * 1. A value holds items one after the other, each with its channels innermost ([H][W][C]), so that
 *    oneDNN's backward kernels and our loops read the same numbers and nothing is reordered.
 * 2. A segment is what runs without the shards meeting. Within it a shard goes chunk by chunk
 *    (some items) through all actions, so that a chunk stays in the cache; values that live within
 *    one segment have room for a chunk only, in the worker's scratch.
 * 3. Whatever is summed over items is summed over the chunks of a shard in order into the shard's
 * own room, then over shards in order when the segment ends.
 * 4. Steps whose output is cheaply made again from what is stored are run again before backward.
 * 5. After learner_new() no step allocates.
 * Threads: forward and backward of a step run at once for several shards; they write to values, the
 * worker's scratch and the shard's sums only. All else runs on one thread. */
#ifndef KENNEL_LEARNER_PARTS_H
#define KENNEL_LEARNER_PARTS_H

#include "nn/learner.h"
#include "nn/learner_kernels.h"
#include "nn/network_parts.h"
#include "nn/steps.h"
#include "nn/team.h"
#include "nn/weights.h"

enum { LEARNER_SHARDS_MAX = 4, LEARNER_SHARD_ITEMS = 8, LEARNER_WEIGHTS_MAX = 4 };

#define NOWHERE SIZE_MAX

struct learner_value {
    const char *name;
    struct tensor shape; /* of one item, dims[0] 1 */
    int64_t channels, inner;
    size_t count;                /* channels x inner */
    int maker;                   /* step */
    bool gradient;               /* something that is trained stands before it */
    bool stored;                 /* computed once a step; else again where it is needed */
    size_t data_at, gradient_at; /* in the arena, bytes, [batch][count]; NOWHERE: in scratch */
};

/* A parameter, or a constant, as a step reads it. */
struct learner_weight {
    int param; /* -1: a constant */
    const float *value;
    size_t sums;    /* bytes that a shard sums its gradient in; 0: none */
    size_t sums_at; /* in the arena, [shards][sums] */
};

struct learner_step;

struct learner_job {
    int worker, shard;
    int item, count; /* the chunk */
    bool first;      /* of its shard in this segment */
    const struct learner_segment *segment;
    char *scratch; /* [l->step_scratch]: of the worker, for the step */
};

enum learner_needs { NEEDS_OUT = 1, NEEDS_IN = 2 }; /* by backward: numbers of the output, inputs */
enum learner_moment { MOMENT_STAT, MOMENT_BACKSTAT, MOMENT_BACKWARD };

struct learner_op {
    /* Chunk sizes are known; sets step->scratch, weights' sums. NULL: nothing to do. */
    enum err_code (*prepare)(struct learner *l, struct learner_step *p, struct err *e);
    /* Before each run, one step on one thread: parameters may have changed. */
    enum err_code (*refresh)(struct learner *l, struct learner_step *p, struct err *e);
    enum err_code (*forward)(struct learner *l, const struct learner_step *p,
                             const struct learner_job *j, struct err *e);
    enum err_code (*backward)(struct learner *l, const struct learner_step *p,
                              const struct learner_job *j, struct err *e);
    /* Sums over the batch of the input (norm, before forward) and of the gradient (before
     * backward). */
    void (*stat)(struct learner *l, const struct learner_step *p, const struct learner_job *j);
    void (*backstat)(struct learner *l, const struct learner_step *p, const struct learner_job *j);
    /* All shards have passed that moment. */
    enum err_code (*combine)(struct learner *l, struct learner_step *p, enum learner_moment m,
                             struct err *e);
    /* The step was a good one: running statistics. */
    void (*commit)(struct learner *l, struct learner_step *p);
    void (*free)(const struct learner *l, struct learner_step *p);
};

struct learner_step {
    const struct learner_op *op;
    const char *name; /* for messages; borrowed */
    int *in, in_count, out;
    bool *add; /* [in_count]: the gradient is added to what is there */
    unsigned needs;
    bool cheap; /* forward is worth running again instead of storing */
    bool sums;  /* statistics over the batch: a norm in training */
    struct learner_weight weights[LEARNER_WEIGHTS_MAX];
    int weight_count;
    int forward_chunk, backward_chunk;
    size_t scratch;
    void *state; /* of the op */
};

enum learner_action_kind {
    ACTION_FORWARD,
    ACTION_AGAIN, /* forward of a cheap step once more */
    ACTION_STAT,
    ACTION_LOSS,
    ACTION_BACKWARD,
    ACTION_BACKSTAT
};
struct learner_action {
    enum learner_action_kind kind;
    int step;
};

struct learner_segment {
    int first, last; /* actions, last excluded */
    int chunk;
    size_t *data_at, *gradient_at; /* [value_count], bytes in the scratch; NOWHERE: not there */
};

struct learner_worker {
    char *scratch; /* [scratch + step_scratch] */
};

/* What an initialiser is to the whole graph. */
struct learner_role {
    unsigned kinds; /* bits of enum learner_kind: what it stands for */
    int readers;    /* inputs of nodes that read it, also by another name */
};
/* A node's input that a parameter stands in. */
struct learner_use {
    const struct node *node; /* borrowed */
    int slot, param;
};

struct learner {
    const struct network *network; /* borrowed */
    struct frame frame;            /* one item */
    struct steps steps;
    struct dnn_engine *engine;
    struct team *team;
    char *feature; /* owned */
    int width;     /* of the head */
    int classes, batch, shards, threads;
    enum learner_norm norm;
    float momentum;

    struct learner_value *values;
    int value_count, value_max;
    struct learner_step *list;
    int step_count, step_max;
    int input, logits; /* values */
    struct learner_param *params;
    int *initialisers;          /* [param_count] graph values; -1: of the head */
    int *users;                 /* [param_count] */
    struct learner_use *uses;   /* [use_count] */
    struct learner_role *roles; /* [graph values] */
    int use_count;
    int param_count, param_max;

    struct learner_action *actions;
    int action_count, action_max;
    struct learner_segment *segments;
    int segment_count, segment_max;
    int loss_segment, loss_action;

    char *arena;
    size_t arena_bytes, scratch, step_scratch, extra_bytes;
    struct learner_worker *workers;
    float *probability; /* [batch][classes] */
    double *item_loss;  /* [batch] */
    const struct learner_kernels *kernels;

    /* the run in hand */
    bool training;
    int count, run_shards;
    const float *x, *target, *class_weight;
    double weight_sum, loss;
};

/* ---- learner_run.c ---- */

/* The first item of the job's chunk. */
float *learner_data(const struct learner *l, const struct learner_job *j, int value);
float *learner_gradient(const struct learner *l, const struct learner_job *j, int value);
/* A shard's room for the gradient of a weight. */
void *learner_sums(const struct learner *l, const struct learner_weight *w, int shard);
enum err_code learner_run(struct learner *l, struct err *e) MUST_USE;
/* Does backward of step p have to make input i's gradient? */
bool learner_wants(const struct learner *l, const struct learner_step *p, int i);
/* The shards' sums of a weight, in order, become its parameter's gradient: of doubles, of floats.
 */
void learner_sum_vector(struct learner *l, const struct learner_weight *w);
void learner_sum_matrix(struct learner *l, const struct learner_weight *w);

/* ---- learner_build.c ---- */

enum err_code learner_build(struct learner *l, const struct learner_options *o, struct err *e)
    MUST_USE;

/* ---- learner_weights.c ---- */

int learner_add_param(struct learner *l, const char *name, enum learner_kind kind, size_t count,
                      const float *value, struct err *e) MUST_USE; /* -1: without memory */
/* Before any weight is set. */
void learner_find_roles(struct learner *l);
/* What the operand of a sum, a product or a slope is. */
enum learner_kind learner_operand_kind(enum op_kind op);
/* Input `slot` of the node as weight k of a step: a parameter when it is an initialiser, else a
 * constant. */
enum err_code learner_set_weight(struct learner *l, struct learner_step *p, int k,
                                 const struct node *n, int slot, enum learner_kind kind,
                                 struct err *e) MUST_USE;

/* ---- learner_schedule.c ---- */

/* Actions and segments; chunks of all steps. */
enum err_code learner_schedule(struct learner *l, struct err *e) MUST_USE;
/* Rooms; after all steps were prepared. */
enum err_code learner_place(struct learner *l, struct err *e) MUST_USE;

/* ---- learner_loss.c ---- */

void learner_loss(struct learner *l, const struct learner_job *j);

/* ---- learner_reset.c ---- */

void learner_reset_head(struct learner *l, uint64_t seed);

/* ---- families: fill op, state, needs, cheap of a step whose in and out are set ---- */

enum err_code learner_conv_init(struct learner *l, struct learner_step *p, const struct step *s,
                                struct err *e) MUST_USE;
enum err_code learner_inner_init(struct learner *l, struct learner_step *p, int64_t depth,
                                 int64_t width, bool transposed, struct err *e) MUST_USE;
enum err_code learner_norm_init(struct learner *l, struct learner_step *p, float epsilon,
                                struct err *e) MUST_USE;
enum err_code learner_unary_init(struct learner *l, struct learner_step *p, const struct op_call *c,
                                 struct err *e) MUST_USE;
/* Which operands are values: in; the others stand in constants. */
enum err_code learner_binary_init(struct learner *l, struct learner_step *p,
                                  const struct op_call *c, struct err *e) MUST_USE;
enum err_code learner_pool_init(struct learner *l, struct learner_step *p, const struct window *w,
                                enum dnn_pool_kind kind, struct err *e) MUST_USE;
/* The picture, or the cut, as a value. */
enum err_code learner_load_init(struct learner *l, struct learner_step *p, struct err *e) MUST_USE;
/* Every output entry is one input entry, or nought: from[i] is the row-major index in the input of
 * output entry i (row-major), or -1. Takes from. */
enum err_code learner_move_init(struct learner *l, struct learner_step *p, int64_t *from,
                                struct err *e) MUST_USE;
enum err_code learner_copy_init(struct learner *l, struct learner_step *p, struct err *e) MUST_USE;
enum err_code learner_concat_init(struct learner *l, struct learner_step *p, int axis,
                                  struct err *e) MUST_USE;

#endif

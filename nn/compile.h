/* compile.h -- what the files that turn steps into instructions share.
 *
 * compile_steps.c holds these and the steps that take the layout they find; the others have a file
 * a family. Threads: one owner of the plan that is being made. */
#ifndef KENNEL_COMPILE_H
#define KENNEL_COMPILE_H

#include "data/base/cleanup.h"
#include "nn/plan_parts.h"

CLEANUP_DEFINE(struct dnn_layout, dnn_layout_free);
/* A layout that its scope frees. */
#define LAYOUT CLEANUP(dnn_layout_free_p) struct dnn_layout *

enum { BLOCK_MIN = 4 }; /* channels; a layout with less is not called blocked */

enum err_code compile_no_memory(struct err *e);
/* What a message or an explanation calls the step. Borrowed. */
const char *compile_name(const struct steps *s, const struct step *step);
struct operand compile_at(int value);
/* How a value lies, as floats; a constant has no layout until it is fetched and is read as it
 * stands. The caller frees it. */
struct dnn_layout *compile_layout(const struct plan *p, int value);
/* The same, but in an order that every primitive knows, and without gaps. The caller frees it. */
struct dnn_layout *compile_settled(const struct plan *p, int value);
/* A layout for the primitive to choose. */
struct dnn_layout *compile_any(const struct tensor *t, enum dnn_type type);
/* All inputs lie as integers of one type and scale, in which the output is to be held too. */
bool compile_stays_integer(const struct plan *p, const struct steps *s, const struct step *step);
/* out's numbers stand in in's room, at that offset. */
void compile_share_room(struct plan *p, int out, int in, size_t offset);
/* The step's posts; with: the layout for a binary in place of a sum, or NULL. */
struct dnn_posts compile_posts(const struct step *step, const struct dnn_layout *with);
/* Everything of a convolution but its layouts; sum_with as for compile_posts(). */
struct dnn_conv compile_conv_geometry(const struct step *step, const struct dnn_layout *sum_with);
/* May the result be written over this value? */
bool compile_is_last_use(const struct plan *p, int value);
/* The room of this value is about to be written over: copies that stand in it are none any more. */
void compile_forget_copies(struct plan *p, int value);
/* Index of the sum among the posts, or -1. */
int compile_sum_post(const struct step *step);
/* A convolution of one picture [1, C, H, W] that is faster by Winograd's method; out: its channels.
 */
bool compile_winograd_pays(const struct step *step, const int64_t *in, int64_t out);
/* Makes the primitive; when c->winograd and oneDNN has none that pays, the direct one. */
enum err_code compile_conv_new(struct plan *p, const struct dnn_conv *c, struct dnn_primitive **ret,
                               struct err *e) MUST_USE;
/* Is compile_conv_halves() the better way for this step on two lanes? It may still find that oneDNN
 * has no code for it: ERR_DNN, and the plan is as it was. */
bool compile_conv_has_halves(const struct plan *p, const struct steps *s, const struct step *step);
/* The value in row-major order. */
enum err_code compile_fetch_plain(struct plan *p, int value, struct operand *ret, struct err *e)
    MUST_USE;
/* Emits primitive (taken) from `in` to step->out, which primitive sees as from and to; defined
 * (taken) is how step->out's own shape lies. */
enum err_code compile_emit(struct plan *p, const struct steps *s, const struct step *step,
                           struct dnn_primitive *primitive, struct operand in,
                           const struct dnn_layout *from, const struct dnn_layout *to,
                           struct dnn_layout *defined, struct instr **ret, struct err *e) MUST_USE;
/* A vector of numbers as one more argument of an instruction. */
enum err_code compile_vector(struct plan *p, int instr, int role, const float *data, int64_t count,
                             struct err *e) MUST_USE;

#define COMPILE_STEP(kind)                                                                         \
    enum err_code compile_##kind(struct plan *p, const struct steps *s, const struct step *step,   \
                                 struct err *e) MUST_USE;
COMPILE_STEP(conv)
COMPILE_STEP(conv_halves)
COMPILE_STEP(softmax)
COMPILE_STEP(layer_norm)
COMPILE_STEP(inner)
COMPILE_STEP(matmul)
COMPILE_STEP(view)
COMPILE_STEP(transpose)
COMPILE_STEP(slice)
COMPILE_STEP(split)
COMPILE_STEP(binary)
COMPILE_STEP(concat)
COMPILE_STEP(loop)
#undef COMPILE_STEP

#endif

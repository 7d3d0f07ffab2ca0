/* compile_int8.h -- a convolution's weights, scales and posts when its operands are integers.
 * Threads: plain data. */
#ifndef KENNEL_COMPILE_INT8_H
#define KENNEL_COMPILE_INT8_H

#include "nn/compile.h"

struct int8_conv {
    bool on; /* false: computed from floats, the rest is zero */
    enum dnn_type src, dst;
    int8_t *weight;    /* owned; [O][I/group][k...] */
    float *scales;     /* owned; [O] */
    float *bias;       /* owned; [O], as dnn_conv_bias() wants it */
    bool in_units;     /* scales and posts are in units of the integers that come out */
    float last_factor; /* behind the posts; 0: none */
};

/* Off when the step's input has no range, or its numbers do not fit. */
enum err_code int8_conv_init(const struct steps *s, const struct step *step, struct int8_conv *ret,
                             struct err *e) MUST_USE;
void int8_conv_fini(struct int8_conv *q);
/* Brings the step's posts into the units of the result. posts: those of compile_posts() with the
 * sum in place. */
void int8_conv_posts(const struct steps *s, const struct step *step, const struct int8_conv *q,
                     struct dnn_posts *posts);

#endif

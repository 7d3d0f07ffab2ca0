/* dnn_backward.h -- oneDNN's backward convolutions, on the types of dnn.h.
 *
 * A primitive reads DNN_DIFF_DST and either DNN_WEIGHT to fill DNN_DIFF_SRC, or DNN_SRC to fill
 * DNN_DIFF_WEIGHT. Threads: as dnn.h. */
#ifndef KENNEL_DNN_BACKWARD_H
#define KENNEL_DNN_BACKWARD_H

#include "nn/dnn.h"

/* c: the forward convolution; bias, posts and scales are not looked at. The layout of the weight
 * (of its gradient) may be left to the primitive: dnn_primitive_layout(), DNN_WEIGHT or
 * DNN_DIFF_WEIGHT. */
enum err_code dnn_conv_backward_data_new(struct dnn_engine *d, const struct dnn_conv *c,
                                         struct dnn_primitive **ret, struct err *e) MUST_USE;
enum err_code dnn_conv_backward_weight_new(struct dnn_engine *d, const struct dnn_conv *c,
                                           struct dnn_primitive **ret, struct err *e) MUST_USE;

#endif

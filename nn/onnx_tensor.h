/* onnx_tensor.h -- TensorProto to struct tensor. */
#ifndef KENNEL_ONNX_TENSOR_H
#define KENNEL_ONNX_TENSOR_H

#include "nn/tensor.h"

#include "onnx.pb-c.h"

/* Moves raw_data out of p where it can; the caller frees ret->data. what names the tensor in
 * messages. ERR_ONNX_GRAPH: data elsewhere, too little or too much of it; ERR_ONNX_LIMIT: the
 * shape; ERR_ONNX_OPERATOR: the type. */
enum err_code onnx_tensor(Onnx__TensorProto *p, const char *what, struct tensor *ret, struct err *e)
    MUST_USE;

#endif

/* dnn_parts.h -- what the dnn*.c files share; nobody else includes it.
 *
 * What differs between oneDNN 2.6 and 3.x stands between #if DNN_3 lines of these files and
 * nowhere else:
 * - a memory descriptor is a struct in 2.x and an opaque object in 3.x;
 * - a primitive descriptor is made from an operation descriptor in 2.x and directly in 3.x;
 * - 2.x post-ops carry a scale, 3.x sums carry a zero point;
 * - scales of integers are numbers of the attribute in 2.x and arguments of a call in 3.x, and a
 *   convolution's bias is added before them in 2.x and after them in 3.x. */
#ifndef KENNEL_DNN_PARTS_H
#define KENNEL_DNN_PARTS_H

#include "nn/dnn.h"

#include <oneapi/dnnl/dnnl.h>

#define DNN_3 (DNNL_VERSION_MAJOR >= 3)

struct dnn_engine {
    dnnl_engine_t engine;
};

struct dnn_layout {
    dnnl_memory_desc_t md;
};

struct dnn_primitive {
    dnnl_primitive_t primitive;
    dnnl_primitive_desc_t desc;
    const char *what; /* static */
};

struct dnn_memory {
    dnnl_memory_t memory;
};

struct dnn_call {
    dnnl_primitive_t primitive; /* borrowed */
    dnnl_stream_t stream;
    int count;
    dnnl_exec_arg_t args[];
};

#if DNN_3
#define MD(l) ((l) ? (l)->md : NULL)
typedef const_dnnl_memory_desc_t md_view;
#else
#define MD(l) ((l) ? &(l)->md : NULL)
typedef const dnnl_memory_desc_t *md_view;
#endif

struct dnn_layout *dnn_layout_of(md_view md);
/* A primitive of a descriptor, which is taken when status is a success. what: for messages; static.
 */
enum err_code dnn_finish(dnnl_status_t status, dnnl_primitive_desc_t desc, const char *what,
                         struct dnn_primitive **ret, struct err *e) MUST_USE;
/* from[i] - less. oneDNN reads as many entries as its type has, whatever the rank: the rest is 0.
 */
void dnn_copy_dims(dnnl_dims_t ret, const int64_t *from, int count, int64_t less);

/* One stride a dim (ALL), or strides between blocks. */
struct dnn_strides {
    enum { DNN_STRIDES_ALL, DNN_STRIDES_BLOCKED, DNN_STRIDES_OPAQUE } form;
    int rank;
    int64_t dims[DNN_RANK_MAX], strides[DNN_RANK_MAX];
};
struct dnn_strides dnn_strides_of(const struct dnn_layout *l);

#endif

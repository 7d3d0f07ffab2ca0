/* preprocess_meta.h -- how an ONNX file's metadata_props say how its pictures are prepared.
 *
 *   mean, std     "123.675,116.28,103.53", or one number for all channels; on 0..255; required
 *   color_order   "RGB" (also when absent) or "BGR"
 *   input_size    pixels; when present it must be what the graph says
 *   resize        shorter side before the crop; default input_size * 256 / 224
 *
 * Threads: any; plain data. */
#ifndef KENNEL_PREPROCESS_META_H
#define KENNEL_PREPROCESS_META_H

#include "nn/backbone.h"

/* overrides (may be NULL) go before what the file says. ERR_ONNX_PREPROCESS naming the field. */
enum err_code preprocess_meta_read(const struct network *n,
                                   const struct backbone_overrides *overrides,
                                   struct preprocess *ret, struct err *e) MUST_USE;

/* The same as pairs: keys are static, values point into the struct. Reading them back gives equal
 * numbers to the bit. */
enum { PREPROCESS_META_PAIRS = 5 };
struct preprocess_meta {
    char mean[64], std[64], size[16], resize[16];
    struct network_meta_pair pairs[PREPROCESS_META_PAIRS];
};
void preprocess_meta_write(const struct preprocess *p, struct preprocess_meta *ret);

#endif

/* precision.h -- the numbers that a model version is computed with where it is served.
 *
 *   fp32   as its ONNX file says
 *   int8   convolutions on 8-bit integers (PLAN_INT8)
 *   auto   of a recipe: int8 when it keeps the margin on the holdout, else fp32
 *
 * The file is the same fp32 network in either case. Its metadata_props say which one is served:
 * PRECISION_META is "fp32" or "int8", and with int8 RANGES_META has the ranges that integers are
 * scaled by. A file without them is served in fp32.
 * Threads: any; integers are immutable once made. */
#ifndef KENNEL_PRECISION_H
#define KENNEL_PRECISION_H

#include "nn/backbone.h"
#include "nn/ranges.h"

#define PRECISION_META "kennel.precision"
#define PRECISION_META_RANGES "kennel.ranges"

enum precision { PRECISION_FP32, PRECISION_INT8, PRECISION_AUTO };

/* Static text. */
const char *precision_text(enum precision p);
bool precision_parse(const char *text, enum precision *ret);

/* What a network needs to be computed with integers. Zeroed: nothing, fp32. */
struct integers {
    struct ranges ranges;
    char *text;           /* owned: the ranges as metadata; NULL: fp32 */
    struct digest digest; /* of text */
};

/* Errors as ranges_read(). *ret is to be given to _fini() only after success. */
enum err_code integers_parse(const char *text, struct integers *ret, struct err *e) MUST_USE;
enum err_code integers_from(const struct ranges *r, struct integers *ret, struct err *e) MUST_USE;
void integers_fini(struct integers *i);

/* What the file's metadata say; zeroed for fp32. ERR_ONNX_GRAPH naming the rule that they break. */
enum err_code integers_of_network(const struct network *n, struct integers *ret, struct err *e)
    MUST_USE;

/* backbone_feature_key(), and with integers (not NULL, not zeroed) another one for each ranges. */
enum err_code precision_feature_key(const struct backbone *b, const struct integers *i,
                                    struct digest *ret, struct err *e) MUST_USE;

#endif

/* ranges.h -- between which bounds the values of a network lie, seen on pictures: what int8 plans
 * are scaled by.
 *
 * Invariants: sorted by name, no name twice; low <= 0 <= high, not both 0, both finite. low is 0
 * when nothing below 0 was seen. What lies outside of a range is cut to its bound. Threads:
 * immutable once made; any number of readers. */
#ifndef KENNEL_RANGES_H
#define KENNEL_RANGES_H

#include "data/base/buf.h"

struct range_channel {
    uint8_t most; /* / 255; at least 1 */
    int8_t mean;  /* / 127 */
    uint8_t size; /* / 255 */
};

struct range {
    char *name; /* owned; of the value */
    float low, high;
    int count;                      /* 0: not known by channel */
    struct range_channel *channels; /* owned; [count] */
};

struct ranges {
    struct range *list; /* owned */
    int count;
};

enum { RANGES_MAX = 1 << 17 };

void ranges_fini(struct ranges *r);
/* NULL when the value has none. */
const struct range *ranges_find(const struct ranges *r, const char *name);

/* Text for a model's metadata: {"name":[low,high,"six hex digits a
 * channel"],...}, appended.
 * Equal ranges give equal bytes. Ranges of names that are not UTF-8 are left out. */
enum err_code ranges_write(const struct ranges *r, struct buf *ret, struct err *e) MUST_USE;
/* ERR_ONNX_GRAPH when the text is not such ranges. *ret is to be given to ranges_fini() only after
 * success. */
enum err_code ranges_read(const char *text, struct ranges *ret, struct err *e) MUST_USE;

#endif

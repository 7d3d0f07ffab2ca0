/* meter.h -- counters and histograms that a request adds to without waiting, and their text for
 * Prometheus (exposition format 0.0.4).
 *
 * A meter is a family of series, one for each combination of its labels' values. Adding is a walk
 * through a bucket of a hash table and an atomic addition; the first use of a combination allocates
 * and is published with a compare-and-swap, so nobody ever holds a lock. A family has at most
 * series_max series: what would be one more goes to a last one whose labels all say "other", and so
 * does what there is no memory for. Values are whole numbers in a small unit (microseconds, bytes,
 * 1), shown in the base unit of the name.
 * Threads: meter_add(), meter_observe() and meters_write() any; the rest one. */
#ifndef KENNEL_METER_H
#define KENNEL_METER_H

#include "data/base/buf.h"

struct meters;

enum {
    METER_LABELS = 6,
    METER_VALUE_MAX = 128 /* bytes of a label's value; longer ones are cut */
};

struct meter_spec {
    const char *name, *help; /* static, as all texts here */
    const char *labels[METER_LABELS + 1];
    const uint64_t *bounds; /* ascending upper bounds of a histogram; NULL: a counter */
    size_t bound_count;
    double unit; /* what 1 is in the unit of the name: 1e-6 for microseconds shown as seconds */
    size_t series_max;
};

/* Bounds in microseconds, from 0.25 ms to 30 s. */
enum { METER_TIMES = 17 };
extern const uint64_t meter_times[METER_TIMES];

/* specs: borrowed, for ever. A meter is named by its place in them. */
enum err_code meters_new(const struct meter_spec *specs, size_t count, struct meters **ret,
                         struct err *e) MUST_USE;
void meters_free(struct meters *m);

/* values: as many as the meter has labels; NULL without labels. m may be NULL: nothing is counted.
 */
void meter_add(struct meters *m, int meter, const char *const *values, uint64_t n);
void meter_observe(struct meters *m, int meter, const char *const *values, uint64_t x);

/* Appends every family that has a series, in the order of the specs. ERR_NOMEM,
 * ERR_BODY_TOO_LARGE. */
enum err_code meters_write(const struct meters *m, struct buf *ret, struct err *e) MUST_USE;

/* For what is read when it is asked for: a family's head, then its samples. kind: "gauge" or
 * "counter". labels NULL-ended, or NULL. */
enum err_code meter_head(struct buf *ret, const char *name, const char *kind, const char *help,
                         struct err *e) MUST_USE;
enum err_code meter_sample(struct buf *ret, const char *name, const char *const *labels,
                           const char *const *values, double x, struct err *e) MUST_USE;

#endif

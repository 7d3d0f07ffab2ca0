/* histogram.h -- how large a value's entries are, and the bound that 8 bits serve best.
 *
 * Absolute entries are counted in bins over [0, 2^k), k as large as the largest needs. Zeros are
 * not counted: they cost nothing at any bound. Of a long array a part is counted, spread over all
 * of it; the largest entry is always known. Counts are whole numbers, so the order of pictures does
 * not matter and histograms add up exactly.
 * Threads: one user at a time. */
#ifndef KENNEL_HISTOGRAM_H
#define KENNEL_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BINS = 2048, HISTOGRAM_EXPONENT_MOST = 50 };

/* Zeroed: empty. */
struct histogram {
    int exponent;   /* k, once there are bins */
    bool below;     /* an entry below 0 was seen */
    float most;     /* the largest absolute entry */
    uint64_t *bins; /* owned; [HISTOGRAM_BINS]: bin b is [b, b + 1) 2^k / BINS. NULL: all were 0 */
};

void histogram_fini(struct histogram *h);
/* low <= 0 <= high: the extremes of data, at most 2^(HISTOGRAM_EXPONENT_MOST - 1) away; entries
 * that are not finite count as zeros. false: no memory. */
bool histogram_count(struct histogram *h, const float *data, size_t count, float low, float high);
bool histogram_add(struct histogram *h, const struct histogram *other);

/* The bound of least mean square error when entries are rounded to the given number of steps up to
 * it and cut there. 0 when empty. */
double histogram_least_error(const struct histogram *h, int steps);
/* The bound that leaves out a ten-thousandth of the entries. */
double histogram_percentile(const struct histogram *h);

#endif

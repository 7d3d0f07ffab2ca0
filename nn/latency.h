/* latency.h -- how long a model version takes for a picture.
 *
 * Threads: measures on its caller's, with whatever priority that has. */
#ifndef KENNEL_LATENCY_H
#define KENNEL_LATENCY_H

#include "nn/classifier.h"

/* *ret_ms: the median over some twenty runs of one prepared picture on one thread, in processor
 * time, so that what else the machine does counts little. */
enum err_code latency_measure(const struct classifier *c, double *ret_ms, struct err *e) MUST_USE;

#endif

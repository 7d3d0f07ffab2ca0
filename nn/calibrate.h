/* calibrate.h -- the ranges of a network's values, collected by running it on pictures.
 *
 * The fp32 plan is run and every value's absolute entries are counted (nn/histogram.h). Means are
 * summed by channel in the order of the pictures, so the same pictures in the same order
 * and the same branches give the same ranges. From a histogram the bound is chosen that costs the
 * least mean square error when entries are rounded to 8 bits and cut at it, or the one that leaves
 * a given share of the entries outside.
 * Threads: a calibration has one user at a time; several threads use a branch each. */
#ifndef KENNEL_CALIBRATE_H
#define KENNEL_CALIBRATE_H

#include "nn/plan.h"
#include "nn/ranges.h"

struct calibration;

/* Borrows the network until calibration_free(). options: as those of the plan to be made; precision
 * and batch are not read. */
enum err_code calibration_new(const struct network *n, const struct plan_options *options,
                              struct calibration **ret, struct err *e) MUST_USE;
void calibration_free(struct calibration *c);

/* Another one with the same plan, to be used at the same time; c must outlive it. */
enum err_code calibration_branch(const struct calibration *c, struct calibration **ret,
                                 struct err *e) MUST_USE;
/* As if c had seen the branch's pictures too. Sums are added in the order of the calls. */
enum err_code calibration_add_all(struct calibration *c, const struct calibration *branch,
                                  struct err *e) MUST_USE;

/* One prepared picture [3][H][W]; ret_output [plan_output_size()] is what the fp32 plan answers, or
 * NULL. */
enum err_code calibration_add(struct calibration *c, const float *picture, float *ret_output,
                              struct err *e) MUST_USE;

/* CALIBRATE_PERCENTILE leaves out a ten-thousandth of the entries other than 0. */
enum calibrate_method { CALIBRATE_MSE, CALIBRATE_PERCENTILE, CALIBRATE_EXTREME };
/* Of all pictures so far. Values that were never other than 0 have none. ERR_INTERNAL before the
 * first picture. *ret is the caller's to ranges_fini(). */
enum err_code calibration_ranges(const struct calibration *c, enum calibrate_method method,
                                 struct ranges *ret, struct err *e) MUST_USE;

#endif

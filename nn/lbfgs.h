/* lbfgs.h -- limited-memory BFGS for smooth functions of many variables.
 *
 * Nocedal & Wright, Numerical Optimization (2006): algorithm 7.4 (two-loop recursion), 7.5, and
 * 3.5/3.6 (line search for the strong Wolfe conditions, cubic interpolation). Variables are
 * float32; inner products are summed in float64. A decrease that is lost in the function's rounding
 * error does not fail the line search: f may rise by 1e-6 |f| where the slope condition holds
 * (the "approximate Wolfe" rule of Hager & Zhang 2005).
 * Threads: any; an lbfgs has one user at a time. */
#ifndef KENNEL_LBFGS_H
#define KENNEL_LBFGS_H

#include "data/base/err.h"

struct lbfgs;

/* n variables; works with 64-byte aligned arrays of its own. */
enum err_code lbfgs_new(size_t n, struct lbfgs **ret, struct err *e) MUST_USE;
void lbfgs_free(struct lbfgs *s);

/* f(x) and its gradient [n]. False asks to stop (ERR_CANCELLED). */
typedef bool (*lbfgs_function)(void *context, const float *x, double *ret_value,
                               float *ret_gradient);

struct lbfgs_result {
    double value;
    int iterations, evaluations;
    bool converged; /* the gradient's largest entry is below tolerance */
};

/* From x [n] to the minimum, in x. Ends when converged, after max_iterations, or when no step makes
 * f smaller any more. ERR_DIVERGED when f is not finite at x, ERR_CANCELLED. */
enum err_code lbfgs_run(struct lbfgs *s, lbfgs_function f, void *context, int max_iterations,
                        double tolerance, float *x, struct lbfgs_result *ret, struct err *e)
    MUST_USE;

#endif

/* folds.h -- rows dealt into parts of equal make-up, for cross-validation.
 *
 * Stratified: each class's groups are shuffled by the seed and dealt to the folds in turn, each
 * class going on where the one before it stopped, so that folds differ by one group a class at most
 * and are of equal size together. Rows of one group stay together. Threads: any; a pure function.
 */
#ifndef KENNEL_FOLDS_H
#define KENNEL_FOLDS_H

#include "data/base/err.h"

#include <stdint.h>

/* y [rows] in 0..classes-1; group [rows] or NULL (each row its own); a group is of one class, that
 * of its first row. ret_fold [rows] is filled with 0..*ret_folds-1, where *ret_folds is `wanted`,
 * or the number of groups of the smallest class that occurs if that is less. ERR_CLASS_TOO_SMALL,
 * naming the class by its index, when a class 0..classes-1 has fewer than two groups. */
enum err_code folds_deal(const int *y, const int *group, int rows, int classes, int wanted,
                         uint64_t seed, int *ret_fold, int *ret_folds, struct err *e) MUST_USE;

#endif

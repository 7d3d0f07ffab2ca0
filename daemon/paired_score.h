/* paired_score.h -- is a classifier worse than another one by less than a margin?
 *
 * The score test for the difference of two proportions in matched pairs of T. Tango, "Equivalence
 * test and confidence interval for the difference in proportions for the paired-sample design",
 * Statistics in Medicine 17 (1998), with the discordant share at its maximum likelihood under the
 * hypothesis; asymptotic. At a margin of 0 it is McNemar's asymptotic test, one-sided.
 * Threads: any; pure functions. */
#ifndef KENNEL_PAIRED_SCORE_H
#define KENNEL_PAIRED_SCORE_H

#include <stdint.h>

/* One-sided p of "right more seldom by the margin, or by more": of n pictures b were right by the
 * new one alone, c by the old one alone. n >= b + c; 0 <= margin <= 1. */
double paired_score_p(int64_t b, int64_t c, int64_t n, double margin);

#endif

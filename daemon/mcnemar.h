/* mcnemar.h -- did two classifiers that answered the same pictures differ by more than chance?
 *
 * Only discordant pairs tell: b pictures that one got right alone, c that the other did. Without a
 * difference b is Binomial(b + c, 1/2) (McNemar, Psychometrika 12, 1947). The exact conditional
 * test of Fagerland, Lydersen & Laake, BMC Medical Research Methodology 13:91 (2013).
 * Threads: any; pure functions. */
#ifndef KENNEL_MCNEMAR_H
#define KENNEL_MCNEMAR_H

#include <stdint.h>

/* Two-sided p. 1 without discordant pairs. */
double mcnemar_p(int64_t b, int64_t c);

/* The smallest difference of b and c, in pictures, whose p is at most alpha when as many pairs are
 * discordant as here (or as many more as it takes for there to be one). */
int64_t mcnemar_smallest(int64_t discordant, double alpha);

#endif

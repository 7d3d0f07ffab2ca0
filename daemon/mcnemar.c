#include "daemon/mcnemar.h"

#include <math.h>

/* Twice the lower tail of Binomial(b + c, 1/2) at min(b, c), at most 1, summed from the largest
 * term down. */
double mcnemar_p(int64_t b, int64_t c)
{
    double n = (double)(b + c), k = (double)(b < c ? b : c);
    int sign;
    double log_term =
        lgamma_r(n + 1, &sign) - lgamma_r(k + 1, &sign) - lgamma_r(n - k + 1, &sign) - n * M_LN2;
    double ratio = 1, sum = 0;
    for (double i = k; i >= 0 && ratio > 1e-18; i--) {
        sum += ratio;
        ratio *= i / (n - i + 1);
    }
    double p = 2 * exp(log_term) * sum;
    return p < 1 ? p : 1;
}

int64_t mcnemar_smallest(int64_t discordant, double alpha)
{
    while (mcnemar_p(discordant, 0) > alpha)
        discordant++;
    /* p falls as the smaller of the two does: bisect for the largest that is still unlikely. */
    int64_t unlikely = 0, likely = discordant / 2 + 1;
    while (likely - unlikely > 1) {
        int64_t middle = unlikely + (likely - unlikely) / 2;
        if (mcnemar_p(middle, discordant - middle) <= alpha)
            unlikely = middle;
        else
            likely = middle;
    }
    return discordant - 2 * unlikely;
}

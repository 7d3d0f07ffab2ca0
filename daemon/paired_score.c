#include "daemon/paired_score.h"

#include <math.h>

/* The root of A q^2 + B q + C = 0 is the likeliest share q of pictures that the old one alone has
 * right, when the true difference is -margin. */
double paired_score_p(int64_t b, int64_t c, int64_t n, double margin)
{
    double difference = -margin, pairs = (double)n, gain = (double)(b - c);
    double A = 2 * pairs;
    double B = (2 * pairs - gain) * difference - (double)(b + c);
    double C = -(double)c * difference * (1 - difference);
    double q = (sqrt(fmax(0, B * B - 4 * A * C)) - B) / (2 * A);
    double variance = pairs * (2 * q + difference * (1 - difference));
    double above = gain - pairs * difference;
    if (!(variance > 0))
        return above > 0 ? 0 : 1;
    return erfc(above / sqrt(2 * variance)) / 2;
}

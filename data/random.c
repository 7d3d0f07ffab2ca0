#include "data/random.h"

#include <math.h>

#define GAMMA 0x9e3779b97f4a7c15u

/* A network of fewer bits has too few round functions for its permutations to come up evenly. */
enum { FEISTEL_ROUNDS = 8, FEISTEL_HALF_MIN = 4 };

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct random random_stream(uint64_t seed, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t key = mix(seed + GAMMA);
    key = mix((key ^ a) + GAMMA);
    key = mix((key ^ b) + GAMMA);
    key = mix((key ^ c) + GAMMA);
    return (struct random){ .state = key };
}

uint64_t random_next(struct random *r)
{
    return mix(r->state += GAMMA);
}

double random_unit(struct random *r)
{
    return (double)(random_next(r) >> 11) * 0x1p-53;
}

double random_between(struct random *r, double a, double b)
{
    return a + (b - a) * random_unit(r);
}

/* The high half of a 32 x 32 bit product; the bias is below n / 2^32. */
uint32_t random_below(struct random *r, uint32_t n)
{
    return (uint32_t)(((random_next(r) >> 32) * n) >> 32);
}

bool random_chance(struct random *r, double p)
{
    return random_unit(r) < p;
}

/* Box and Muller 1958; the second number is not kept, so that a stream has no other state. */
double random_normal(struct random *r)
{
    double radius = sqrt(-2.0 * log(1.0 - random_unit(r)));
    return radius * cos(2.0 * M_PI * random_unit(r));
}

/* log of a Gamma(a, 1) number: Marsaglia, Tsang 2000; below 1 by their boost. In logarithms,
 * because with a small a the number itself is smaller than a double can be. */
static double log_gamma(struct random *r, double a)
{
    if (a < 1.0)
        return log_gamma(r, a + 1.0) + log(1.0 - random_unit(r)) / a;
    double d = a - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = random_normal(r), v = 1.0 + c * x;
        if (v <= 0.0)
            continue;
        v = v * v * v;
        if (log(1.0 - random_unit(r)) < 0.5 * x * x + d - d * v + d * log(v))
            return log(d * v);
    }
}

double random_beta(struct random *r, double a)
{
    double first = log_gamma(r, a), second = log_gamma(r, a);
    return 1.0 / (1.0 + exp(second - first));
}

static uint64_t feistel(uint64_t key, unsigned half, uint64_t x)
{
    uint64_t mask = ((uint64_t)1 << half) - 1, left = x >> half, right = x & mask;
    for (uint64_t round = 0; round < FEISTEL_ROUNDS; round++) {
        uint64_t next = left ^ (mix(key + mix(right + (round + 1) * GAMMA)) & mask);
        left = right;
        right = next;
    }
    return left << half | right;
}

uint64_t random_permute(uint64_t key, uint64_t count, uint64_t position)
{
    unsigned half = FEISTEL_HALF_MIN;
    while (half < 32 && (uint64_t)1 << (2 * half) < count)
        half++;
    do
        position = feistel(key, half, position);
    while (position >= count);
    return position;
}

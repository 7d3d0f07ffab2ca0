/* random.h -- random numbers that are a function of what they are for.
 *
 * A stream is named by a seed and up to three numbers (an epoch, a picture, ...), so that nothing
 * depends on the order in which threads come to it. The generator is SplitMix64 (Steele, Lea,
 * Flood: Fast splittable pseudorandom number generators, OOPSLA 2014): number i is a mix of the
 * key and i. Not for secrets.
 * Threads: plain data, one owner. */
#ifndef KENNEL_RANDOM_H
#define KENNEL_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state; /* any value begins a stream */
};

struct random random_stream(uint64_t seed, uint64_t a, uint64_t b, uint64_t c);

uint64_t random_next(struct random *r);                      /* 64 even bits */
double random_unit(struct random *r);                        /* [0, 1), 53 bits */
double random_between(struct random *r, double a, double b); /* [a, b) */
uint32_t random_below(struct random *r, uint32_t n);         /* 0..n-1; n > 0 */
bool random_chance(struct random *r, double p);              /* true with probability p */
double random_normal(struct random *r);                      /* mean 0, deviation 1 */
double random_beta(struct random *r, double a);              /* Beta(a, a), a > 0 */

/* Where position (< count) goes in the permutation of 0..count-1 that key names. No memory: a
 * Feistel network over the next even power of two, walked until it lands within (Black, Rogaway:
 * Ciphers with arbitrary finite domains, CT-RSA 2002). */
uint64_t random_permute(uint64_t key, uint64_t count, uint64_t position);

#endif

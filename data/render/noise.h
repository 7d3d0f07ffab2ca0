/* noise.h -- value noise: a smooth random field over the plane, the same for a seed wherever and
 * however often it is asked.
 *
 * Numbers on the whole-numbered points, joined by a smooth step; octaves as in Perlin 1985.
 * Threads: any; pure functions. */
#ifndef KENNEL_RENDER_NOISE_H
#define KENNEL_RENDER_NOISE_H

#include <stdint.h>

uint32_t noise_hash(uint32_t seed, int x, int y);
/* -1..1, one wave about every two units. */
float noise_at(uint32_t seed, float x, float y);
/* Octaves, each of twice the frequency and `gain` times the height; about -1..1. */
float noise_octaves(uint32_t seed, float x, float y, int octaves, float gain);

#endif

#include "data/render/noise.h"

#include <math.h>

uint32_t noise_hash(uint32_t seed, int x, int y)
{
    uint32_t h = seed ^ (uint32_t)x * 0x8da6b343u ^ (uint32_t)y * 0xd8163841u;
    h = (h ^ (h >> 15)) * 0x2c1b3c6du;
    h = (h ^ (h >> 12)) * 0x297a2d39u;
    return h ^ (h >> 15);
}

static float corner(uint32_t seed, int x, int y)
{
    return (float)(noise_hash(seed, x, y) >> 8) * 0x1p-23F - 1.0F;
}

static float mix(float a, float b, float t)
{
    return a + (b - a) * t;
}

/* floorf() is a call without SSE 4.1. */
static int whole(float x)
{
    int i = (int)x;
    return (float)i > x ? i - 1 : i;
}

float noise_at(uint32_t seed, float x, float y)
{
    int ix = whole(x), iy = whole(y);
    float u = x - (float)ix, v = y - (float)iy;
    u = u * u * (3.0F - 2.0F * u);
    v = v * v * (3.0F - 2.0F * v);
    float above = mix(corner(seed, ix, iy), corner(seed, ix + 1, iy), u);
    float below = mix(corner(seed, ix, iy + 1), corner(seed, ix + 1, iy + 1), u);
    return mix(above, below, v);
}

float noise_octaves(uint32_t seed, float x, float y, int octaves, float gain)
{
    float sum = 0, height = 1, all = 0;
    for (int i = 0; i < octaves; i++) {
        sum += height * noise_at(seed + (uint32_t)i * 101u, x, y);
        all += height;
        height *= gain;
        x *= 2.03F;
        y *= 2.03F;
    }
    return 1.4F * sum / all;
}

#include "data/render/texture.h"

#include "data/render/noise.h"

#include <math.h>

static float between(struct random *r, double a, double b)
{
    return (float)random_between(r, a, b);
}

void texture_class(struct random *r, struct texture *ret)
{
    *ret = (struct texture){ .kind = (enum texture_kind)random_below(r, TEXTURE_KINDS),
                             .octaves = 1 + (int)random_below(r, 3),
                             .gain = between(r, 0.4, 0.8),
                             .waves = expf(between(r, log(3), log(14))),
                             .stretch = random_chance(r, 0.5) ? 1 : between(r, 2, 6),
                             .bend = between(r, 0.1, 0.9),
                             .sharp = between(r, 0.8, 2.5) };
}

/* The nearest of one point a square, at a random place in it (Worley 1996). */
static float nearest(uint32_t seed, float x, float y)
{
    int ix = (int)floorf(x), iy = (int)floorf(y);
    float best = 9;
    for (int j = iy - 1; j <= iy + 1; j++)
        for (int i = ix - 1; i <= ix + 1; i++) {
            uint32_t h = noise_hash(seed, i, j);
            float dx = (float)i + (float)(h & 0xffff) * 0x1p-16F - x;
            float dy = (float)j + (float)(h >> 16) * 0x1p-16F - y;
            best = fminf(best, dx * dx + dy * dy);
        }
    return sqrtf(best);
}

/* About -1..1. */
static float field(const struct texture *t, uint32_t seed, float u, float v)
{
    switch (t->kind) {
    case TEXTURE_CLOUDS:
    case TEXTURE_KINDS:
        return noise_octaves(seed, u, v, t->octaves, t->gain);
    case TEXTURE_RIDGES:
        return 1 - 3 * fabsf(noise_octaves(seed, u, v, t->octaves, t->gain));
    case TEXTURE_PATCHES:
        return floorf(3 * noise_octaves(seed, u, v, t->octaves, t->gain) + 0.5F) / 2;
    case TEXTURE_STRIPES:
        return sinf(6.2832F *
                    (v + t->bend * noise_octaves(seed, 0.4F * u, 0.4F * v, t->octaves, t->gain)));
    case TEXTURE_CELLS:
        return 2.4F * nearest(seed, u + t->bend * noise_at(seed, u, v), v) - 1;
    }
    return 0;
}

void texture_draw(const struct texture *t, struct random *r, struct canvas *c)
{
    uint32_t seed = (uint32_t)random_next(r);
    float from[3], until[3], angle = between(r, 0, 2 * M_PI), hue = between(r, 0, 1);
    float scale = t->waves / (float)c->size * between(r, 0.8, 1.25);
    float cosine = cosf(angle) * scale, sine = sinf(angle) * scale;
    canvas_hsv(hue, between(r, 0, 0.9), between(r, 0.05, 0.5), from);
    canvas_hsv(hue + between(r, -0.3, 0.3), between(r, 0, 0.9), between(r, 0.55, 1), until);
    bool inverse = random_chance(r, 0.5);
    for (int y = 0; y < c->size; y++)
        for (int x = 0; x < c->size; x++) {
            float u = (cosine * (float)x + sine * (float)y) / t->stretch + 400;
            float v = cosine * (float)y - sine * (float)x + 400;
            float at = canvas_clamp(0.5F + 0.5F * t->sharp * field(t, seed, u, v), 0, 1);
            at = inverse ? 1 - at : at;
            for (size_t k = 0; k < 3; k++)
                c->rgb[3 * ((size_t)y * (size_t)c->size + (size_t)x) + k] =
                    from[k] + at * (until[k] - from[k]);
        }
}

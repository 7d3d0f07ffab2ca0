#include "data/render/leaves.h"

#include "data/render/noise.h"

#include <math.h>
#include <string.h>

enum { LEAVES_MAX = 260, FILLINGS = 4 };
enum filling { FILLING_FLAT, FILLING_STRIPES, FILLING_SHADED, FILLING_GRAIN };

static float between(struct random *r, double a, double b)
{
    return (float)random_between(r, a, b);
}

void leaves_class(struct random *r, struct leaves *ret)
{
    *ret = (struct leaves){ .lobes = random_chance(r, 0.5) ? 2 + (int)random_below(r, 5) : 0,
                            .lobe = between(r, 0.25, 0.5),
                            .corner = random_chance(r, 0.5) ? 1 : between(r, 0, 0.3),
                            .stretch = random_chance(r, 0.4) ? 1 : between(r, 0.2, 0.7),
                            .hollow = random_chance(r, 0.35) ? between(r, 0.45, 0.75) : 0,
                            .turn = random_chance(r, 0.4) ? between(r, 0, 0.3) : (float)M_PI,
                            .small = between(r, 0.03, 0.12),
                            .power = between(r, 1.2, 3),
                            .filling = (int)random_below(r, FILLINGS) };
}

struct leaf {
    float x, y, size, cosine, sine, phase;
    float rgb[3];
    uint32_t seed;
};

static struct leaf draw_leaf(const struct leaves *l, struct random *r, float direction, float side,
                             float scale, float hue)
{
    float angle = direction + between(r, -1, 1) * l->turn;
    /* The inverse of the power law's distribution between small and 0.45 of the side. */
    float a = powf(l->small, 1 - l->power), b = powf(0.45F, 1 - l->power);
    float size = powf(a + (b - a) * between(r, 0, 1), 1 / (1 - l->power));
    struct leaf f = { .x = side * between(r, -0.05, 1.05),
                      .y = side * between(r, -0.05, 1.05),
                      .size = fmaxf(1.5F, side * scale * size),
                      .cosine = cosf(angle),
                      .sine = sinf(angle),
                      .phase = between(r, 0, 6.28),
                      .seed = (uint32_t)random_next(r) };
    canvas_hsv(hue + 0.25F * (float)random_normal(r), between(r, 0.05, 0.9), between(r, 0.1, 1),
               f.rgb);
    return f;
}

/* Distance from the middle, 1 on the outline. */
static float outline(const struct leaves *l, float u, float v)
{
    v /= l->stretch;
    float disc = sqrtf(u * u + v * v), square = fmaxf(fabsf(u), fabsf(v));
    float far = square + l->corner * (disc - square);
    if (l->lobes == 0 || disc < 1e-3F)
        return far;
    /* cos(lobes * angle) as the real part of a power. */
    float re = 1, im = 0, cosine = u / disc, sine = v / disc;
    for (int k = 0; k < l->lobes; k++) {
        float next = re * cosine - im * sine;
        im = re * sine + im * cosine;
        re = next;
    }
    return far / (1 - l->lobe + l->lobe * re + 1e-3F);
}

static float fill(const struct leaves *l, const struct leaf *f, float u, float v, float far)
{
    switch ((enum filling)l->filling) {
    case FILLING_FLAT:
        return 1;
    case FILLING_STRIPES:
        return (u * 5 + f->phase) - floorf(u * 5 + f->phase) < 0.5F ? 1 : 0.55F;
    case FILLING_SHADED:
        return 1.15F - 0.6F * far;
    case FILLING_GRAIN:
        return 1 + 0.4F * noise_at(f->seed, u * 7, v * 7);
    }
    return 1;
}

/* Paints what is not yet covered; returns how many pixels that were. covered is a byte a pixel. */
static int paint(const struct leaves *l, const struct leaf *f, struct canvas *c, uint8_t *covered)
{
    int painted = 0, size = c->size;
    int left = (int)fmaxf(0, f->x - 1.5F * f->size), top = (int)fmaxf(0, f->y - 1.5F * f->size);
    int right = (int)fminf((float)(size - 1), f->x + 1.5F * f->size);
    int bottom = (int)fminf((float)(size - 1), f->y + 1.5F * f->size);
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            size_t i = (size_t)y * (size_t)size + (size_t)x;
            if (covered[i])
                continue;
            float dx = ((float)x - f->x) / f->size, dy = ((float)y - f->y) / f->size;
            float u = f->cosine * dx + f->sine * dy, v = f->cosine * dy - f->sine * dx;
            float far = outline(l, u, v);
            if (!(far >= l->hollow && far < 1))
                continue;
            float light = fill(l, f, u, v, far);
            for (size_t k = 0; k < 3; k++)
                c->rgb[3 * i + k] = f->rgb[k] * light;
            covered[i] = 1;
            painted++;
        }
    return painted;
}

void leaves_draw(const struct leaves *l, struct random *r, struct canvas *c)
{
    size_t pixels = (size_t)c->size * (size_t)c->size;
    uint8_t *covered = c->bytes; /* not in use before canvas_show() */
    memset(covered, 0, pixels);
    float direction = between(r, 0, 2 * M_PI), scale = between(r, 0.8, 1.25),
          hue = between(r, 0, 1);
    float ground[3];
    canvas_hsv(between(r, 0, 1), between(r, 0, 0.5), between(r, 0, 0.6), ground);
    for (size_t i = 0; i < 3 * pixels; i++)
        c->rgb[i] = ground[i % 3];
    /* From the front to the back, so that most pixels are drawn once. */
    int left = (int)pixels;
    for (int i = 0; i < LEAVES_MAX && left > (int)pixels / 50; i++) {
        struct leaf f = draw_leaf(l, r, direction, (float)c->size, scale, hue);
        left -= paint(l, &f, c, covered);
    }
}

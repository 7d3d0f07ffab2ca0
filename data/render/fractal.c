#include "data/render/fractal.h"

#include <math.h>
#include <string.h>

enum { WARM_UP = 24, SCOUTS = 400, POINTS_PER_PIXEL_PERCENT = 120 };

static float between(struct random *r, double a, double b)
{
    return (float)random_between(r, a, b);
}

void fractal_class(struct random *r, struct fractal *ret)
{
    struct fractal f = { .count = 2 + (int)random_below(r, FRACTAL_MAPS_MAX - 1) };
    float sum = 0, whole = 0;
    for (int i = 0; i < f.count; i++) {
        struct fractal_map *m = &f.maps[i];
        m->large = between(r, 0.35, 1);
        m->small = m->large * between(r, 0.2, 1);
        m->turn = between(r, -M_PI, M_PI);
        m->before = between(r, -M_PI, M_PI);
        m->flip = random_chance(r, 0.5) ? 1 : -1;
        m->x = between(r, -1, 1);
        m->y = between(r, -1, 1);
        m->colour = random_chance(r, 0.5) ? between(r, 0, 0.3) : between(r, 0.7, 1);
        sum += m->large + 2 * m->small;
    }
    float target = 0.5F * (5 + between(r, 0, 1) + (float)f.count);
    for (int i = 0; i < f.count; i++) {
        struct fractal_map *m = &f.maps[i];
        m->large = fminf(0.95F, m->large * target / sum);
        m->small = fminf(m->large, m->small * target / sum);
        m->weight = m->large * m->small + 0.02F;
        whole += m->weight;
    }
    for (int i = 0; i < f.count; i++)
        f.maps[i].weight /= whole;
    *ret = f;
}

struct affine {
    float a, b, c, d, x, y, colour;
    uint32_t below; /* taken by draws of 24 bits below this and not below the one before */
};

/* The instance's own maps: near the class's. */
static void jitter(const struct fractal *f, struct random *r, struct affine *ret)
{
    float sum = 0;
    for (int i = 0; i < f->count; i++) {
        const struct fractal_map *m = &f->maps[i];
        float large = fminf(0.96F, m->large * between(r, 0.95, 1.05));
        float small = fminf(0.96F, m->small * between(r, 0.95, 1.05));
        float turn = m->turn + between(r, -0.06, 0.06), before = m->before;
        float ct = cosf(turn), st = sinf(turn), cb = cosf(before), sb = sinf(before);
        sum += m->weight;
        ret[i] = (struct affine){ .a = ct * large * cb - st * small * m->flip * sb,
                                  .b = -ct * large * sb - st * small * m->flip * cb,
                                  .c = st * large * cb + ct * small * m->flip * sb,
                                  .d = -st * large * sb + ct * small * m->flip * cb,
                                  .x = m->x + between(r, -0.05, 0.05),
                                  .y = m->y + between(r, -0.05, 0.05),
                                  .colour = m->colour,
                                  .below = (uint32_t)(sum * 0x1p24F) };
    }
    ret[f->count - 1].below = 1u << 24;
}

struct point {
    float x, y, colour;
};

static void step(const struct affine *maps, uint32_t draw, struct point *p)
{
    const struct affine *m = maps;
    while (draw >= m->below)
        m++;
    float x = m->a * p->x + m->b * p->y + m->x;
    p->y = m->c * p->x + m->d * p->y + m->y;
    p->x = x;
    p->colour = 0.5F * (p->colour + m->colour);
}

/* From the attractor's coordinates to pixels. */
struct frame {
    float xx, xy, yx, yy, x, y;
};

static struct frame draw_frame(const struct affine *maps, struct random *r, int size)
{
    struct point p = { 0 };
    double x = 0, y = 0, squares = 0;
    for (int i = 0; i < WARM_UP + SCOUTS; i++) {
        step(maps, (uint32_t)(random_next(r) >> 40), &p);
        if (i < WARM_UP)
            continue;
        x += (double)p.x;
        y += (double)p.y;
        squares += (double)(p.x * p.x + p.y * p.y);
    }
    x /= SCOUTS;
    y /= SCOUTS;
    double spread = sqrt(fmax(squares / SCOUTS - x * x - y * y, 1e-6));
    float side = (float)size, scale = side * between(r, 0.24, 0.4) / (float)spread;
    float angle = between(r, 0, 2 * M_PI), mirror = random_chance(r, 0.5) ? 1 : -1;
    struct frame f = { .xx = scale * cosf(angle) * mirror,
                       .xy = -scale * sinf(angle),
                       .yx = scale * sinf(angle) * mirror,
                       .yy = scale * cosf(angle) };
    f.x = side * between(r, 0.36, 0.64) - f.xx * (float)x - f.xy * (float)y;
    f.y = side * between(r, 0.36, 0.64) - f.yx * (float)x - f.yy * (float)y;
    return f;
}

/* A point covers a pixel and its right and lower neighbours by its fraction, so that shapes are
 * smooth. hits[2 i] is how often, hits[2 i + 1] the sum of colours. */
static void splat(float *hits, int size, float x, float y, float colour)
{
    if (!(x >= 0 && y >= 0 && x < (float)(size - 1) && y < (float)(size - 1)))
        return;
    int ix = (int)x, iy = (int)y;
    float u = x - (float)ix, v = y - (float)iy;
    float *at = hits + 2 * ((size_t)iy * (size_t)size + (size_t)ix);
    float *below = at + 2 * (size_t)size;
    const float share[4] = { (1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v };
    float *const cells[4] = { at, at + 2, below, below + 2 };
    for (int k = 0; k < 4; k++) {
        cells[k][0] += share[k];
        cells[k][1] += share[k] * colour;
    }
}

void fractal_draw(const struct fractal *f, struct random *r, struct canvas *c)
{
    struct affine maps[FRACTAL_MAPS_MAX];
    jitter(f, r, maps);
    struct frame to = draw_frame(maps, r, c->size);
    size_t pixels = (size_t)c->size * (size_t)c->size;
    float *hits = c->spare;
    memset(hits, 0, 2 * pixels * sizeof *hits);

    struct point p = { 0 };
    int points = (int)(pixels * POINTS_PER_PIXEL_PERCENT / 100);
    for (int i = 0; i < points + WARM_UP; i++) {
        step(maps, (uint32_t)(random_next(r) >> 40), &p);
        if (i >= WARM_UP)
            splat(hits, c->size, to.xx * p.x + to.xy * p.y + to.x, to.yx * p.x + to.yy * p.y + to.y,
                  p.colour);
    }

    float from[3], until[3], hue = between(r, 0, 1), dense = between(r, 0.8, 3);
    canvas_hsv(hue, between(r, 0.2, 1), between(r, 0.25, 1), from);
    canvas_hsv(hue + between(r, 0.1, 0.6), between(r, 0.2, 1), between(r, 0.25, 1), until);
    for (size_t i = 0; i < pixels; i++) {
        float hit = hits[2 * i];
        if (hit <= 0)
            continue;
        float cover = fminf(1, dense * hit), at = hits[2 * i + 1] / hit;
        float light = 0.7F + 0.3F * fminf(1, 0.25F * hit);
        for (size_t k = 0; k < 3; k++) {
            float colour = light * (from[k] + at * (until[k] - from[k]));
            c->rgb[3 * i + k] += cover * (colour - c->rgb[3 * i + k]);
        }
    }
}

#include "data/render/marks.h"

#include <math.h>

enum { STEPS = 24, BRANCHES_MAX = 12 };

static float between(struct random *r, double a, double b)
{
    return (float)random_between(r, a, b);
}

void marks_class(struct random *r, struct marks *ret)
{
    bool blob = random_chance(r, 0.4);
    *ret = (struct marks){ .blob = blob,
                           .look = (enum marks_look)random_below(r, MARKS_LOOKS),
                           .count = 1 + (int)random_below(r, random_chance(r, 0.5) ? 2 : 6),
                           .size = blob ? between(r, 0.04, 0.2) : between(r, 0.12, 0.8),
                           .width = between(r, 0.5, 2.5),
                           .bend = random_chance(r, 0.5) ? 0 : between(r, -3, 3),
                           .wander = random_chance(r, 0.5) ? 0 : between(r, 0.05, 0.6),
                           .branches = random_chance(r, 0.6) ? 0 : between(r, 1, 6),
                           .taper = random_chance(r, 0.5) ? 1 : between(r, 0.1, 0.6),
                           .lobes = random_chance(r, 0.5) ? 0 : 2 + (int)random_below(r, 6),
                           .lobe = between(r, 0.15, 0.5),
                           .stretch = random_chance(r, 0.5) ? 1 : between(r, 0.25, 0.7),
                           .hollow = random_chance(r, 0.7) ? 0 : between(r, 0.5, 0.85),
                           .soft = random_chance(r, 0.5) ? between(r, 0.1, 0.4) : 0.9F,
                           .contrast = between(r, 0.3, 0.8) };
}

/* How far a pixel is from the marks, in widths or radii, and on which side of the nearest: the two
 * halves of c->spare. */
struct field {
    float *far, *side; /* [size][size] */
    int size;
};

static int within(const struct field *f, float at)
{
    return at < 0 ? 0 : at >= (float)f->size ? f->size - 1 : (int)at;
}

static void note(const struct field *f, size_t at, float far, float side)
{
    if (far < f->far[at]) {
        f->far[at] = far;
        f->side[at] = side;
    }
}

static void add_segment(const struct field *f, float ax, float ay, float bx, float by, float width)
{
    float dx = bx - ax, dy = by - ay, square = dx * dx + dy * dy + 1e-6F, reach = 3 * width + 1;
    int left = within(f, fminf(ax, bx) - reach), right = within(f, fmaxf(ax, bx) + reach);
    int top = within(f, fminf(ay, by) - reach), bottom = within(f, fmaxf(ay, by) + reach);
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            float px = (float)x - ax, py = (float)y - ay;
            float t = canvas_clamp((px * dx + py * dy) / square, 0, 1);
            float ex = px - t * dx, ey = py - t * dy;
            note(f, (size_t)y * (size_t)f->size + (size_t)x, sqrtf(ex * ex + ey * ey) / width,
                 (dx * ey - dy * ex) / (sqrtf(square) * width));
        }
}

static void add_line(const struct marks *m, struct random *r, const struct field *f, float x,
                     float y, float angle, float length, float width, int *left)
{
    float step = length / STEPS;
    for (int i = 0; i < STEPS; i++) {
        float share = (float)i / STEPS;
        float to_x = x + step * cosf(angle), to_y = y + step * sinf(angle);
        add_segment(f, x, y, to_x, to_y, width * (1 + (m->taper - 1) * share));
        x = to_x;
        y = to_y;
        angle += m->bend / STEPS + m->wander * (float)random_normal(r);
        if (*left > 0 && random_chance(r, (double)m->branches / STEPS)) {
            --*left;
            float turn = between(r, 0.4, 1.2) * (random_chance(r, 0.5) ? 1.0F : -1.0F);
            add_line(m, r, f, x, y, angle + turn, length * between(r, 0.2, 0.5), width * 0.7F,
                     left);
        }
    }
}

static void add_blob(const struct marks *m, const struct field *f, float x, float y, float angle,
                     float radius, float phase)
{
    float reach = 2.5F * radius, cosine = cosf(angle), sine = sinf(angle);
    int left = within(f, x - reach), right = within(f, x + reach);
    int top = within(f, y - reach), bottom = within(f, y + reach);
    for (int row = top; row <= bottom; row++)
        for (int column = left; column <= right; column++) {
            float dx = ((float)column - x) / radius, dy = ((float)row - y) / radius;
            float u = cosine * dx + sine * dy, v = (cosine * dy - sine * dx) / m->stretch;
            float rim = 1 + m->lobe * cosf((float)m->lobes * atan2f(v, u) + phase) *
                                (m->lobes ? 1.0F : 0.0F);
            float far = sqrtf(u * u + v * v) / rim;
            if (far < m->hollow)
                far = 2 * m->hollow - far + (1 - m->hollow);
            note(f, (size_t)row * (size_t)f->size + (size_t)column, far, u);
        }
}

static void add_marks(const struct marks *m, struct random *r, const struct field *f)
{
    float side = (float)f->size, scale = between(r, 0.7, 1.4), turn = between(r, 0, 2 * M_PI);
    float width = fmaxf(0.5F, m->width * scale * side / 128);
    for (int i = 0; i < m->count; i++) {
        float x = side * between(r, 0.1, 0.9), y = side * between(r, 0.1, 0.9);
        float angle = turn + (m->count > 2 ? between(r, -0.3, 0.3) : between(r, 0, 2 * M_PI));
        float size = side * m->size * scale * between(r, 0.75, 1.3);
        int left = BRANCHES_MAX;
        if (m->blob)
            add_blob(m, f, x, y, angle, size, between(r, 0, 2 * M_PI));
        else
            add_line(m, r, f, x - 0.5F * size * cosf(angle), y - 0.5F * size * sinf(angle), angle,
                     size, width, &left);
    }
}

/* A pixel in the mark's look. */
static void shade(const struct marks *m, float contrast, const float colour[3], float far,
                  float side, float rgb[3])
{
    float in = 1 - canvas_step(1 - m->soft, 1 + m->soft, far), factor = 1, cover = 0;
    switch (m->look) {
    case MARKS_DARK:
        factor = 1 - contrast * in;
        break;
    case MARKS_LIGHT:
        factor = 1 + contrast * in;
        break;
    case MARKS_RIMMED:
        factor = 1 - contrast * in + 0.7F * contrast * expf(-8 * (far - 1.3F) * (far - 1.3F));
        break;
    case MARKS_RELIEF:
        factor = 1 + contrast * canvas_clamp(side, -1, 1) * (1 - canvas_step(0.5F, 1.6F, far));
        break;
    case MARKS_TINT:
        factor = 1 - 0.5F * contrast * in;
        cover = 0.6F * contrast * in;
        break;
    case MARKS_COVER:
    case MARKS_LOOKS:
        cover = in;
        break;
    }
    for (size_t k = 0; k < 3; k++) {
        rgb[k] *= factor;
        rgb[k] += cover * (colour[k] - rgb[k]);
    }
}

void marks_draw(const struct marks *m, struct random *r, struct canvas *c)
{
    size_t pixels = (size_t)c->size * (size_t)c->size;
    struct field f = { .far = c->spare, .side = c->spare + pixels, .size = c->size };
    for (size_t i = 0; i < pixels; i++) {
        f.far[i] = 1e9F;
        f.side[i] = 0;
    }
    add_marks(m, r, &f);
    float contrast = m->contrast * between(r, 0.8, 1.2), colour[3];
    canvas_hsv(between(r, 0, 1), between(r, 0, 0.6), between(r, 0.02, 0.9), colour);
    for (size_t i = 0; i < pixels; i++) {
        if (f.far[i] > 4)
            continue;
        shade(m, contrast, colour, f.far[i], f.side[i], c->rgb + 3 * i);
    }
}

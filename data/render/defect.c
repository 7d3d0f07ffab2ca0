#include "data/render/defect.h"

#include "data/render/canvas.h"
#include "data/render/noise.h"

#include <math.h>

/* Lengths are in parts of the picture's side, widths in units of 1/256 of it. */

struct point {
    float x, y;
};

static float between(struct random *r, double a, double b)
{
    return (float)random_between(r, a, b);
}

/* Anywhere but at the rim. */
static struct point draw_place(struct random *r, const struct sheet *s, double margin)
{
    float side = (float)s->size;
    float x = side * between(r, margin, 1 - margin), y = side * between(r, margin, 1 - margin);
    return (struct point){ x, y };
}

static void clear_nearest(struct sheet *s)
{
    for (size_t i = 0; i < (size_t)s->size * (size_t)s->size; i++)
        s->nearest[i] = 1e9F;
}

static int within(const struct sheet *s, float at)
{
    return at < 0 ? 0 : at >= (float)s->size ? s->size - 1 : (int)at;
}

/* Lowers nearest to the distance from a line, in widths of it, as far as `reach` widths. The width
 * may change from end to end. */
static void stroke(struct sheet *s, struct point a, struct point b, float width_a, float width_b,
                   float reach)
{
    float most = reach * (width_a > width_b ? width_a : width_b);
    float dx = b.x - a.x, dy = b.y - a.y, square = dx * dx + dy * dy;
    int left = within(s, fminf(a.x, b.x) - most), right = within(s, fmaxf(a.x, b.x) + most);
    int top = within(s, fminf(a.y, b.y) - most), bottom = within(s, fmaxf(a.y, b.y) + most);
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            float px = (float)x - a.x, py = (float)y - a.y;
            float t = square > 0 ? canvas_clamp((px * dx + py * dy) / square, 0, 1) : 0;
            float ex = px - t * dx, ey = py - t * dy;
            float far = sqrtf(ex * ex + ey * ey) / (width_a + (width_b - width_a) * t);
            float *nearest = &s->nearest[(size_t)y * (size_t)s->size + (size_t)x];
            *nearest = far < *nearest ? far : *nearest;
        }
}

static void tint(struct sheet *s, size_t at, float share, const float rgb[3])
{
    for (size_t c = 0; c < 3; c++)
        s->albedo[3 * at + c] += share * (rgb[c] - s->albedo[3 * at + c]);
}

static void darken(struct sheet *s, size_t at, float factor)
{
    for (size_t c = 0; c < 3; c++)
        s->albedo[3 * at + c] *= factor;
}

/* Straight or a wide bow, even in width, tapering at its ends: a tool slid over it. The groove
 * shows by its relief, and by bare material that is lighter or darker. */
static void draw_scratch(struct random *r, struct sheet *s)
{
    clear_nearest(s);
    float unit = (float)s->size / 256, angle = between(r, 0, 2 * M_PI);
    struct point from = draw_place(r, s, 0.2);
    int lines = 1 + (int)random_below(r, 3);
    for (int i = 0; i < lines; i++) {
        float length = (float)s->size * between(r, 0.3, 0.75), bend = between(r, -1.2, 1.2);
        float width = unit * between(r, 1.1, 2.4);
        int steps = 24;
        float turned = angle - bend / 2 + between(r, -0.12, 0.12);
        struct point at = { from.x - 0.5F * length * cosf(angle) + unit * between(r, -12, 12),
                            from.y - 0.5F * length * sinf(angle) + unit * between(r, -12, 12) };
        for (int k = 0; k < steps; k++) {
            struct point next = { at.x + length / (float)steps * cosf(turned),
                                  at.y + length / (float)steps * sinf(turned) };
            float a = sinf((float)k / (float)steps * 3.1416F);
            float b = sinf((float)(k + 1) / (float)steps * 3.1416F);
            stroke(s, at, next, width * (0.35F + 0.65F * a), width * (0.35F + 0.65F * b), 3);
            at = next;
            turned += bend / (float)steps;
        }
    }
    bool light = random_chance(r, 0.65);
    float strength = between(r, 0.6, 0.95), deep = between(r, 1.0, 2.2);
    const float bare[3] = { 0.95F, 0.95F, 0.93F };
    for (size_t i = 0; i < (size_t)s->size * (size_t)s->size; i++) {
        float core = 1 - canvas_step(0.5F, 1.2F, s->nearest[i]);
        float rim = (1 - canvas_step(1.2F, 2.8F, s->nearest[i])) - core;
        if (light)
            tint(s, i, strength * core, bare);
        else
            darken(s, i, 1 - 0.8F * strength * core);
        s->height[i] += unit * deep * (0.5F * rim - core);
    }
}

/* A jagged walk that branches and thins out: material that gave way. Dark all through. */
static void walk_crack(struct random *r, struct sheet *s, struct point at, float angle,
                       float length, float width, int depth)
{
    float unit = (float)s->size / 256, gone = 0;
    while (gone < length) {
        float step = unit * between(r, 4, 11), turned = angle + between(r, -0.85, 0.85);
        struct point next = { at.x + step * cosf(turned), at.y + step * sinf(turned) };
        float a = width * (1 - 0.75F * gone / length);
        gone += step;
        float b = width * fmaxf(0.2F, 1 - 0.75F * gone / length) * between(r, 0.7, 1.2);
        stroke(s, at, next, a, b, 3);
        if (depth < 2 && random_chance(r, 0.16))
            walk_crack(r, s, next, turned + (random_chance(r, 0.5) ? 0.8F : -0.8F),
                       (length - gone) * between(r, 0.3, 0.7), b * 0.8F, depth + 1);
        at = next;
        angle += between(r, -0.2, 0.2);
    }
}

static void draw_crack(struct random *r, struct sheet *s)
{
    clear_nearest(s);
    float unit = (float)s->size / 256, angle = between(r, 0, 2 * M_PI);
    float length = (float)s->size * between(r, 0.3, 0.7);
    struct point from = draw_place(r, s, 0.3);
    from.x -= 0.5F * length * cosf(angle);
    from.y -= 0.5F * length * sinf(angle);
    walk_crack(r, s, from, angle, length, unit * between(r, 1.5, 3.0), 0);
    float dark = between(r, 0.6, 0.92);
    for (size_t i = 0; i < (size_t)s->size * (size_t)s->size; i++) {
        float core = 1 - canvas_step(0.4F, 1.3F, s->nearest[i]);
        float lip = (1 - canvas_step(1.3F, 3, s->nearest[i])) - core;
        darken(s, i, 1 - dark * core);
        s->height[i] += unit * (0.6F * lip - 0.8F * core);
        s->shine[i] *= 1 - core;
    }
}

/* Where a lump of uneven outline is: below 1 inside. stretch 1: round. */
struct lump {
    struct point at;
    float radius, cosine, sine, stretch, uneven;
    uint32_t seed;
};

static struct lump draw_lump(struct random *r, const struct sheet *s, double low, double high,
                             float uneven)
{
    float angle = between(r, 0, 2 * M_PI), radius = (float)s->size * between(r, low, high);
    struct point at = draw_place(r, s, 0.22);
    return (struct lump){ .at = at,
                          .radius = radius,
                          .cosine = cosf(angle),
                          .sine = sinf(angle),
                          .stretch = between(r, 0.6, 1),
                          .uneven = uneven,
                          .seed = (uint32_t)random_next(r) };
}

static float lump_far(const struct lump *l, float x, float y)
{
    float dx = (x - l->at.x) / l->radius, dy = (y - l->at.y) / l->radius;
    float u = l->cosine * dx + l->sine * dy, v = (l->cosine * dy - l->sine * dx) / l->stretch;
    float far = sqrtf(u * u + v * v);
    if (l->uneven > 0 && far < 4)
        far += l->uneven * noise_octaves(l->seed, u * 1.6F + 50, v * 1.6F + 50, 4, 0.55F);
    return far;
}

/* Seen by its shading alone: one side light, one dark, a soft rim. */
static void draw_dent(struct random *r, struct sheet *s)
{
    struct lump l = draw_lump(r, s, 0.09, 0.18, 0);
    float deep = l.radius * between(r, 0.42, 0.65), flat = between(r, 1.6, 3.2);
    if (random_chance(r, 0.25))
        deep = -deep; /* pressed from behind */
    for (int y = 0; y < s->size; y++)
        for (int x = 0; x < s->size; x++) {
            float far = lump_far(&l, (float)x, (float)y);
            if (far > 3.2F)
                continue;
            float bowl = expf(-powf(far, flat)), rim = expf(-12 * (far - 1.25F) * (far - 1.25F));
            s->height[(size_t)y * (size_t)s->size + (size_t)x] += deep * (0.12F * rim - bowl);
        }
}

/* Oil, rust, water, ink: another colour, soaked in, with the rim that drying leaves. No relief. */
static void draw_stain(struct random *r, struct sheet *s)
{
    struct lump l = draw_lump(r, s, 0.1, 0.24, between(r, 0.25, 0.6));
    float colour[3], strength = between(r, 0.45, 0.8), rim_strength = between(r, 0, 0.35);
    bool pale = random_chance(r, 0.35);
    canvas_hsv(random_chance(r, 0.6) ? between(r, 0.03, 0.14) : between(r, 0, 1),
               between(r, 0.1, 0.7), pale ? between(r, 0.75, 0.95) : between(r, 0.08, 0.35),
               colour);
    float soft = between(r, 0.06, 0.3);
    for (int y = 0; y < s->size; y++)
        for (int x = 0; x < s->size; x++) {
            float far = lump_far(&l, (float)x, (float)y);
            if (far > 1.6F)
                continue;
            size_t i = (size_t)y * (size_t)s->size + (size_t)x;
            float inside = 1 - canvas_step(1 - soft, 1 + soft, far);
            float rim = expf(-60 * (far - 0.93F) * (far - 0.93F));
            float patchy = 0.8F + 0.3F * noise_octaves(l.seed + 3, (float)x * 0.03F,
                                                       (float)y * 0.03F, 3, 0.6F);
            tint(s, i, canvas_clamp(inside * strength * patchy + rim * rim_strength, 0, 0.9F),
                 colour);
            s->shine[i] *= 1 - 0.6F * inside;
        }
}

/* Drilled, punched or torn through: a sharp outline and what lies behind it, in the shadow of its
 * upper edge. */
static void draw_hole(struct random *r, struct sheet *s)
{
    bool torn = random_chance(r, 0.45);
    struct lump l = draw_lump(r, s, 0.05, 0.11, torn ? between(r, 0.15, 0.35) : 0);
    float burr = between(r, 0.5, 2.0) * (float)s->size / 256, sharp = 1.2F / l.radius;
    if (!torn)
        l.stretch = between(r, 0.88, 1);
    for (int y = 0; y < s->size; y++)
        for (int x = 0; x < s->size; x++) {
            float far = lump_far(&l, (float)x, (float)y);
            if (far > 1.8F)
                continue;
            size_t i = (size_t)y * (size_t)s->size + (size_t)x;
            float inside = 1 - canvas_step(1 - sharp, 1 + sharp, far);
            float rim = expf(-40 * (far - 1.12F) * (far - 1.12F));
            s->height[i] += burr * rim - 2.5F * inside * burr;
            s->missing[i] = fmaxf(s->missing[i], inside);
        }
}

void defect_draw(enum defect d, struct random *r, struct sheet *s)
{
    switch (d) {
    case DEFECT_OK:
    case DEFECTS:
        break;
    case DEFECT_SCRATCH:
        draw_scratch(r, s);
        break;
    case DEFECT_DENT:
        draw_dent(r, s);
        break;
    case DEFECT_STAIN:
        draw_stain(r, s);
        break;
    case DEFECT_CRACK:
        draw_crack(r, s);
        break;
    case DEFECT_HOLE:
        draw_hole(r, s);
        break;
    }
}

static void draw_edge(struct random *r, struct sheet *s)
{
    float angle = between(r, 0, 2 * M_PI), side = (float)s->size;
    float nx = cosf(angle), ny = sinf(angle), from = side * between(r, 0.34, 0.5);
    for (int y = 0; y < s->size; y++)
        for (int x = 0; x < s->size; x++) {
            float out = ((float)x - side / 2) * nx + ((float)y - side / 2) * ny - from;
            size_t i = (size_t)y * (size_t)s->size + (size_t)x;
            s->missing[i] = fmaxf(s->missing[i], canvas_step(-0.8F, 0.8F, out));
        }
}

void defect_clutter(struct random *r, struct sheet *s)
{
    float unit = (float)s->size / 256;
    int specks = (int)random_below(r, 14);
    clear_nearest(s);
    for (int i = 0; i < specks; i++) {
        struct point at = draw_place(r, s, 0);
        struct point to = { at.x + unit * between(r, -2, 2), at.y + unit * between(r, -2, 2) };
        float width = unit * between(r, 0.4, 1.1);
        stroke(s, at, to, width, width, 2);
    }
    float speck = between(r, 0.05, 0.95);
    const float grey[3] = { speck, speck, speck };
    float scuff = random_chance(r, 0.5) ? between(r, 0.04, 0.12) : 0, wide = between(r, 0.01, 0.03);
    uint32_t seed = (uint32_t)random_next(r);
    for (int y = 0; y < s->size; y++)
        for (int x = 0; x < s->size; x++) {
            size_t i = (size_t)y * (size_t)s->size + (size_t)x;
            tint(s, i, 0.7F * (1 - canvas_step(0.6F, 1.4F, s->nearest[i])), grey);
            if (scuff > 0)
                darken(s, i,
                       1 + scuff * noise_octaves(seed, (float)x / unit * wide,
                                                 (float)y / unit * wide, 2, 0.5F));
        }
    if (random_chance(r, 0.3))
        draw_edge(r, s);
}

#include "data/render/material.h"

#include "data/render/canvas.h"
#include "data/render/noise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum err_code sheet_new(int size, struct sheet *ret, struct err *e)
{
    size_t pixels = (size_t)size * (size_t)size;
    struct sheet s = { .size = size,
                       .albedo = calloc(3 * pixels, sizeof(float)),
                       .height = calloc(pixels, sizeof(float)),
                       .shine = calloc(pixels, sizeof(float)),
                       .missing = calloc(pixels, sizeof(float)),
                       .nearest = calloc(pixels, sizeof(float)) };
    if (!s.albedo || !s.height || !s.shine || !s.missing || !s.nearest) {
        sheet_fini(&s);
        return err_set(e, ERR_NOMEM, "no memory for a sheet of %d x %d pixels", size, size);
    }
    *ret = s;
    return ERR_OK;
}

void sheet_fini(struct sheet *s)
{
    free(s->albedo);
    free(s->height);
    free(s->shine);
    free(s->missing);
    free(s->nearest);
    *s = (struct sheet){ 0 };
}

static float between(struct random *r, double a, double b)
{
    return (float)random_between(r, a, b);
}

/* What the three have in common: u runs along the grain, in units of 1/256 of the picture. */
struct grain {
    uint32_t seed;
    float cosine, sine, scale, u, v;
};

static struct grain draw_grain(struct random *r, int size)
{
    float angle = between(r, 0, 2 * M_PI);
    return (struct grain){ .seed = (uint32_t)random_next(r),
                           .cosine = cosf(angle),
                           .sine = sinf(angle),
                           .scale = 256.0F / (float)size / between(r, 0.75, 1.5),
                           .u = between(r, 0, 4000),
                           .v = between(r, 0, 4000) };
}

static void locate(const struct grain *g, int x, int y, float *ret_u, float *ret_v)
{
    float sx = (float)x * g->scale, sy = (float)y * g->scale;
    *ret_u = g->u + g->cosine * sx + g->sine * sy;
    *ret_v = g->v - g->sine * sx + g->cosine * sy;
}

static void put(struct sheet *s, size_t at, const float rgb[3], float light, float height,
                float shine)
{
    for (size_t c = 0; c < 3; c++)
        s->albedo[3 * at + c] = rgb[c] * light;
    s->height[at] = height;
    s->shine[at] = shine;
}

static void draw_metal(struct random *r, struct sheet *s)
{
    struct grain g = draw_grain(r, s->size);
    float rgb[3], contrast = between(r, 0.06, 0.22), fine = between(r, 0.5, 1.2);
    bool coloured = random_chance(r, 0.3); /* brass, copper, anodised */
    canvas_hsv(coloured ? between(r, 0.02, 0.16) : between(r, 0.05, 0.65),
               coloured ? between(r, 0.15, 0.45) : between(r, 0, 0.1), between(r, 0.35, 0.75), rgb);
    float band = between(r, 40, 110), middle = between(r, -60, 60), glow = between(r, 0, 0.35);
    for (int y = 0; y < s->size; y++)
        for (int x = 0; x < s->size; x++) {
            float u, v;
            locate(&g, x, y, &u, &v);
            float streak = noise_at(g.seed, u * 0.012F, v * fine) +
                           0.6F * noise_at(g.seed + 7, u * 0.03F, v * fine * 2.3F) +
                           0.5F * noise_at(g.seed + 9, u * 0.004F, v * 0.09F);
            float off = (v - g.v - 128 * (g.cosine - g.sine) - middle) / band;
            float light = 1 + contrast * streak + glow / (1 + off * off);
            put(s, (size_t)y * (size_t)s->size + (size_t)x, rgb, light, 0.25F * streak, 0.55F);
        }
}

/* Yearly rings of a log that is sawn almost along its axis, bent by noise; pores; a knot at times.
 */
static void draw_wood(struct random *r, struct sheet *s)
{
    struct grain g = draw_grain(r, s->size);
    float pale[3], dark[3], hue = between(r, 0.04, 0.12), value = between(r, 0.45, 0.85);
    float saturation = between(r, 0.25, 0.6);
    canvas_hsv(hue, saturation, value, pale);
    canvas_hsv(hue - 0.015F, saturation + 0.15F, value * between(r, 0.5, 0.8), dark);
    float rings = between(r, 0.03, 0.1), bend = between(r, 4, 22), figure = between(r, 0.5, 1.4);
    bool knot = random_chance(r, 0.3);
    float knot_u = g.u + between(r, -80, 220), knot_v = g.v + between(r, -80, 220);
    float knot_size = between(r, 8, 16);
    for (int y = 0; y < s->size; y++)
        for (int x = 0; x < s->size; x++) {
            float u, v, rgb[3];
            locate(&g, x, y, &u, &v);
            float across = v + bend * noise_octaves(g.seed, u * 0.008F, v * 0.02F, 2, 0.5F);
            float core = 0;
            if (knot) {
                float du = (u - knot_u) * 0.6F, dv = v - knot_v;
                float far = sqrtf(du * du + dv * dv);
                across += 2.2F * knot_size * expf(-far / (2 * knot_size)) * (dv > 0 ? 1.0F : -1.0F);
                core = 1 - canvas_step(0.3F * knot_size, knot_size, far);
            }
            /* Wide and narrow years; within one the wood darkens slowly and ends sharply. */
            float years =
                across * rings + 1.1F * noise_at(g.seed + 11, across * rings * 0.4F, 0.5F);
            float year = floorf(years), part = years - year;
            float ring = part * part * (1 - canvas_step(0.9F, 1, part));
            ring *= 0.65F + 0.5F * noise_at(g.seed + 13, year * 0.7F, 0.5F);
            ring = canvas_clamp(figure * ring + 0.6F * core, 0, 1);
            float pores = noise_at(g.seed + 5, u * 0.05F, v * 1.1F);
            pores = pores > 0.35F ? pores - 0.35F : 0;
            for (int c = 0; c < 3; c++)
                rgb[c] = pale[c] + (dark[c] - pale[c]) * ring;
            float light = 1 - 0.45F * pores + 0.06F * noise_at(g.seed + 3, u * 0.02F, v * 0.3F);
            put(s, (size_t)y * (size_t)s->size + (size_t)x, rgb, light, -0.5F * pores, 0.12F);
        }
}

/* Warp and weft of two yarns; which is on top depends on the weave: plain, or twill's diagonal. */
static void draw_fabric(struct random *r, struct sheet *s)
{
    struct grain g = draw_grain(r, s->size);
    float yarn[2][3], hue = between(r, 0, 1), saturation = between(r, 0, 0.6);
    float value = between(r, 0.25, 0.8), pitch = between(r, 4.5, 9);
    canvas_hsv(hue, saturation, value, yarn[0]);
    canvas_hsv(hue + between(r, -0.06, 0.06), saturation * between(r, 0.4, 1),
               canvas_clamp(value * between(r, 0.7, 1.3), 0, 0.9F), yarn[1]);
    int twill = random_chance(r, 0.5) ? 2 + (int)random_below(r, 3) : 0;
    for (int y = 0; y < s->size; y++)
        for (int x = 0; x < s->size; x++) {
            float u, v;
            locate(&g, x, y, &u, &v);
            u += 0.8F * noise_at(g.seed, u * 0.05F, v * 0.05F);
            v += 0.8F * noise_at(g.seed + 1, u * 0.05F, v * 0.05F);
            float a = u / pitch, b = v / pitch, ia = floorf(a), ib = floorf(b);
            int i = (int)ia, j = (int)ib;
            int on_top = twill ? (i + j) % (twill + 1) == 0 : (i + j) & 1;
            float along = on_top ? a - ia - 0.5F : b - ib - 0.5F;
            float over = on_top ? b - ib - 0.5F : a - ia - 0.5F;
            float round = 1 - 4 * along * along, rise = 1 - 2.4F * over * over;
            float fuzz = noise_at(g.seed + 2, u * 0.9F, v * 0.9F);
            float light = 0.5F + 0.5F * round * rise + 0.1F * fuzz +
                          0.08F * noise_at(g.seed + 3, u * 0.03F, v * 0.03F);
            put(s, (size_t)y * (size_t)s->size + (size_t)x, yarn[on_top], light,
                0.6F * round * rise + 0.2F * fuzz, 0);
        }
}

void material_draw(enum material m, struct random *r, struct sheet *s)
{
    memset(s->missing, 0, (size_t)s->size * (size_t)s->size * sizeof *s->missing);
    if (m == MATERIAL_METAL)
        draw_metal(r, s);
    else if (m == MATERIAL_WOOD)
        draw_wood(r, s);
    else
        draw_fabric(r, s);
}

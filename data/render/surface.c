#include "data/render/surface.h"

#include "data/render/noise.h"

#include <math.h>

/* Apart from the other sets' streams. */
enum { STREAM_SURFACE = 11 };

static const char *const labels[DEFECTS] = { "ok", "scratch", "dent", "stain", "crack", "hole" };

enum err_code surface_painter_init(int size, struct surface_painter *ret, struct err *e)
{
    struct surface_painter p = { 0 };
    enum err_code code = sheet_new(size, &p.sheet, e);
    if (code == ERR_OK)
        code = canvas_new(size, &p.canvas, e);
    if (code != ERR_OK) {
        surface_painter_fini(&p);
        return code;
    }
    *ret = p;
    return ERR_OK;
}

void surface_painter_fini(struct surface_painter *p)
{
    sheet_fini(&p->sheet);
    canvas_fini(&p->canvas);
}

const char *surface_label(enum defect d)
{
    return labels[d];
}

enum defect surface_class(uint64_t index)
{
    return (enum defect)(index % DEFECTS);
}

static float between(struct random *r, double a, double b)
{
    return (float)random_between(r, a, b);
}

/* One lamp far away, brighter on one side of the picture, and light from everywhere. */
struct light {
    float x, y, z;    /* to the lamp */
    float hx, hy, hz; /* half way between lamp and camera, for the shine */
    float around;     /* share that comes from everywhere */
    float slope_x, slope_y, falloff;
    float tint[3];
    float behind[3]; /* what shows where material is missing */
};

static struct light draw_light(struct random *r)
{
    float azimuth = between(r, 0, 2 * M_PI), height = between(r, 0.5, 1.0);
    struct light l = { .x = cosf(azimuth) * cosf(height),
                       .y = sinf(azimuth) * cosf(height),
                       .z = sinf(height),
                       .around = between(r, 0.25, 0.5),
                       .slope_x = between(r, -0.35, 0.35),
                       .slope_y = between(r, -0.35, 0.35),
                       .falloff = between(r, 0, 0.5) };
    float length = sqrtf(l.x * l.x + l.y * l.y + (l.z + 1) * (l.z + 1));
    l.hx = l.x / length;
    l.hy = l.y / length;
    l.hz = (l.z + 1) / length;
    float warm = between(r, -0.08, 0.08),
          behind = between(r, 0, 1) < 0.75F ? between(r, 0.01, 0.14) : between(r, 0.5, 0.95);
    l.tint[0] = 1 + warm;
    l.tint[1] = 1;
    l.tint[2] = 1 - warm;
    canvas_hsv(between(r, 0, 1), between(r, 0, 0.12), behind, l.behind);
    return l;
}

static float at_edge(const struct sheet *s, int x, int y)
{
    x = x < 0 ? 0 : x >= s->size ? s->size - 1 : x;
    y = y < 0 ? 0 : y >= s->size ? s->size - 1 : y;
    return s->height[(size_t)y * (size_t)s->size + (size_t)x];
}

static void shade(const struct light *l, const struct sheet *s, struct canvas *c)
{
    float side = (float)s->size, unit = side / 256;
    for (int y = 0; y < s->size; y++)
        for (int x = 0; x < s->size; x++) {
            size_t i = (size_t)y * (size_t)s->size + (size_t)x;
            float nx = 0.5F * (at_edge(s, x - 1, y) - at_edge(s, x + 1, y)) / unit;
            float ny = 0.5F * (at_edge(s, x, y - 1) - at_edge(s, x, y + 1)) / unit;
            float scale = 1 / sqrtf(nx * nx + ny * ny + 1);
            float facing = (nx * l->x + ny * l->y + l->z) * scale / l->z;
            float lit = l->around + (1 - l->around) * (facing > 0 ? facing : 0);
            float gleam = (nx * l->hx + ny * l->hy + l->hz) * scale;
            gleam = gleam > 0 ? gleam * gleam : 0;
            gleam = gleam * gleam * gleam * gleam; /* ^8 */
            float px = (float)x / side - 0.5F, py = (float)y / side - 0.5F;
            float field =
                1 + l->slope_x * px + l->slope_y * py - l->falloff * (px * px + py * py) * 2;
            for (size_t k = 0; k < 3; k++) {
                float part = s->albedo[3 * i + k] * lit + 0.3F * s->shine[i] * gleam * gleam;
                part = field * l->tint[k] * part;
                c->rgb[3 * i + k] = part + s->missing[i] * (l->behind[k] - part);
            }
        }
}

void surface_draw(struct surface_painter *p, uint64_t seed, uint64_t index)
{
    struct random r = random_stream(seed, index, 0, STREAM_SURFACE);
    enum defect d = surface_class(index);
    material_draw((enum material)random_below(&r, MATERIALS), &r, &p->sheet);
    defect_clutter(&r, &p->sheet);
    int count = random_chance(&r, 0.25) ? 2 : 1;
    for (int i = 0; i < count; i++)
        defect_draw(d, &r, &p->sheet);
    struct light l = draw_light(&r);
    shade(&l, &p->sheet, &p->canvas);
    canvas_blur(&p->canvas, (float)p->canvas.size / 256 * between(&r, 0, 1.1));
    canvas_show(&p->canvas, &r, between(&r, 0.8, 1.2), between(&r, 0.5, 5));
}

void surface_draw_ground(struct surface_painter *p, struct random *r)
{
    material_draw((enum material)random_below(r, MATERIALS), r, &p->sheet);
    defect_clutter(r, &p->sheet);
    struct light l = draw_light(r);
    shade(&l, &p->sheet, &p->canvas);
}

#include "data/render/stream.h"

#include "data/render/fractal.h"
#include "data/render/leaves.h"
#include "data/render/marks.h"
#include "data/render/texture.h"

#include <stdlib.h>

/* Apart from the other sets' streams. */
enum { STREAM_CLASS = 12, STREAM_PICTURE = 13 };

enum family { FAMILY_FRACTAL, FAMILY_LEAVES, FAMILY_MARKS, FAMILY_TEXTURE };
enum { TURNS = 8 };

struct stream_class {
    enum family family;
    union {
        struct fractal fractal;
        struct leaves leaves;
        struct marks marks;
        struct texture texture;
    };
};

static void make_class(uint64_t seed, int number, struct stream_class *ret)
{
    static const enum family turns[TURNS] = { FAMILY_FRACTAL, FAMILY_MARKS, FAMILY_MARKS,
                                              FAMILY_LEAVES,  FAMILY_MARKS, FAMILY_MARKS,
                                              FAMILY_TEXTURE, FAMILY_MARKS };
    struct random r = random_stream(seed, (uint64_t)number, 0, STREAM_CLASS);
    ret->family = turns[number % TURNS];
    if (ret->family == FAMILY_FRACTAL)
        fractal_class(&r, &ret->fractal);
    else if (ret->family == FAMILY_LEAVES)
        leaves_class(&r, &ret->leaves);
    else if (ret->family == FAMILY_MARKS)
        marks_class(&r, &ret->marks);
    else
        texture_class(&r, &ret->texture);
}

enum err_code stream_painter_init(uint64_t seed, int classes, int size, struct stream_painter *ret,
                                  struct err *e)
{
    struct stream_painter p = { .seed = seed, .classes = classes };
    p.made = calloc((size_t)classes, sizeof *p.made);
    if (!p.made)
        return err_set(e, ERR_NOMEM, "no memory for %d classes", classes);
    for (int i = 0; i < classes; i++)
        make_class(seed, i, &p.made[i]);
    enum err_code code = surface_painter_init(size, &p.surface, e);
    if (code != ERR_OK) {
        stream_painter_fini(&p);
        return code;
    }
    *ret = p;
    return ERR_OK;
}

void stream_painter_fini(struct stream_painter *p)
{
    free(p->made);
    p->made = NULL;
    surface_painter_fini(&p->surface);
}

/* Behind a fractal or marks, with at most that share of its contrast: there must be something to
 * find. */
static void draw_ground(struct random *r, struct canvas *c, double most)
{
    if (random_chance(r, 0.6)) {
        struct leaves l;
        leaves_class(r, &l);
        leaves_draw(&l, r, c);
    } else {
        struct texture t;
        texture_class(r, &t);
        texture_draw(&t, r, c);
    }
    float grey = (float)random_between(r, 0.05, 0.9),
          keep = (float)random_between(r, 0.1 * most, most);
    for (size_t i = 0; i < 3 * (size_t)c->size * (size_t)c->size; i++)
        c->rgb[i] = grey + keep * (c->rgb[i] - grey);
}

/* Brighter on one side. */
static void light(struct random *r, struct canvas *c)
{
    float slope_x = (float)random_between(r, -0.5, 0.5) / (float)c->size;
    float slope_y = (float)random_between(r, -0.5, 0.5) / (float)c->size;
    float middle = 1 - 0.5F * (float)c->size * (slope_x + slope_y);
    for (int y = 0; y < c->size; y++)
        for (int x = 0; x < c->size; x++) {
            float factor = middle + slope_x * (float)x + slope_y * (float)y;
            for (size_t k = 0; k < 3; k++)
                c->rgb[3 * ((size_t)y * (size_t)c->size + (size_t)x) + k] *= factor;
        }
}

void stream_draw(struct stream_painter *p, uint64_t index)
{
    struct random r = random_stream(p->seed, index, 0, STREAM_PICTURE);
    const struct stream_class *made = &p->made[index % (uint64_t)p->classes];
    struct canvas *c = &p->surface.canvas;
    switch (made->family) {
    case FAMILY_FRACTAL:
        draw_ground(&r, c, 0.6);
        fractal_draw(&made->fractal, &r, c);
        break;
    case FAMILY_LEAVES:
        leaves_draw(&made->leaves, &r, c);
        break;
    case FAMILY_MARKS:
        if (random_chance(&r, 0.75))
            surface_draw_ground(&p->surface, &r);
        else
            draw_ground(&r, c, 0.35);
        marks_draw(&made->marks, &r, c);
        break;
    case FAMILY_TEXTURE:
        texture_draw(&made->texture, &r, c);
        break;
    }
    light(&r, c);
    if (random_chance(&r, 0.3))
        canvas_blur(c, (float)(random_between(&r, 0.3, 1) * c->size / 128));
    canvas_show(c, &r, (float)random_between(&r, 0.8, 1.15), (float)random_between(&r, 0, 4));
}

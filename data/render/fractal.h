/* fractal.h -- attractors of iterated function systems.
 *
 * A class is a system of affine maps; its pictures are points of the attractor, as in FractalDB
 * (Kataoka et al.: Pre-training without natural images, ACCV 2020). Maps are drawn by their
 * singular values, whose weighted sum decides whether the attractor is dust or a blob (Anderson,
 * Farrell: Improving fractal pre-training, WACV 2022), so that none has to be thrown away. Threads:
 * plain data; a drawing has one owner. */
#ifndef KENNEL_RENDER_FRACTAL_H
#define KENNEL_RENDER_FRACTAL_H

#include "data/render/canvas.h"

enum { FRACTAL_MAPS_MAX = 6 };

struct fractal {
    int count;
    struct fractal_map {
        float turn, flip, before; /* rotation after and before, mirror -1 or 1 */
        float large, small;       /* singular values, below 1 */
        float x, y;               /* translation */
        float weight;             /* how often it is taken */
        float colour;             /* where it pulls a point's colour, 0..1 */
    } maps[FRACTAL_MAPS_MAX];
};

void fractal_class(struct random *r, struct fractal *ret);
/* One instance over what is on the canvas: parameters jittered, turned, scaled, placed, coloured by
 * draws from r. c->spare is overwritten. */
void fractal_draw(const struct fractal *f, struct random *r, struct canvas *c);

#endif

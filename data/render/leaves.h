/* leaves.h -- dead leaves: a plane covered by shapes that lie over each other.
 *
 * Sizes by a power law, which gives natural pictures' statistics (Lee, Mumford, Huang 2001);
 * trained on by Baradad et al.: Learning to see by looking at noise, NeurIPS 2021. Here a class is
 * a shape, its sizes, order and filling; colours belong to the picture. Threads: plain data; a
 * drawing has one owner. */
#ifndef KENNEL_RENDER_LEAVES_H
#define KENNEL_RENDER_LEAVES_H

#include "data/render/canvas.h"

struct leaves {
    int lobes;     /* of the outline, 0: none */
    float lobe;    /* their height */
    float corner;  /* 1 disc .. 0 square: which norm measures the distance */
    float stretch; /* width to length, 0.25..1 */
    float hollow;  /* the inner part that is left out */
    float turn;    /* spread of the directions, radians */
    float small;   /* least size, in parts of the side */
    float power;   /* of the law of sizes */
    int filling;   /* flat, striped, shaded, grained */
};

void leaves_class(struct random *r, struct leaves *ret);
void leaves_draw(const struct leaves *l, struct random *r, struct canvas *c);

#endif

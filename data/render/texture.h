/* texture.h -- random textures: a class is the statistics of a field of noise.
 *
 * Threads: plain data; a drawing has one owner. */
#ifndef KENNEL_RENDER_TEXTURE_H
#define KENNEL_RENDER_TEXTURE_H

#include "data/render/canvas.h"

enum texture_kind {
    TEXTURE_CLOUDS,  /* octaves as they are */
    TEXTURE_RIDGES,  /* folded at zero */
    TEXTURE_PATCHES, /* cut into a few steps */
    TEXTURE_STRIPES, /* waves bent by the noise */
    TEXTURE_CELLS,   /* distance from the nearest of scattered points */
    TEXTURE_KINDS
};

struct texture {
    enum texture_kind kind;
    int octaves;   /* 1..3 */
    float gain;    /* height of the next octave */
    float waves;   /* across the picture */
    float stretch; /* length to width of what it is made of */
    float bend;    /* of stripes and cells by noise */
    float sharp;   /* contrast */
};

void texture_class(struct random *r, struct texture *ret);
void texture_draw(const struct texture *t, struct random *r, struct canvas *c);

#endif

/* stream.h -- the endless pretraining stream: pictures whose classes are made of shape and texture.
 *
 * Classes take turns between marks (most of them), fractals, dead leaves and textures, each drawn
 * from (seed, class); a picture from (seed, index). Colour, light, scale, place, direction and what
 * lies behind marks or a fractal belong to the picture and say nothing about its class. Labels take
 * turns, so any stretch of pictures is balanced. Threads: a painter has one owner. */
#ifndef KENNEL_RENDER_STREAM_H
#define KENNEL_RENDER_STREAM_H

#include "data/render/surface.h"

struct stream_class;
struct stream_painter {
    uint64_t seed;
    int classes;
    struct stream_class *made;      /* owned; [classes] */
    struct surface_painter surface; /* its canvas's bytes are the picture */
};

/* classes >= 1. */
enum err_code stream_painter_init(uint64_t seed, int classes, int size, struct stream_painter *ret,
                                  struct err *e) MUST_USE;
void stream_painter_fini(struct stream_painter *p);

void stream_draw(struct stream_painter *p, uint64_t index);

#endif

/* surface.h -- the surface-inspection set: one picture of a part, sound or with one kind of defect.
 *
 * The label is the defect; material, colour, light, blur, noise, scale, place and number vary and
 * say nothing about it. Picture `index` of a seed is a function of the two (and the size); labels
 * take turns, so that any stretch of pictures is balanced.
 * Threads: a painter has one owner. */
#ifndef KENNEL_RENDER_SURFACE_H
#define KENNEL_RENDER_SURFACE_H

#include "data/render/canvas.h"
#include "data/render/defect.h"

struct surface_painter {
    struct sheet sheet;
    struct canvas canvas; /* its bytes are the picture */
};

enum err_code surface_painter_init(int size, struct surface_painter *ret, struct err *e) MUST_USE;
void surface_painter_fini(struct surface_painter *p);

const char *surface_label(enum defect d); /* "ok", "scratch", ... */
enum defect surface_class(uint64_t index);
void surface_draw(struct surface_painter *p, uint64_t seed, uint64_t index);
/* Material, clutter and light of some part without a defect, into p->canvas.rgb: a ground for
 * others' drawings. */
void surface_draw_ground(struct surface_painter *p, struct random *r);

#endif

/* material.h -- a plain piece of brushed metal, wood or fabric, as colour and relief.
 *
 * Threads: one owner a sheet. */
#ifndef KENNEL_RENDER_MATERIAL_H
#define KENNEL_RENDER_MATERIAL_H

#include "data/base/err.h"
#include "data/random.h"

enum material { MATERIAL_METAL, MATERIAL_WOOD, MATERIAL_FABRIC, MATERIALS };

/* What light falls on, before it does: a value per pixel each. */
struct sheet {
    int size;       /* pixels of a side */
    float *albedo;  /* owned; [size][size][3] */
    float *height;  /* owned; pixels */
    float *shine;   /* owned; 0 dull .. 1 mirror-like */
    float *missing; /* owned; 1 where there is no material (a hole, past the edge) */
    float *nearest; /* owned; scratch of the defects */
};

enum err_code sheet_new(int size, struct sheet *ret, struct err *e) MUST_USE;
void sheet_fini(struct sheet *s);

/* Fills the sheet: colour, direction, scale and irregularities are drawn from r. */
void material_draw(enum material m, struct random *r, struct sheet *s);

#endif

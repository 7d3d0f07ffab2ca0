/* defect.h -- what a line inspects for, put onto a sheet of material.
 *
 * Threads: one owner a sheet. */
#ifndef KENNEL_RENDER_DEFECT_H
#define KENNEL_RENDER_DEFECT_H

#include "data/render/material.h"

enum defect {
    DEFECT_OK,
    DEFECT_SCRATCH,
    DEFECT_DENT,
    DEFECT_STAIN,
    DEFECT_CRACK,
    DEFECT_HOLE,
    DEFECTS
};

/* One more of its kind at a random place; DEFECT_OK: nothing. */
void defect_draw(enum defect d, struct random *r, struct sheet *s);

/* What is no defect and comes with every class: specks of dust, the edge of the part, scuffs. */
void defect_clutter(struct random *r, struct sheet *s);

#endif

/* orient.h -- stored rows put where they belong in the upright picture.
 *
 * The eight EXIF orientations are the eight ways to walk a picture: a stored pixel (x, y)
 * goes to rgb[base + x * step_x + y * step_y]. Rows are placed as they are decoded, so no
 * second picture is ever held. Same result as PIL.ImageOps.exif_transpose().
 * Threads: any; plain data. */
#ifndef KENNEL_ORIENT_H
#define KENNEL_ORIENT_H

#include "data/image.h"

struct orient {
    int width;                /* of a stored row, pixels */
    ptrdiff_t base;           /* bytes */
    ptrdiff_t step_x, step_y; /* bytes */
};

/* width x height as stored; orientation 1..8. */
void orient_init(struct orient *o, int orientation, int width, int height);
/* Whether the upright picture's width is the stored height. */
bool orient_swaps(int orientation);

/* rows[count] of stored RGB, the first one being stored row y. rows may not overlap rgb. */
void orient_place(const struct orient *o, const uint8_t *const *rows, int count, int y,
                  uint8_t *rgb);

#endif

/* marks.h -- thin lines and small blobs on whatever is there: what is left of a picture when only
 * its contours are.
 *
 * In the spirit of contours as categories (Kataoka et al.: Replacing labeled real-image datasets
 * with auto-generated contours, CVPR 2022). A class says how its marks run, branch, end and stand
 * out; place, direction, size and contrast belong to the picture. Threads: plain data; a drawing
 * has one owner. */
#ifndef KENNEL_RENDER_MARKS_H
#define KENNEL_RENDER_MARKS_H

#include "data/render/canvas.h"

enum marks_look {
    MARKS_DARK,
    MARKS_LIGHT,
    MARKS_RIMMED, /* dark, with a light rim */
    MARKS_RELIEF, /* light on the one side, dark on the other */
    MARKS_TINT,   /* another colour, through which the ground shows */
    MARKS_COVER,  /* one colour, and nothing of the ground */
    MARKS_LOOKS
};

struct marks {
    bool blob; /* else a line */
    enum marks_look look;
    int count;      /* in a picture */
    float size;     /* a line's length, a blob's radius; in parts of the side */
    float width;    /* of a line, pixels of 128 */
    float bend;     /* radians that a line turns from end to end */
    float wander;   /* deviation of its direction from step to step, radians */
    float branches; /* that leave a line, on the average */
    float taper;    /* width of the end, in parts of the beginning */
    int lobes;      /* of a blob's outline */
    float lobe;     /* their height */
    float stretch;  /* width to length of a blob */
    float hollow;   /* the inner part of a blob that is left out */
    float soft;     /* of edges, in widths or radii */
    float contrast;
};

void marks_class(struct random *r, struct marks *ret);
/* Over what is on the canvas; c->spare is overwritten. */
void marks_draw(const struct marks *m, struct random *r, struct canvas *c);

#endif

/* canvas.h -- a picture of floats that is drawn on, and what a camera does to it.
 *
 * Values are brightness 0..1 (more is allowed until it is shown), rows from the top.
 * Threads: one owner. */
#ifndef KENNEL_RENDER_CANVAS_H
#define KENNEL_RENDER_CANVAS_H

#include "data/base/err.h"
#include "data/random.h"

struct canvas {
    int size;       /* pixels of a side */
    float *rgb;     /* owned; [size][size][3] */
    float *spare;   /* owned; as large, for blurring */
    uint8_t *bytes; /* owned; [size][size][3], filled by canvas_show() */
};

enum err_code canvas_new(int size, struct canvas *ret, struct err *e) MUST_USE;
void canvas_fini(struct canvas *c);

/* Hue in turns, saturation and value 0..1. */
void canvas_hsv(float hue, float saturation, float value, float ret[3]);

/* Gaussian; edges are continued. Below 0.3 pixels nothing is done. */
void canvas_blur(struct canvas *c, float sigma);
/* Exposure, noise of the sensor (deviation in 1 of 255) and eight bits. */
void canvas_show(struct canvas *c, struct random *r, float exposure, float noise);

static inline float canvas_clamp(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

/* 0 below a, 1 above b, smooth in between. */
static inline float canvas_step(float a, float b, float x)
{
    float t = canvas_clamp((x - a) / (b - a), 0, 1);
    return t * t * (3 - 2 * t);
}

#endif

/* warp.h -- a picture sheared, moved or turned, nearest pixel, as Pillow does it.
 *
 * Pictures are planes of bytes, rgb[3][height][width]. What comes from outside the picture is 0.
 * Threads: any; pure functions. */
#ifndef KENNEL_WARP_H
#define KENNEL_WARP_H

#include <stdint.h>

/* Where the middle of result pixel (x, y) comes from: (a x + b y + c, d x + e y + f). */
struct warp {
    double a, b, c, d, e, f;
};

/* Counter-clockwise about the middle. */
struct warp warp_rotation(double degrees, int width, int height);

/* ret does not overlap rgb. Bytes of Image.transform(AFFINE, NEAREST), 16 bits of fixed point;
 * sides below 32768. */
void warp_apply(const struct warp *w, const uint8_t *rgb, int width, int height, uint8_t *ret);

#endif

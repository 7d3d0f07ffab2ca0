/* colour.h -- what augmentation does to the colours of a picture, as Pillow does it.
 *
 * A picture here is three planes of bytes, red, green, blue, one behind the other: rgb[3][count].
 * Every function gives the bytes of torchvision.transforms.functional on a Pillow picture (Pillow
 * 9.4: ImageEnhance, ImageOps, convert("L"), convert("HSV")), clipping and rounding included.
 * Threads: any; pure functions. */
#ifndef KENNEL_COLOUR_H
#define KENNEL_COLOUR_H

#include <stddef.h>
#include <stdint.h>

/* factor 1 changes nothing, 0 gives black, a grey of the mean lightness, the picture in grey. */
void colour_brightness(uint8_t *rgb, size_t count, float factor);
void colour_contrast(uint8_t *rgb, size_t count, float factor);
void colour_saturation(uint8_t *rgb, size_t count, float factor);
/* shift in turns of the colour circle, -0.5..0.5. */
void colour_hue(uint8_t *rgb, size_t count, double shift);
/* 0 smooths by a 3 x 3 filter, but for the outermost pixels. spare: count bytes. */
void colour_sharpness(uint8_t *rgb, int width, int height, float factor, uint8_t *spare);
/* Keeps the upper bits (0..8) of each value. */
void colour_posterize(uint8_t *rgb, size_t count, int bits);
/* Values not below the threshold are turned to their negative. */
void colour_solarize(uint8_t *rgb, size_t count, double threshold);
/* Each channel stretched to 0..255; each channel's histogram made even. */
void colour_autocontrast(uint8_t *rgb, size_t count);
void colour_equalize(uint8_t *rgb, size_t count);

#endif

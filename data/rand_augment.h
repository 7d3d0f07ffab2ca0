/* rand_augment.h -- RandAugment (Cubuk et al. 2020), operations and strengths of torchvision 0.14.
 *
 * Threads: any; pure functions. */
#ifndef KENNEL_RAND_AUGMENT_H
#define KENNEL_RAND_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

enum rand_augment_op {
    RAND_AUGMENT_IDENTITY,
    RAND_AUGMENT_SHEAR_X,
    RAND_AUGMENT_SHEAR_Y,
    RAND_AUGMENT_TRANSLATE_X,
    RAND_AUGMENT_TRANSLATE_Y,
    RAND_AUGMENT_ROTATE,
    RAND_AUGMENT_BRIGHTNESS,
    RAND_AUGMENT_SATURATION,
    RAND_AUGMENT_CONTRAST,
    RAND_AUGMENT_SHARPNESS,
    RAND_AUGMENT_POSTERIZE,
    RAND_AUGMENT_SOLARIZE,
    RAND_AUGMENT_AUTOCONTRAST,
    RAND_AUGMENT_EQUALIZE,
    RAND_AUGMENT_OPS,
};

enum { RAND_AUGMENT_MAGNITUDES = 31 }; /* 0..30 */

/* rgb[3][size][size], changed in place; spare: as much again, overwritten. negative turns what has
 * two directions (shear, translation, rotation, the enhancements) to the other one. */
void rand_augment_apply(enum rand_augment_op op, int magnitude, bool negative, uint8_t *rgb,
                        int size, uint8_t *spare);

struct random;
/* count operations, each drawn from all of them, one after the other. */
void rand_augment(struct random *r, int count, int magnitude, uint8_t *rgb, int size,
                  uint8_t *spare);

#endif

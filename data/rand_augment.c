#include "data/rand_augment.h"

#include "data/colour.h"
#include "data/random.h"
#include "data/warp.h"

#include <math.h>
#include <string.h>

static void warp(const struct warp *w, uint8_t *rgb, int size, uint8_t *spare)
{
    warp_apply(w, rgb, size, size, spare);
    memcpy(rgb, spare, (size_t)size * (size_t)size * 3);
}

/* torchvision's shear goes by way of degrees; the tangent of it again is the magnitude. */
static void move(enum rand_augment_op op, double strength, uint8_t *rgb, int size, uint8_t *spare)
{
    struct warp w = { .a = 1, .e = 1 };
    double pixels = trunc(strength * 150.0 / 331.0 * size);
    switch (op) {
    case RAND_AUGMENT_SHEAR_X:
        w.b = 0.3 * strength;
        break;
    case RAND_AUGMENT_SHEAR_Y:
        w.d = 0.3 * strength;
        break;
    case RAND_AUGMENT_TRANSLATE_X:
        w.c = -pixels;
        break;
    case RAND_AUGMENT_TRANSLATE_Y:
        w.f = -pixels;
        break;
    default:
        w = warp_rotation(30.0 * strength, size, size);
        break;
    }
    warp(&w, rgb, size, spare);
}

void rand_augment_apply(enum rand_augment_op op, int magnitude, bool negative, uint8_t *rgb,
                        int size, uint8_t *spare)
{
    size_t count = (size_t)size * (size_t)size;
    double part = (double)magnitude / (RAND_AUGMENT_MAGNITUDES - 1);
    double strength = negative ? -part : part;
    float factor = (float)(1.0 + 0.9 * strength);
    switch (op) {
    case RAND_AUGMENT_IDENTITY:
    case RAND_AUGMENT_OPS:
        break;
    case RAND_AUGMENT_SHEAR_X:
    case RAND_AUGMENT_SHEAR_Y:
    case RAND_AUGMENT_TRANSLATE_X:
    case RAND_AUGMENT_TRANSLATE_Y:
    case RAND_AUGMENT_ROTATE:
        move(op, strength, rgb, size, spare);
        break;
    case RAND_AUGMENT_BRIGHTNESS:
        colour_brightness(rgb, count, factor);
        break;
    case RAND_AUGMENT_SATURATION:
        colour_saturation(rgb, count, factor);
        break;
    case RAND_AUGMENT_CONTRAST:
        colour_contrast(rgb, count, factor);
        break;
    case RAND_AUGMENT_SHARPNESS:
        colour_sharpness(rgb, size, size, factor, spare);
        break;
    case RAND_AUGMENT_POSTERIZE: /* 8 bits to 4, a half rounded to even */
        colour_posterize(rgb, count, 8 - (int)nearbyint(magnitude / 7.5));
        break;
    case RAND_AUGMENT_SOLARIZE:
        colour_solarize(rgb, count, 255.0 * (1.0 - part));
        break;
    case RAND_AUGMENT_AUTOCONTRAST:
        colour_autocontrast(rgb, count);
        break;
    case RAND_AUGMENT_EQUALIZE:
        colour_equalize(rgb, count);
        break;
    }
}

void rand_augment(struct random *r, int count, int magnitude, uint8_t *rgb, int size,
                  uint8_t *spare)
{
    for (int i = 0; i < count; i++) {
        enum rand_augment_op op = (enum rand_augment_op)random_below(r, RAND_AUGMENT_OPS);
        bool negative = random_chance(r, 0.5);
        rand_augment_apply(op, magnitude, negative, rgb, size, spare);
    }
}

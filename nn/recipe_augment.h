/* recipe_augment.h -- the member `augment` of a recipe.
 *
 *   {"scale": [low, high], "ratio": [low, high], "flip": p, "brightness": x, "contrast": x,
 *    "saturation": x, "hue": x, "randaugment": {"count": n, "magnitude": n}, "erasing": p,
 *    "mixup": alpha, "cutmix": alpha}      (data/augment.h), what is absent is off
 *   or "workshop"
 *
 * Threads: any; plain data. */
#ifndef KENNEL_RECIPE_AUGMENT_H
#define KENNEL_RECIPE_AUGMENT_H

#include "data/augment.h"

#include <jansson.h>

enum err_code recipe_augment_parse(const json_t *value, struct augment *ret, struct err *e)
    MUST_USE;
/* Spelled out. New reference; NULL without memory. */
json_t *recipe_augment_json(const struct augment *a);

#endif

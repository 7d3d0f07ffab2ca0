#include "nn/recipe_augment.h"

#include "data/base/json.h"

#include <string.h>

static enum err_code take_pair(const json_t *array, const char *name, double *ret_low,
                               double *ret_high, struct err *e)
{
    if (!array)
        return ERR_OK;
    const json_t *low = json_array_get(array, 0), *high = json_array_get(array, 1);
    if (json_array_size(array) != 2 || !json_is_number(low) || !json_is_number(high))
        return err_set(e, ERR_JSON_TYPE, "recipe: augment: %s must be [low, high]", name);
    *ret_low = json_number_value(low);
    *ret_high = json_number_value(high);
    return ERR_OK;
}

static enum err_code take_rand(const json_t *object, struct augment *a, struct err *e)
{
    int64_t count = 2, magnitude = 9; /* torchvision's */
    const struct json_field fields[] = {
        { "count", JSON_KIND_INT, false, &count, 0, 8 },
        { "magnitude", JSON_KIND_INT, false, &magnitude, 0, 30 },
    };
    if (!object)
        return ERR_OK;
    enum err_code r = json_take(object, "recipe: augment: randaugment", fields, 2, e);
    if (!r) {
        a->rand_count = (int)count;
        a->rand_magnitude = (int)magnitude;
    }
    return r;
}

enum err_code recipe_augment_parse(const json_t *value, struct augment *ret, struct err *e)
{
    struct augment a = { .ratio_low = 3.0 / 4.0, .ratio_high = 4.0 / 3.0 };
    if (json_is_string(value) && strcmp(json_string_value(value), "workshop") == 0) {
        *ret = (struct augment)AUGMENT_WORKSHOP;
        return ERR_OK;
    }
    json_t *scale = NULL, *ratio = NULL, *rand = NULL;
    const struct json_field fields[] = {
        { "scale", JSON_KIND_ARRAY, false, &scale, 0, 0 },
        { "ratio", JSON_KIND_ARRAY, false, &ratio, 0, 0 },
        { "flip", JSON_KIND_REAL, false, &a.flip, 0, 0 },
        { "brightness", JSON_KIND_REAL, false, &a.brightness, 0, 0 },
        { "contrast", JSON_KIND_REAL, false, &a.contrast, 0, 0 },
        { "saturation", JSON_KIND_REAL, false, &a.saturation, 0, 0 },
        { "hue", JSON_KIND_REAL, false, &a.hue, 0, 0 },
        { "randaugment", JSON_KIND_OBJECT, false, &rand, 0, 0 },
        { "erasing", JSON_KIND_REAL, false, &a.erasing, 0, 0 },
        { "mixup", JSON_KIND_REAL, false, &a.mixup, 0, 0 },
        { "cutmix", JSON_KIND_REAL, false, &a.cutmix, 0, 0 },
    };
    enum err_code r =
        json_take(value, "recipe: augment", fields, sizeof fields / sizeof *fields, e);
    if (!r)
        r = take_pair(scale, "scale", &a.scale_low, &a.scale_high, e);
    if (!r)
        r = take_pair(ratio, "ratio", &a.ratio_low, &a.ratio_high, e);
    if (!r)
        r = take_rand(rand, &a, e);
    if (!r)
        r = augment_check(&a, e);
    if (!r)
        *ret = a;
    return r;
}

json_t *recipe_augment_json(const struct augment *a)
{
    return json_pack("{s:[f, f], s:[f, f], s:f, s:f, s:f, s:f, s:f, s:{s:i, s:i}, s:f, s:f, s:f}",
                     "scale", a->scale_low, a->scale_high, "ratio", a->ratio_low, a->ratio_high,
                     "flip", a->flip, "brightness", a->brightness, "contrast", a->contrast,
                     "saturation", a->saturation, "hue", a->hue, "randaugment", "count",
                     a->rand_count, "magnitude", a->rand_magnitude, "erasing", a->erasing, "mixup",
                     a->mixup, "cutmix", a->cutmix);
}

#include "data/augment.h"

#include "data/colour.h"
#include "data/rand_augment.h"
#include "data/random.h"

#include <math.h>
#include <stdlib.h>

enum { TRIES = 10, RAND_COUNT_MAX = 8 };

/* Each stage draws from a stream of its own, so that one more stage leaves the others as they
 * were. */
enum stage { STAGE_BOX, STAGE_FLIP, STAGE_JITTER, STAGE_RAND, STAGE_ERASE, STAGES };

struct augment_scratch {
    struct preprocess_scratch *pre; /* owned */
    struct image img;               /* augment_file()'s picture */
    uint8_t *pixels;                /* planes of the crop, and as much again to work in */
    size_t cap;                     /* bytes of one of the two */
};

enum err_code augment_scratch_new(struct augment_scratch **ret, struct err *e)
{
    struct augment_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for an augmentation scratch");
    enum err_code code = preprocess_scratch_new(&s->pre, e);
    if (code != ERR_OK) {
        free(s);
        return code;
    }
    *ret = s;
    return ERR_OK;
}

void augment_scratch_free(struct augment_scratch *s)
{
    if (!s)
        return;
    preprocess_scratch_free(s->pre);
    image_fini(&s->img);
    free(s->pixels);
    free(s);
}

size_t augment_scratch_bytes(const struct augment_scratch *s)
{
    return sizeof *s + preprocess_scratch_bytes(s->pre) + s->img.cap + 2 * s->cap;
}

enum err_code augment_check(const struct augment *a, struct err *e)
{
    const struct {
        const char *name;
        double value, low, high;
    } fields[] = {
        { "scale: low", a->scale_low, 0, 1 },
        { "scale: high", a->scale_high, a->scale_low, 1 },
        { "flip", a->flip, 0, 1 },
        { "brightness", a->brightness, 0, 2 },
        { "contrast", a->contrast, 0, 2 },
        { "saturation", a->saturation, 0, 2 },
        { "hue", a->hue, 0, 0.5 },
        { "randaugment: count", a->rand_count, 0, RAND_COUNT_MAX },
        { "randaugment: magnitude", a->rand_magnitude, 0, RAND_AUGMENT_MAGNITUDES - 1 },
        { "erasing", a->erasing, 0, 1 },
        { "mixup", a->mixup, 0, 10 },
        { "cutmix", a->cutmix, 0, 10 },
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!(fields[i].value >= fields[i].low && fields[i].value <= fields[i].high))
            return err_set(e, ERR_FIELD_RANGE, "augment: %s must be within %g..%g, is %g",
                           fields[i].name, fields[i].low, fields[i].high, fields[i].value);
    if (a->scale_high == 0)
        return ERR_OK;
    if (!(a->scale_low > 0))
        return err_set(e, ERR_FIELD_RANGE, "augment: scale: low must be above 0");
    if (!(a->ratio_low >= 0.1 && a->ratio_high >= a->ratio_low && a->ratio_high <= 10))
        return err_set(e, ERR_FIELD_RANGE,
                       "augment: ratio must be low..high within 0.1..10, is %g..%g", a->ratio_low,
                       a->ratio_high);
    return ERR_OK;
}

void augment_draw_box(const struct augment *a, struct random *r, int width, int height,
                      struct preprocess_box *ret)
{
    double area = (double)width * height;
    for (int i = 0; i < TRIES; i++) {
        double target = area * random_between(r, a->scale_low, a->scale_high);
        double ratio = exp(random_between(r, log(a->ratio_low), log(a->ratio_high)));
        double w = nearbyint(sqrt(target * ratio)), h = nearbyint(sqrt(target / ratio));
        if (w < 1 || h < 1 || w > width || h > height)
            continue;
        ret->width = (int)w;
        ret->height = (int)h;
        ret->top = (int)random_below(r, (uint32_t)(height - ret->height + 1));
        ret->left = (int)random_below(r, (uint32_t)(width - ret->width + 1));
        return;
    }
    struct preprocess_box box = { .width = width, .height = height };
    double whole = (double)width / height;
    if (whole < a->ratio_low)
        box.height = (int)nearbyint(width / a->ratio_low);
    else if (whole > a->ratio_high)
        box.width = (int)nearbyint(height * a->ratio_high);
    box.width = box.width < 1 ? 1 : box.width;
    box.height = box.height < 1 ? 1 : box.height;
    box.left = (width - box.width) / 2;
    box.top = (height - box.height) / 2;
    *ret = box;
}

static double draw_factor(struct random *r, double around)
{
    return random_between(r, around > 1 ? 0 : 1 - around, 1 + around);
}

static void jitter(const struct augment *a, struct random *r, uint8_t *rgb, size_t count)
{
    int order[4] = { 0, 1, 2, 3 };
    for (uint32_t i = 3; i > 0; i--) {
        uint32_t j = random_below(r, i + 1);
        int kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    float brightness = (float)draw_factor(r, a->brightness);
    float contrast = (float)draw_factor(r, a->contrast);
    float saturation = (float)draw_factor(r, a->saturation);
    double hue = random_between(r, -a->hue, a->hue);
    for (int i = 0; i < 4; i++) {
        if (order[i] == 0 && a->brightness > 0)
            colour_brightness(rgb, count, brightness);
        if (order[i] == 1 && a->contrast > 0)
            colour_contrast(rgb, count, contrast);
        if (order[i] == 2 && a->saturation > 0)
            colour_saturation(rgb, count, saturation);
        if (order[i] == 3 && a->hue > 0)
            colour_hue(rgb, count, hue);
    }
}

static bool jitters(const struct augment *a)
{
    return a->brightness > 0 || a->contrast > 0 || a->saturation > 0 || a->hue > 0;
}

/* Zhong et al. 2020, with torchvision's numbers: 2 % to 33 % of the area, ratio 0.3 to 3.3. The
 * value is 0 after normalisation, the mean. */
static void erase(struct random *r, int size, float *ret)
{
    for (int i = 0; i < TRIES; i++) {
        double area = (double)size * size * random_between(r, 0.02, 0.33);
        double ratio = exp(random_between(r, log(0.3), log(3.3)));
        int h = (int)nearbyint(sqrt(area * ratio)), w = (int)nearbyint(sqrt(area / ratio));
        if (h >= size || w >= size)
            continue;
        int top = (int)random_below(r, (uint32_t)(size - h + 1));
        int left = (int)random_below(r, (uint32_t)(size - w + 1));
        for (int c = 0; c < 3; c++)
            for (int y = top; y < top + h; y++)
                for (int x = left; x < left + w; x++)
                    ret[((size_t)c * (size_t)size + (size_t)y) * (size_t)size + (size_t)x] = 0;
        return;
    }
}

static enum err_code reserve(struct augment_scratch *s, size_t need, struct err *e)
{
    if (need <= s->cap)
        return ERR_OK;
    free(s->pixels);
    s->cap = 0;
    s->pixels = malloc(2 * need);
    if (!s->pixels)
        return err_set(e, ERR_NOMEM, "no memory to augment a picture");
    s->cap = need;
    return ERR_OK;
}

static enum err_code crop(const struct augment *a, const struct preprocess *p,
                          struct preprocess_scratch *pre, const struct image *img,
                          struct random streams[STAGES], float *ret, struct err *e)
{
    bool mirrored = random_chance(&streams[STAGE_FLIP], a->flip);
    if (a->scale_high == 0)
        return preprocess_run(p, pre, img, mirrored, ret, e);
    struct preprocess_box box;
    augment_draw_box(a, &streams[STAGE_BOX], img->width, img->height, &box);
    return preprocess_part(p, pre, img, &box, mirrored, ret, e);
}

/* The crop as bytes, red first, through the colours, then normalised as the resampler does it. */
static enum err_code crop_and_colour(const struct augment *a, const struct preprocess *p,
                                     struct augment_scratch *s, const struct image *img,
                                     struct random streams[STAGES], float *ret, struct err *e)
{
    size_t count = (size_t)p->size * (size_t)p->size;
    enum err_code code = reserve(s, 3 * count, e);
    if (code != ERR_OK)
        return code;
    struct preprocess plain = { .size = p->size, .resize = p->resize, .std = { 1, 1, 1 } };
    code = crop(a, &plain, s->pre, img, streams, ret, e);
    if (code != ERR_OK)
        return code;
    for (size_t i = 0; i < 3 * count; i++)
        s->pixels[i] = (uint8_t)ret[i];
    if (jitters(a))
        jitter(a, &streams[STAGE_JITTER], s->pixels, count);
    if (a->rand_count > 0)
        rand_augment(&streams[STAGE_RAND], a->rand_count, a->rand_magnitude, s->pixels, p->size,
                     s->pixels + s->cap);
    for (size_t c = 0; c < 3; c++) {
        const uint8_t *plane = s->pixels + (p->bgr ? 2 - c : c) * count;
        for (size_t i = 0; i < count; i++)
            ret[c * count + i] = ((float)plane[i] - p->mean[c]) / p->std[c];
    }
    return ERR_OK;
}

enum err_code augment_run(const struct augment *a, const struct preprocess *p,
                          struct augment_scratch *s, const struct image *img, uint64_t seed,
                          uint64_t epoch, uint64_t item, float *ret, struct err *e)
{
    struct random streams[STAGES], of_picture = random_stream(seed, epoch, item, 0);
    for (int i = 0; i < STAGES; i++)
        streams[i] = random_stream(of_picture.state, (uint64_t)i, 0, 0);
    enum err_code code = jitters(a) || a->rand_count > 0
                             ? crop_and_colour(a, p, s, img, streams, ret, e)
                             : crop(a, p, s->pre, img, streams, ret, e);
    if (code == ERR_OK && random_chance(&streams[STAGE_ERASE], a->erasing))
        erase(&streams[STAGE_ERASE], p->size, ret);
    return code;
}

enum err_code augment_file(const struct augment *a, const struct preprocess *p,
                           struct augment_scratch *s, const void *bytes, size_t len,
                           const struct image_limits *limits, uint64_t seed, uint64_t epoch,
                           uint64_t item, float *ret, struct err *e)
{
    if (!a)
        return preprocess_file(p, s->pre, bytes, len, limits, 0, ret, e);
    enum err_code code = image_decode(bytes, len, limits, preprocess_shorter_side(p), &s->img, e);
    if (code != ERR_OK)
        return code;
    return augment_run(a, p, s, &s->img, seed, epoch, item, ret, e);
}

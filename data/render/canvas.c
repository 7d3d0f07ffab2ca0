#include "data/render/canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RADIUS_MAX = 24 };

enum err_code canvas_new(int size, struct canvas *ret, struct err *e)
{
    size_t values = 3 * (size_t)size * (size_t)size;
    struct canvas c = { .size = size,
                        .rgb = calloc(values, sizeof(float)),
                        .spare = calloc(values, sizeof(float)),
                        .bytes = calloc(values, 1) };
    if (!c.rgb || !c.spare || !c.bytes) {
        canvas_fini(&c);
        return err_set(e, ERR_NOMEM, "no memory for a picture of %d x %d pixels", size, size);
    }
    *ret = c;
    return ERR_OK;
}

void canvas_fini(struct canvas *c)
{
    free(c->rgb);
    free(c->spare);
    free(c->bytes);
    *c = (struct canvas){ 0 };
}

void canvas_hsv(float hue, float saturation, float value, float ret[3])
{
    for (int c = 0; c < 3; c++) {
        float at = hue + (c == 0 ? 0.0F : c == 1 ? 2.0F / 3 : 1.0F / 3);
        float ramp = fabsf((at - floorf(at)) * 6 - 3) - 1;
        ret[c] = value * (1 - saturation + saturation * canvas_clamp(ramp, 0, 1));
    }
}

/* One direction: step floats lie between a line's neighbours, stride between lines. */
static void blur_lines(const float *in, int size, size_t step, size_t stride, const float *weight,
                       int radius, float *ret)
{
    for (int line = 0; line < size; line++)
        for (int i = 0; i < size; i++) {
            float sum[3] = { 0 };
            for (int k = -radius; k <= radius; k++) {
                int from = i + k < 0 ? 0 : i + k >= size ? size - 1 : i + k;
                const float *at = in + (size_t)line * stride + (size_t)from * step;
                float w = weight[k < 0 ? -k : k];
                for (size_t c = 0; c < 3; c++)
                    sum[c] += w * at[c];
            }
            memcpy(ret + (size_t)line * stride + (size_t)i * step, sum, sizeof sum);
        }
}

void canvas_blur(struct canvas *c, float sigma)
{
    if (sigma < 0.3F)
        return;
    float weight[RADIUS_MAX + 1], sum = 0;
    int radius = (int)ceilf(2.5F * sigma);
    radius = radius > RADIUS_MAX ? RADIUS_MAX : radius;
    for (int k = 0; k <= radius; k++) {
        weight[k] = expf(-0.5F * (float)(k * k) / (sigma * sigma));
        sum += k == 0 ? weight[k] : 2 * weight[k];
    }
    for (int k = 0; k <= radius; k++)
        weight[k] /= sum;
    size_t row = 3 * (size_t)c->size;
    blur_lines(c->rgb, c->size, 3, row, weight, radius, c->spare);
    blur_lines(c->spare, c->size, row, 3, weight, radius, c->rgb);
}

/* The sum of a number's four 16 bit parts: close to normal, and four times cheaper. */
static float grain(struct random *r)
{
    uint64_t x = random_next(r);
    int sum =
        (int)(x & 0xffff) + (int)(x >> 16 & 0xffff) + (int)(x >> 32 & 0xffff) + (int)(x >> 48);
    return ((float)sum - 131070.0F) * (1.0F / 37837.0F);
}

void canvas_show(struct canvas *c, struct random *r, float exposure, float noise)
{
    size_t values = 3 * (size_t)c->size * (size_t)c->size;
    for (size_t i = 0; i < values; i++) {
        float value = 255.0F * exposure * c->rgb[i] + 0.5F;
        if (noise > 0)
            value += noise * grain(r);
        c->bytes[i] = (uint8_t)canvas_clamp(value, 0, 255);
    }
}

#include "data/colour.h"

#include <math.h>
#include <string.h>

static uint8_t clip(float value)
{
    if (value <= 0.0F)
        return 0;
    return value >= 255.0F ? 255 : (uint8_t)value;
}

/* Pillow's Image.blend: from the degenerate value to the picture's, and beyond. Cut, not rounded.
 */
static uint8_t blend(int degenerate, int value, float factor)
{
    return clip((float)degenerate + factor * (float)(value - degenerate));
}

static int lightness(const uint8_t *rgb, size_t count, size_t i)
{
    return (rgb[i] * 19595 + rgb[count + i] * 38470 + rgb[2 * count + i] * 7471 + 0x8000) >> 16;
}

static void apply_table(uint8_t *plane, size_t count, const uint8_t table[256])
{
    for (size_t i = 0; i < count; i++)
        plane[i] = table[plane[i]];
}

static void blend_with(uint8_t *rgb, size_t count, int degenerate, float factor)
{
    uint8_t table[256];
    for (int v = 0; v < 256; v++)
        table[v] = blend(degenerate, v, factor);
    apply_table(rgb, 3 * count, table);
}

void colour_brightness(uint8_t *rgb, size_t count, float factor)
{
    blend_with(rgb, count, 0, factor);
}

void colour_contrast(uint8_t *rgb, size_t count, float factor)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (uint64_t)lightness(rgb, count, i);
    blend_with(rgb, count, (int)((double)sum / (double)count + 0.5), factor);
}

void colour_saturation(uint8_t *rgb, size_t count, float factor)
{
    for (size_t i = 0; i < count; i++) {
        int grey = lightness(rgb, count, i);
        for (size_t c = 0; c < 3; c++)
            rgb[c * count + i] = blend(grey, rgb[c * count + i], factor);
    }
}

/* Pillow's rgb2hsv_row() and hsv2rgb_row(), which follow colorsys.py; floats where it has floats.
 */
static uint8_t hue_of(int r, int g, int b, int high, int low)
{
    float range = (float)(high - low), h;
    float rc = (float)(high - r) / range, gc = (float)(high - g) / range,
          bc = (float)(high - b) / range;
    if (r == high)
        h = bc - gc;
    else if (g == high)
        h = (float)(2.0 + (double)rc - (double)bc);
    else
        h = (float)(4.0 + (double)gc - (double)rc);
    h = (float)fmod((double)h / 6.0 + 1.0, 1.0);
    return (uint8_t)((double)h * 255.0);
}

static void turn(uint8_t *r, uint8_t *g, uint8_t *b, uint8_t shift)
{
    int high = *r > *g ? *r : *g, low = *r < *g ? *r : *g;
    high = *b > high ? *b : high;
    low = *b < low ? *b : low;
    if (high == low)
        return;
    uint8_t hue = (uint8_t)(hue_of(*r, *g, *b, high, low) + shift);
    uint8_t saturation = (uint8_t)((double)((float)(high - low) / (float)high) * 255.0);
    uint8_t v = (uint8_t)high;
    if (saturation == 0) {
        *r = *g = *b = v;
        return;
    }
    int sector = (int)floor((double)hue * 6.0 / 255.0);
    float f = (float)((double)hue * 6.0 / 255.0 - (double)sector);
    double s = (double)(float)((double)saturation / 255.0);
    uint8_t p = (uint8_t)(float)round(v * (1.0 - s));
    uint8_t q = (uint8_t)(float)round(v * (1.0 - s * (double)f));
    uint8_t t = (uint8_t)(float)round(v * (1.0 - s * (1.0 - (double)f)));
    const uint8_t out[6][3] = { { v, t, p }, { q, v, p }, { p, v, t },
                                { p, q, v }, { t, p, v }, { v, p, q } };
    *r = out[sector % 6][0];
    *g = out[sector % 6][1];
    *b = out[sector % 6][2];
}

void colour_hue(uint8_t *rgb, size_t count, double shift)
{
    uint8_t turns = (uint8_t)(int)(shift * 255.0);
    for (size_t i = 0; i < count; i++)
        turn(&rgb[i], &rgb[count + i], &rgb[2 * count + i], turns);
}

/* Weights 1 around 5, divided by 13 and rounded; no sum lies half way. */
static void smooth(const uint8_t *in, size_t width, size_t height, uint8_t *ret)
{
    memcpy(ret, in, width * height);
    for (size_t y = 1; y + 1 < height; y++)
        for (size_t x = 1; x + 1 < width; x++) {
            const uint8_t *at = in + y * width + x;
            int sum = at[-1] + 5 * at[0] + at[1];
            for (int k = -1; k <= 1; k++)
                sum += at[(ptrdiff_t)width + k] + at[-(ptrdiff_t)width + k];
            ret[y * width + x] = (uint8_t)((2 * sum + 13) / 26);
        }
}

void colour_sharpness(uint8_t *rgb, int width, int height, float factor, uint8_t *spare)
{
    size_t count = (size_t)width * (size_t)height;
    for (size_t c = 0; c < 3; c++) {
        uint8_t *plane = rgb + c * count;
        smooth(plane, (size_t)width, (size_t)height, spare);
        for (size_t i = 0; i < count; i++)
            plane[i] = blend(spare[i], plane[i], factor);
    }
}

void colour_posterize(uint8_t *rgb, size_t count, int bits)
{
    uint8_t mask = (uint8_t)(0xff00 >> bits);
    for (size_t i = 0; i < 3 * count; i++)
        rgb[i] &= mask;
}

void colour_solarize(uint8_t *rgb, size_t count, double threshold)
{
    uint8_t table[256];
    for (int v = 0; v < 256; v++)
        table[v] = (uint8_t)(v < threshold ? v : 255 - v);
    apply_table(rgb, 3 * count, table);
}

static void histogram(const uint8_t *plane, size_t count, size_t ret[256])
{
    memset(ret, 0, 256 * sizeof *ret);
    for (size_t i = 0; i < count; i++)
        ret[plane[i]]++;
}

void colour_autocontrast(uint8_t *rgb, size_t count)
{
    for (size_t c = 0; c < 3; c++) {
        size_t seen[256];
        uint8_t table[256];
        int low = 0, high = 255;
        histogram(rgb + c * count, count, seen);
        while (low < 255 && seen[low] == 0)
            low++;
        while (high > 0 && seen[high] == 0)
            high--;
        if (high <= low)
            continue;
        double scale = 255.0 / (high - low), offset = -low * scale;
        for (int v = 0; v < 256; v++) {
            double to = v * scale + offset;
            table[v] = (uint8_t)(to < 0 ? 0 : to > 255 ? 255 : (int)to);
        }
        apply_table(rgb + c * count, count, table);
    }
}

void colour_equalize(uint8_t *rgb, size_t count)
{
    for (size_t c = 0; c < 3; c++) {
        size_t seen[256], last = 255;
        uint8_t table[256];
        histogram(rgb + c * count, count, seen);
        while (last > 0 && seen[last] == 0)
            last--;
        size_t step = (count - seen[last]) / 255, sum = step / 2;
        if (step == 0)
            continue;
        for (size_t v = 0; v < 256; v++) {
            table[v] = (uint8_t)(sum / step > 255 ? 255 : sum / step);
            sum += seen[v];
        }
        apply_table(rgb + c * count, count, table);
    }
}

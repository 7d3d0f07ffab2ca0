#include "data/warp.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

struct warp warp_rotation(double degrees, int width, int height)
{
    double angle = -degrees * M_PI / 180.0, x = width / 2.0, y = height / 2.0;
    struct warp w = { .a = cos(angle), .b = sin(angle), .d = -sin(angle), .e = cos(angle) };
    w.c = x - w.a * x - w.b * y;
    w.f = y - w.d * x - w.e * y;
    return w;
}

static int64_t fixed(double value)
{
    return (int64_t)floor(value * 65536.0 + 0.5);
}

void warp_apply(const struct warp *w, const uint8_t *rgb, int width, int height, uint8_t *ret)
{
    int64_t a = fixed(w->a), b = fixed(w->b), d = fixed(w->d), e = fixed(w->e);
    int64_t row_x = fixed(w->c + w->a * 0.5 + w->b * 0.5);
    int64_t row_y = fixed(w->f + w->d * 0.5 + w->e * 0.5);
    size_t count = (size_t)width * (size_t)height, at = 0;
    for (int y = 0; y < height; y++, row_x += b, row_y += e) {
        int64_t from_x = row_x, from_y = row_y;
        for (int x = 0; x < width; x++, at++, from_x += a, from_y += d) {
            int64_t column = from_x >> 16, row = from_y >> 16;
            bool within = column >= 0 && column < width && row >= 0 && row < height;
            size_t from = within ? (size_t)row * (size_t)width + (size_t)column : 0;
            for (size_t c = 0; c < 3; c++)
                ret[c * count + at] = within ? rgb[c * count + from] : 0;
        }
    }
}

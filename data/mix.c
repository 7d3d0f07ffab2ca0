#include "data/mix.h"

#include "data/random.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Apart from the streams of pictures, whose last number is 0. */
enum { STREAM_MIX = 1 };

struct box {
    int left, right, top, bottom;
};

static void mix_rows(float *to, const float *from, size_t len, float keep)
{
    for (size_t i = 0; i < len; i++)
        to[i] = to[i] * keep + from[i] * (1.0F - keep);
}

static void paste(float *to, const float *from, int size, const struct box *b)
{
    for (int c = 0; c < 3; c++)
        for (int y = b->top; y < b->bottom; y++) {
            size_t at = ((size_t)c * (size_t)size + (size_t)y) * (size_t)size + (size_t)b->left;
            memcpy(to + at, from + at, (size_t)(b->right - b->left) * sizeof *to);
        }
}

static int clamp(int value, int high)
{
    return value < 0 ? 0 : value > high ? high : value;
}

/* A square with 1 - keep of the area about a point anywhere, cut off at the edges. */
static struct box draw_box(struct random *r, int size, double keep)
{
    int x = (int)random_below(r, (uint32_t)size), y = (int)random_below(r, (uint32_t)size);
    int half = (int)(0.5 * sqrt(1.0 - keep) * size);
    return (struct box){ .left = clamp(x - half, size),
                         .right = clamp(x + half, size),
                         .top = clamp(y - half, size),
                         .bottom = clamp(y + half, size) };
}

void mix_batch(const struct augment *a, uint64_t seed, uint64_t epoch, uint64_t step, int count,
               int size, int classes, float *pictures, float *targets, float *spare)
{
    if (count < 2 || (a->mixup <= 0 && a->cutmix <= 0))
        return;
    struct random r = random_stream(seed, epoch, step, STREAM_MIX);
    bool both = a->mixup > 0 && a->cutmix > 0, second = random_chance(&r, 0.5);
    bool cuts = both ? second : a->cutmix > 0;
    double keep = random_beta(&r, cuts ? a->cutmix : a->mixup);
    struct box box = { 0 };
    if (cuts) {
        box = draw_box(&r, size, keep);
        double pasted = (double)(box.right - box.left) * (box.bottom - box.top);
        keep = 1.0 - pasted / ((double)size * size);
    }

    /* From the last to the first, so that the one before is still as it was; the first one's
     * is the last one, kept. */
    size_t picture = 3 * (size_t)size * (size_t)size, width = (size_t)classes;
    memcpy(spare, pictures + (size_t)(count - 1) * picture, picture * sizeof *spare);
    for (int i = count - 1; i >= 0; i--) {
        float *to = pictures + (size_t)i * picture;
        const float *from = i > 0 ? to - picture : spare;
        if (cuts)
            paste(to, from, size, &box);
        else
            mix_rows(to, from, picture, (float)keep);
    }
    memcpy(spare, targets + (size_t)(count - 1) * width, width * sizeof *spare);
    for (int i = count - 1; i >= 0; i--) {
        float *to = targets + (size_t)i * width;
        mix_rows(to, i > 0 ? to - width : spare, width, (float)keep);
    }
}

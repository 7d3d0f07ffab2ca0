#include "data/orient.h"

#include <string.h>

bool orient_swaps(int orientation)
{
    return orientation >= 5;
}

void orient_init(struct orient *o, int orientation, int width, int height)
{
    ptrdiff_t w = width, h = height;
    switch (orientation) {
    case 2: /* mirrored left to right */
        *o = (struct orient){ width, (w - 1) * 3, -3, w * 3 };
        break;
    case 3: /* half a turn */
        *o = (struct orient){ width, (w * h - 1) * 3, -3, -w * 3 };
        break;
    case 4: /* upside down, mirrored */
        *o = (struct orient){ width, (h - 1) * w * 3, 3, -w * 3 };
        break;
    case 5: /* transposed */
        *o = (struct orient){ width, 0, h * 3, 3 };
        break;
    case 6: /* needs a quarter turn clockwise */
        *o = (struct orient){ width, (h - 1) * 3, h * 3, -3 };
        break;
    case 7: /* transposed about the other diagonal */
        *o = (struct orient){ width, (w * h - 1) * 3, -h * 3, -3 };
        break;
    case 8: /* needs a quarter turn anticlockwise */
        *o = (struct orient){ width, (w - 1) * h * 3, -h * 3, 3 };
        break;
    default:
        *o = (struct orient){ width, 0, 3, w * 3 };
        break;
    }
}

static void put(uint8_t *to, const uint8_t *from)
{
    to[0] = from[0];
    to[1] = from[1];
    to[2] = from[2];
}

void orient_place(const struct orient *o, const uint8_t *const *rows, int count, int y,
                  uint8_t *rgb)
{
    uint8_t *start = rgb + o->base + (ptrdiff_t)y * o->step_y;
    if (o->step_x == 3) {
        for (int i = 0; i < count; i++)
            memcpy(start + i * o->step_y, rows[i], (size_t)o->width * 3);
        return;
    }
    /* Stored columns outside: when stored rows become columns, the strip's rows then lie beside
     * each other in memory. */
    for (ptrdiff_t x = 0; x < o->width; x++)
        for (int i = 0; i < count; i++)
            put(start + x * o->step_x + i * o->step_y, rows[i] + 3 * x);
}

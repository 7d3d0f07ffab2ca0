/* 3x3 convolutions by Winograd's minimal filtering (Lavin and Gray, 2015): 36 products instead of
 * 81 for tiles of 2x2, and results that differ from the direct ones by rounding alone. Which ones
 * is a table of what was measured with AVX-512, not a measurement, so that the bits do not depend
 * on the hour: nn/README.md has the times. */
#include "nn/compile.h"

#include <string.h>

/* Tiles of 4x4 on larger planes, of 2x2 on any; the smaller the plane, the more channels it takes
 * for the transformations to pay. */
enum { LARGE_ROWS = 27, LARGE_CHANNELS = 64, SMALL_CHANNELS = 256, BLOCK = 16 };

bool compile_winograd_pays(const struct step *step, const int64_t *in, int64_t out)
{
    const struct window *w = &step->window;
    if (w->spatial != 2 || step->group != 1 || in[0] != 1 || dnn_block() != BLOCK ||
        in[1] % BLOCK != 0 || out % BLOCK != 0)
        return false;
    for (int d = 0; d < 2; d++)
        if (w->kernel[d] != 3 || w->stride[d] != 1 || w->dilation[d] > 1 || w->low[d] > 1 ||
            w->high[d] > 1)
            return false;
    int64_t least = in[2] >= LARGE_ROWS ? LARGE_CHANNELS : SMALL_CHANNELS;
    return in[1] >= least && out >= least;
}

enum err_code compile_conv_new(struct plan *p, const struct dnn_conv *c, struct dnn_primitive **ret,
                               struct err *e)
{
    int64_t dims[DNN_RANK_MAX];
    enum err_code r = dnn_conv_new(p->engine, c, ret, e);
    if (!c->winograd || (r && r != ERR_DNN))
        return r;
    dnn_layout_dims(c->src, dims);
    if (!r && (dims[2] >= LARGE_ROWS || strstr(dnn_primitive_text(*ret), "2x3")))
        return ERR_OK;
    if (!r)
        dnn_primitive_free(*ret);
    struct dnn_conv direct = *c;
    direct.winograd = false;
    return dnn_conv_new(p->engine, &direct, ret, e);
}

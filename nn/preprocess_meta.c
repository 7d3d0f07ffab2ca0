#include "nn/preprocess_meta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_spaces(const char *text)
{
    return text + strspn(text, " \t");
}

/* One number for all or three, separated by commas, and nothing else. */
static bool parse_channels(const char *text, float ret[3])
{
    float values[3];
    int count = 0;
    for (;;) {
        char *end;
        text = skip_spaces(text);
        if (count == 3)
            return false;
        values[count++] = strtof(text, &end);
        if (end == text)
            return false;
        text = skip_spaces(end);
        if (*text == 0)
            break;
        if (*text++ != ',')
            return false;
    }
    if (count == 2)
        return false;
    for (int c = 0; c < 3; c++)
        ret[c] = count == 1 ? values[0] : values[c];
    return true;
}

static bool parse_int(const char *text, int *ret)
{
    char *end;
    text = skip_spaces(text);
    long value = strtol(text, &end, 10);
    if (end == text || *skip_spaces(end) || value < 1 || value > 1000000)
        return false;
    *ret = (int)value;
    return true;
}

static enum err_code read_channels(const struct network *n, const char *name, const char *override,
                                   float ret[3], struct err *e)
{
    const char *text = override ? override : network_meta(n, name);
    if (!text)
        return err_set(e, ERR_ONNX_PREPROCESS,
                       "the file's metadata has no \"%s\" and the request does not give it", name);
    if (!parse_channels(text, ret))
        return err_set(e, ERR_ONNX_PREPROCESS,
                       "%s must be one number or three with commas between, is \"%.100s\"", name,
                       text);
    return ERR_OK;
}

static enum err_code read_color(const struct network *n, const char *override, bool *ret_bgr,
                                struct err *e)
{
    const char *text = override ? override : network_meta(n, "color_order");
    bool bgr = text && strcmp(text, "BGR") == 0;
    if (text && !bgr && strcmp(text, "RGB") != 0)
        return err_set(e, ERR_ONNX_PREPROCESS, "the colour order must be RGB or BGR, is \"%.100s\"",
                       text);
    *ret_bgr = bgr;
    return ERR_OK;
}

static enum err_code read_size(const struct network *n, int *ret, struct err *e)
{
    int height = 0, width = 0, said = 0;
    const char *input = network_input(n, &height, &width);
    if (height != width)
        return err_set(e, ERR_ONNX_PREPROCESS, "input \"%.100s\" is %d x %d pixels, not square",
                       input, height, width);
    const char *text = network_meta(n, "input_size");
    if (text && (!parse_int(text, &said) || said != height))
        return err_set(
            e, ERR_ONNX_PREPROCESS,
            "input_size in the metadata is \"%.100s\", but input \"%.100s\" has %d pixels", text,
            input, height);
    *ret = height;
    return ERR_OK;
}

static enum err_code read_resize(const struct network *n, int override, int size, int *ret,
                                 struct err *e)
{
    const char *text = network_meta(n, "resize");
    int resize = (size * 256 + 112) / 224;
    if (override)
        resize = override;
    else if (text && !parse_int(text, &resize))
        return err_set(e, ERR_ONNX_PREPROCESS, "resize in the metadata is \"%.100s\", not a number",
                       text);
    *ret = resize;
    return ERR_OK;
}

enum err_code preprocess_meta_read(const struct network *n,
                                   const struct backbone_overrides *overrides,
                                   struct preprocess *ret, struct err *e)
{
    static const struct backbone_overrides none;
    const struct backbone_overrides *o = overrides ? overrides : &none;
    struct preprocess p = { 0 };
    enum err_code r = read_size(n, &p.size, e);
    if (!r)
        r = read_channels(n, "mean", o->mean, p.mean, e);
    if (!r)
        r = read_channels(n, "std", o->std, p.std, e);
    if (!r)
        r = read_color(n, o->color, &p.bgr, e);
    if (!r)
        r = read_resize(n, o->resize, p.size, &p.resize, e);
    if (!r)
        r = preprocess_check(&p, e);
    if (!r)
        *ret = p;
    return r;
}

static void write_channels(const float v[3], char *ret, size_t len)
{
    snprintf(ret, len, "%.9g,%.9g,%.9g", (double)v[0], (double)v[1], (double)v[2]);
}

void preprocess_meta_write(const struct preprocess *p, struct preprocess_meta *ret)
{
    write_channels(p->mean, ret->mean, sizeof ret->mean);
    write_channels(p->std, ret->std, sizeof ret->std);
    snprintf(ret->size, sizeof ret->size, "%d", p->size);
    snprintf(ret->resize, sizeof ret->resize, "%d", p->resize);
    ret->pairs[0] = (struct network_meta_pair){ "mean", ret->mean };
    ret->pairs[1] = (struct network_meta_pair){ "std", ret->std };
    ret->pairs[2] = (struct network_meta_pair){ "color_order", p->bgr ? "BGR" : "RGB" };
    ret->pairs[3] = (struct network_meta_pair){ "input_size", ret->size };
    ret->pairs[4] = (struct network_meta_pair){ "resize", ret->resize };
}

#include "data/render/source.h"

#include "data/random.h"
#include "data/render/encode.h"
#include "data/render/stream.h"
#include "data/render/surface.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Apart from the painters' streams. */
enum { STREAM_QUALITY = 14, QUALITY_LOW = 75, QUALITY_SPAN = 21 };

struct source {
    struct source_options o;
    union {
        struct surface_painter surface;
        struct stream_painter stream;
    };
};

static enum err_code check(const struct source_options *o, struct err *e)
{
    const struct {
        const char *name;
        int value, low, high;
    } fields[] = {
        { "size", o->size, SOURCE_SIZE_MIN, SOURCE_SIZE_MAX },
        { "classes", o->classes, 2, SOURCE_CLASSES_MAX },
        { "val", o->val_percent, 0, 99 },
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].value < fields[i].low || fields[i].value > fields[i].high)
            return err_set(e, ERR_FIELD_RANGE, "%s must be within %d..%d, is %d", fields[i].name,
                           fields[i].low, fields[i].high, fields[i].value);
    return ERR_OK;
}

enum err_code source_new(const struct source_options *o, struct source **ret, struct err *e)
{
    enum err_code code = check(o, e);
    if (code != ERR_OK)
        return code;
    struct source *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a set of pictures");
    s->o = *o;
    if (o->kind == SOURCE_SURFACE)
        code = surface_painter_init(o->size, &s->surface, e);
    else
        code = stream_painter_init(o->seed, o->classes, o->size, &s->stream, e);
    if (code != ERR_OK) {
        free(s);
        return code;
    }
    *ret = s;
    return ERR_OK;
}

void source_free(struct source *s)
{
    if (!s)
        return;
    if (s->o.kind == SOURCE_SURFACE)
        surface_painter_fini(&s->surface);
    else
        stream_painter_fini(&s->stream);
    free(s);
}

/* Of 100 pictures of a class val_percent, at even distances. */
static const char *split_of(const struct source *s, uint64_t instance)
{
    uint64_t part = (uint64_t)s->o.val_percent, i = instance % 100;
    return (i + 1) * part / 100 > i * part / 100 ? "val" : "train";
}

enum err_code source_file(struct source *s, uint64_t index, char ret_path[SOURCE_PATH],
                          struct buf *ret, struct err *e)
{
    struct random r = random_stream(s->o.seed, index, 0, STREAM_QUALITY);
    int quality = QUALITY_LOW + (int)random_below(&r, QUALITY_SPAN);
    const struct canvas *c;
    char label[24];
    uint64_t classes = s->o.kind == SOURCE_SURFACE ? DEFECTS : (uint64_t)s->o.classes;
    if (s->o.kind == SOURCE_SURFACE) {
        surface_draw(&s->surface, s->o.seed, index);
        c = &s->surface.canvas;
        snprintf(label, sizeof label, "%s", surface_label(surface_class(index)));
    } else {
        stream_draw(&s->stream, index);
        c = &s->stream.surface.canvas;
        snprintf(label, sizeof label, "c%04" PRIu64, index % classes);
    }
    enum err_code code = encode_jpeg(c, quality, ret, e);
    if (code == ERR_OK)
        snprintf(ret_path, SOURCE_PATH, "%s/%s/%09" PRIu64 ".jpg", split_of(s, index / classes),
                 label, index);
    return code;
}

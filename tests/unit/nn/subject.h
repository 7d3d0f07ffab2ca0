/* subject.h -- small networks for tests, written down as a table of lines.
 *
 * Constants are named by what they hold: "w:16,3,3,3" numbers in -0.5..0.5 of that shape, "p:16"
 * positive ones (0.25..1.25), "k:0.5" that one number, "n:1,-1" integers. More letters before the
 * colon make another one of the same kind. Asserts instead of returning errors. */
#ifndef KENNEL_TESTS_SUBJECT_H
#define KENNEL_TESTS_SUBJECT_H

#include "nn/network.h"
#include "tests/unit/nn/onnx_maker.h"

/* A table leaves out what is nothing. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

enum { SUBJECT_LINES_MAX = 20, SUBJECT_CHANNELS = 3, SUBJECT_OPSET = 14 };

struct subject_line {
    const char *op, *in, *out, *attrs; /* in, out: names with a blank between */
};

/* Over the input x [N,3,side,side]; the output is y. */
struct subject {
    const char *name;
    int opset; /* 0: SUBJECT_OPSET */
    struct subject_line lines[SUBJECT_LINES_MAX];
    int loops; /* of its plan: instructions that may be plain loops; -1: does not matter */
};

/* Adds the constant of that name, unless it is none of its own: false. */
typedef bool (*subject_constant)(struct maker *m, const char *name);

static inline void ok(enum err_code code, const struct err *e)
{
    if (code)
        fail_msg("%s: %s", err_slug(code), e->message);
}

/* The dims in a constant's name; returns their number. */
static inline int subject_dims(const char *name, int64_t dims[8])
{
    int rank = 0;
    for (char *end = strchr(name, ':'); *end; rank++)
        dims[rank] = strtoll(end + 1, &end, 10);
    return rank;
}

static inline void subject_add_constant(struct maker *m, const char *name)
{
    int64_t dims[8], count = 1;
    uint32_t state = (uint32_t)strlen(name) * 77 + (uint32_t)name[0];
    if (name[0] == 'k') {
        float value = strtof(strchr(name, ':') + 1, NULL);
        maker_floats(m, name, 0, NULL, &value);
        return;
    }
    int rank = subject_dims(name, dims);
    if (name[0] == 'n') {
        maker_ints(m, name, rank, dims);
        return;
    }
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    float *data = calloc((size_t)count, sizeof *data);
    assert_non_null(data);
    for (int64_t i = 0; i < count; i++)
        data[i] = maker_number(&state) * 0.5f + (name[0] == 'p' ? 0.75f : 0.0f);
    maker_floats(m, name, rank, dims, data);
    free(data);
}

/* own NULL: no other constants than those above. The caller frees it. */
static inline struct network *subject_network(const struct subject *s, int side,
                                              subject_constant own)
{
    struct maker m = maker_new(s->opset ? s->opset : SUBJECT_OPSET);
    char seen[4096] = " ";
    maker_input(&m, "x", 4, (int64_t[]){ -1, SUBJECT_CHANNELS, side, side });
    maker_output(&m, "y");
    for (const struct subject_line *l = s->lines; l < s->lines + SUBJECT_LINES_MAX && l->op; l++) {
        char in[512], key[128], *at;
        maker_node(&m, l->op, "", l->in, l->out, l->attrs ? l->attrs : "");
        snprintf(in, sizeof in, "%s", l->in);
        for (char *w = strtok_r(in, " ", &at); w; w = strtok_r(NULL, " ", &at)) {
            snprintf(key, sizeof key, " %s ", w);
            if (!strchr(w, ':') || strstr(seen, key))
                continue;
            strncat(seen, key + 1, sizeof seen - strlen(seen) - 1);
            if (!own || !own(&m, w))
                subject_add_constant(&m, w);
        }
    }
    struct network *n;
    struct err e;
    struct buf b = maker_bytes(&m);
    enum err_code r = network_load(b.data, b.len, &n, &e);
    buf_fini(&b);
    if (r)
        fail_msg("%s: %s", s->name, e.message);
    return n;
}

#endif

/* Layouts that see memory under other dims, against indices worked out one by one; and that a
 * reorder out of any of them is right. */
#include "nn/dnn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RANK_MAX = 5, ROUNDS = 3000, ENTRIES_MAX = 60000 };

/* What a view should hold: for each entry in row-major order, where it stands in the room. */
struct view {
    int rank;
    int64_t dims[DNN_RANK_MAX];
    int64_t count;
    int64_t *at;
    struct dnn_layout *layout;
    int64_t offset; /* of the layout in the room */
};

static uint32_t state = 1;

static int64_t draw(int64_t below)
{
    state = state * 1664525u + 1013904223u;
    return (int64_t)(state >> 8) % below;
}

static int64_t product(int rank, const int64_t *dims)
{
    int64_t p = 1;
    for (int d = 0; d < rank; d++)
        p *= dims[d];
    return p;
}

/* Row-major index of index[] */
static int64_t row_major(int rank, const int64_t *dims, const int64_t *index)
{
    int64_t at = 0;
    for (int d = 0; d < rank; d++)
        at = at * dims[d] + index[d];
    return at;
}

static void unravel(int rank, const int64_t *dims, int64_t i, int64_t *ret)
{
    for (int d = rank - 1; d >= 0; d--) {
        ret[d] = i % dims[d];
        i /= dims[d];
    }
}

static struct view begin(void)
{
    struct view v = { .rank = 2 + (int)draw(RANK_MAX - 1) };
    for (int d = 0; d < v.rank; d++)
        v.dims[d] = 1 + draw(d == 1 ? 40 : 6);
    v.count = product(v.rank, v.dims);
    v.at = calloc((size_t)v.count, sizeof *v.at);
    assert_non_null(v.at);
    bool last = draw(2) && v.rank > 2;
    v.layout =
        last ? dnn_layout_channels_last(v.rank, v.dims) : dnn_layout_new(v.rank, v.dims, DNN_PLAIN);
    assert_non_null(v.layout);
    for (int64_t i = 0; i < v.count; i++) {
        int64_t index[DNN_RANK_MAX] = { 0 };
        unravel(v.rank, v.dims, i, index);
        int64_t channel = index[1], behind = product(v.rank - 2, v.dims + 2);
        v.at[i] =
            last ? (index[0] * behind + row_major(v.rank - 2, v.dims + 2, index + 2)) * v.dims[1] +
                       channel
                 : i;
    }
    return v;
}

static void become(struct view *v, struct view next)
{
    dnn_layout_free(v->layout);
    if (next.at != v->at)
        free(v->at);
    *v = next;
}

static void permute(struct view *v)
{
    int perm[DNN_RANK_MAX];
    struct view next = { .rank = v->rank, .count = v->count, .offset = v->offset };
    for (int d = 0; d < v->rank; d++) {
        int k = (int)draw(d + 1);
        perm[d] = perm[k];
        perm[k] = d;
    }
    for (int d = 0; d < v->rank; d++)
        next.dims[d] = v->dims[perm[d]];
    next.at = calloc((size_t)v->count, sizeof *next.at);
    assert_non_null(next.at);
    for (int64_t i = 0; i < v->count; i++) {
        int64_t to[DNN_RANK_MAX], from[DNN_RANK_MAX];
        unravel(next.rank, next.dims, i, to);
        for (int d = 0; d < v->rank; d++)
            from[perm[d]] = to[d];
        next.at[i] = v->at[row_major(v->rank, v->dims, from)];
    }
    next.layout = dnn_layout_permuted(v->layout, perm);
    assert_non_null(next.layout);
    become(v, next);
}

static void cut(struct view *v)
{
    int64_t start[DNN_RANK_MAX], step[DNN_RANK_MAX], offset = 0;
    struct view next = { .rank = v->rank };
    bool dense = draw(2);
    for (int d = 0; d < v->rank; d++) {
        start[d] = draw(v->dims[d]);
        step[d] = dense ? 1 : 1 + draw(3);
        int64_t most = (v->dims[d] - start[d] + step[d] - 1) / step[d];
        next.dims[d] = 1 + draw(most);
    }
    next.count = product(next.rank, next.dims);
    next.at = calloc((size_t)next.count, sizeof *next.at);
    assert_non_null(next.at);
    for (int64_t i = 0; i < next.count; i++) {
        int64_t index[DNN_RANK_MAX] = { 0 };
        unravel(next.rank, next.dims, i, index);
        for (int d = 0; d < v->rank; d++)
            index[d] = start[d] + index[d] * step[d];
        next.at[i] = v->at[row_major(v->rank, v->dims, index)];
    }
    next.layout = dnn_layout_part(v->layout, next.dims, start, step, &offset);
    assert_true(next.layout || !dense); /* strides that interleave are refused */
    next.offset = v->offset + offset;
    if (next.layout)
        become(v, next);
    else
        free(next.at);
}

/* Joins two neighbours or divides a dim. must: a layout has to be found. */
static bool reshape(struct view *v, bool must)
{
    struct view next = *v;
    int d = (int)draw(v->rank);
    if (draw(2) && d + 1 < v->rank && v->rank > 1) {
        next.dims[d] *= v->dims[d + 1];
        next.rank--;
        memmove(next.dims + d + 1, v->dims + d + 2, (size_t)(v->rank - d - 2) * sizeof *next.dims);
    } else if (v->rank < RANK_MAX) {
        int64_t part = v->dims[d] % 2 == 0 ? 2 : v->dims[d] % 3 == 0 ? 3 : 1;
        memmove(next.dims + d + 2, v->dims + d + 1, (size_t)(v->rank - d - 1) * sizeof *next.dims);
        next.dims[d] = v->dims[d] / part;
        next.dims[d + 1] = part;
        next.rank++;
    } else {
        return true;
    }
    next.layout = dnn_layout_reshaped(v->layout, next.rank, next.dims);
    if (!next.layout)
        return !must;
    become(v, next);
    return true;
}

static void reorder(struct dnn_engine *d, const struct dnn_layout *from, float *data,
                    const struct dnn_layout *to, float *into)
{
    struct err e;
    struct dnn_primitive *p;
    struct dnn_memory *a, *b;
    struct dnn_call *c;
    assert_int_equal(dnn_reorder_new(d, from, to, NULL, 1, &p, &e), ERR_OK);
    assert_int_equal(dnn_memory_new(d, from, data, &a, &e), ERR_OK);
    assert_int_equal(dnn_memory_new(d, to, into, &b, &e), ERR_OK);
    assert_int_equal(dnn_call_new(d, p, 2, &c, &e), ERR_OK);
    assert_int_equal(dnn_primitive_scratchpad(p), 0);
    dnn_call_set(c, 0, DNN_SRC, a);
    dnn_call_set(c, 1, DNN_DST, b);
    assert_int_equal(dnn_call_run(c, &e), ERR_OK);
    dnn_call_free(c);
    dnn_memory_free(a);
    dnn_memory_free(b);
    dnn_primitive_free(p);
}

/* What a convolution wants of a picture: blocks of channels on AVX2. */
static struct dnn_layout *wanted(struct dnn_engine *d)
{
    const int64_t picture[] = { 2, 32, 6, 6 }, kernel[] = { 32, 32, 3, 3 };
    struct dnn_layout *src = dnn_layout_new(4, picture, DNN_ANY);
    struct dnn_layout *weight = dnn_layout_new(4, kernel, DNN_ANY);
    struct dnn_conv c = { .src = src,
                          .weight = weight,
                          .dst = src,
                          .spatial = 2,
                          .stride = { 1, 1 },
                          .dilation = { 1, 1 },
                          .low = { 1, 1 },
                          .high = { 1, 1 } };
    struct dnn_primitive *conv;
    struct err e;
    assert_true(src && weight);
    assert_int_equal(dnn_conv_new(d, &c, &conv, &e), ERR_OK);
    struct dnn_layout *ret = dnn_primitive_layout(conv, DNN_SRC);
    assert_non_null(ret);
    dnn_primitive_free(conv);
    dnn_layout_free(src);
    dnn_layout_free(weight);
    return ret;
}

/* By way of what a convolution wants. */
static void check_wanted(struct dnn_engine *d, const struct view *v, const struct dnn_layout *like,
                         float *room)
{
    struct dnn_layout *there = dnn_layout_like(like, v->dims);
    struct dnn_layout *plain = dnn_layout_new(v->rank, v->dims, DNN_PLAIN);
    assert_true(there && plain);
    float *once = calloc(1, dnn_layout_bytes(there));
    float *twice = calloc((size_t)v->count, sizeof *twice);
    assert_true(once && twice);
    reorder(d, v->layout, room + v->offset, there, once);
    reorder(d, there, once, plain, twice);
    for (int64_t i = 0; i < v->count; i++)
        assert_true(twice[i] == room[v->at[i]]);
    dnn_layout_free(there);
    dnn_layout_free(plain);
    free(once);
    free(twice);
}

/* The entries as the layout says, straight and by way of its settled form. */
static void check(struct dnn_engine *d, const struct view *v, float *room)
{
    float *once = calloc((size_t)v->count, sizeof *once);
    float *twice = calloc((size_t)v->count, sizeof *twice);
    struct dnn_layout *plain = dnn_layout_new(v->rank, v->dims, DNN_PLAIN);
    struct dnn_layout *settled = dnn_layout_settled(v->layout);
    assert_true(once && twice && plain && settled);
    assert_true(dnn_layout_is_known(settled));
    assert_int_equal(dnn_layout_bytes(settled), (size_t)v->count * sizeof(float));
    reorder(d, v->layout, room + v->offset, plain, once);
    for (int64_t i = 0; i < v->count; i++)
        assert_true(once[i] == room[v->at[i]]);
    reorder(d, v->layout, room + v->offset, settled, twice);
    reorder(d, settled, twice, plain, once);
    for (int64_t i = 0; i < v->count; i++)
        assert_true(once[i] == room[v->at[i]]);
    if (dnn_layout_is_plain(v->layout))
        for (int64_t i = 0; i < v->count; i++)
            assert_int_equal(v->at[i], v->offset + i);
    dnn_layout_free(plain);
    dnn_layout_free(settled);
    free(once);
    free(twice);
}

static void views_say_where_entries_are(void **context)
{
    (void)context;
    struct dnn_engine *d;
    struct err e;
    int saved = dnn_thread_enter();
    static float room[ENTRIES_MAX];
    for (int i = 0; i < ENTRIES_MAX; i++)
        room[i] = (float)i;
    assert_int_equal(dnn_engine_new(&d, &e), ERR_OK);
    struct dnn_layout *like = wanted(d);
    for (int round = 0; round < ROUNDS; round++) {
        struct view v = begin();
        assert_true(v.count <= ENTRIES_MAX);
        assert_true(reshape(&v, dnn_layout_is_plain(v.layout)));
        for (int moves = (int)draw(5); moves > 0; moves--) {
            int64_t kind = draw(3);
            if (kind == 0)
                permute(&v);
            else if (kind == 1)
                cut(&v);
            else
                assert_true(reshape(&v, dnn_layout_is_plain(v.layout)));
        }
        check(d, &v, room);
        if (v.rank == 4)
            check_wanted(d, &v, like, room);
        dnn_layout_free(v.layout);
        free(v.at);
    }
    dnn_layout_free(like);
    dnn_engine_free(d);
    dnn_thread_leave(saved);
}

static void impossible_views(void **context)
{
    (void)context;
    const int64_t dims[] = { 2, 6, 4 }, joined[] = { 2, 24 }, other[] = { 2, 5, 5 };
    struct dnn_layout *last = dnn_layout_channels_last(3, dims);
    struct dnn_layout *plain = dnn_layout_new(3, dims, DNN_PLAIN);
    assert_true(last && plain);
    assert_null(dnn_layout_reshaped(last, 2, joined));
    assert_null(dnn_layout_reshaped(plain, 3, other));
    assert_int_equal(dnn_layout_innermost(last), 1);
    assert_int_equal(dnn_layout_innermost(plain), 2);
    dnn_layout_free(last);
    dnn_layout_free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_say_where_entries_are),
        cmocka_unit_test(impossible_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

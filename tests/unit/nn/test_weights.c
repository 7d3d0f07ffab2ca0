#include "nn/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 1000 };

struct source {
    const float *data;
    int calls;
    enum err_code fails;
};

static enum err_code fill(void *context, void *room, struct err *e)
{
    struct source *s = context;
    s->calls++;
    if (s->fails)
        return err_set(e, s->fails, "refused");
    memcpy(room, s->data, COUNT * sizeof(float));
    return ERR_OK;
}

static void *share(struct weights *w, struct source *s, const struct dnn_layout *to)
{
    void *at = NULL;
    struct err e;
    enum err_code r = weights_share(w, s->data, COUNT * sizeof(float), NULL, to,
                                    COUNT * sizeof(float), fill, s, &at, &e);
    assert_int_equal(r, s->fails);
    return at;
}

static void equal_stands_once(void **state)
{
    (void)state;
    struct weights *w;
    struct err e;
    float a[COUNT] = { 1 }, b[COUNT] = { 1 };
    struct source first = { .data = a }, second = { .data = b };
    assert_int_equal(weights_new(&w, &e), ERR_OK);
    void *at = share(w, &first, NULL);
    size_t bytes = weights_bytes(w);
    assert_true((uintptr_t)at % DNN_ALIGN == 0);
    assert_ptr_equal(share(w, &second, NULL), at);
    assert_int_equal(first.calls + second.calls, 1);
    assert_int_equal(weights_bytes(w), bytes);
    weights_unref(w);
}

/* One word anywhere, or the layout, makes another piece. */
static void different_stands_apart(void **state)
{
    (void)state;
    struct weights *w;
    struct err e;
    float a[COUNT] = { 1 }, b[COUNT];
    struct source first = { .data = a }, second = { .data = b };
    assert_int_equal(weights_new(&w, &e), ERR_OK);
    void *at = share(w, &first, NULL);
    for (int i = 0; i < COUNT; i++) {
        memcpy(b, a, sizeof a);
        b[i] += 0.5f;
        void *other = share(w, &second, NULL);
        assert_ptr_not_equal(other, at);
        assert_memory_equal(other, b, sizeof b);
    }
    assert_int_equal(second.calls, COUNT);
    assert_memory_equal(at, a, sizeof a);
    struct dnn_layout *l = dnn_layout_new(2, (int64_t[]){ 10, COUNT / 10 }, DNN_PLAIN);
    struct dnn_layout *m = dnn_layout_new(2, (int64_t[]){ COUNT / 10, 10 }, DNN_PLAIN);
    void *in_l = share(w, &first, l), *in_m = share(w, &first, m);
    assert_ptr_not_equal(in_l, at);
    assert_ptr_not_equal(in_m, in_l);
    assert_ptr_equal(share(w, &first, l), in_l);
    dnn_layout_free(l);
    dnn_layout_free(m);
    weights_unref(w);
}

static void a_failed_fill_leaves_nothing(void **state)
{
    (void)state;
    struct weights *w;
    struct err e;
    float a[COUNT] = { 2 };
    struct source s = { .data = a, .fails = ERR_DNN };
    assert_int_equal(weights_new(&w, &e), ERR_OK);
    assert_null(share(w, &s, NULL));
    assert_int_equal(weights_bytes(w), 0);
    s.fails = ERR_OK;
    assert_memory_equal(share(w, &s, NULL), a, sizeof a);
    assert_int_equal(s.calls, 2);
    weights_unref(w);
}

static void lives_with_its_last_reference(void **state)
{
    (void)state;
    struct weights *w;
    struct err e;
    float a[COUNT] = { 3 };
    struct source s = { .data = a };
    assert_int_equal(weights_new(&w, &e), ERR_OK);
    struct weights *second = weights_ref(w);
    void *at = share(w, &s, NULL);
    weights_unref(w);
    assert_memory_equal(at, a, sizeof a);
    weights_unref(second);
    weights_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_stands_once),
        cmocka_unit_test(different_stands_apart),
        cmocka_unit_test(a_failed_fill_leaves_nothing),
        cmocka_unit_test(lives_with_its_last_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

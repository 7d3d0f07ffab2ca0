#include "nn/explain.h"

#include "data/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct network *tiny(void)
{
    char path[512];
    struct err e;
    struct network *n;
    struct buf b;
    const char *source = getenv("KENNEL_SOURCE");
    snprintf(path, sizeof path, "%s/tests/unit/nn/tiny.onnx", source ? source : ".");
    buf_init(&b, NETWORK_BYTES_MAX);
    assert_int_equal(file_read(path, &b, &e), ERR_OK);
    assert_int_equal(network_load(b.data, b.len, &n, &e), ERR_OK);
    buf_fini(&b);
    return n;
}

static void rows_add_up(int batch, int threads)
{
    struct network *n = tiny();
    struct err e;
    struct plan *p;
    struct explain x;
    struct plan_options o = { .batch = batch, .threads = threads };
    assert_int_equal(plan_new(n, &o, &p, &e), ERR_OK);
    assert_int_equal(plan_explain(p, 5, &x, &e), ERR_OK);
    assert_int_equal(x.runs, 5);
    assert_true(x.count > 1);
    double sum = 0;
    size_t bytes = 0;
    for (int i = 0; i < x.count; i++) {
        const struct explain_row *row = &x.rows[i];
        assert_true(row->name && row->primitive && row->implementation[0] && row->output[0]);
        assert_true(row->microseconds >= 0);
        sum += row->microseconds;
        bytes += row->bytes;
    }
    assert_true(sum > 0 && sum < x.microseconds * 1.000001 && sum > x.microseconds * 0.999999);
    assert_true(bytes > plan_input_size(p) * (size_t)batch * sizeof(float));
    char first[32];
    snprintf(first, sizeof first, "%dx3x", batch);
    assert_int_equal(strncmp(x.rows[0].input, first, strlen(first)), 0);
    explain_fini(&x);
    assert_null(x.rows);
    plan_free(p);
    network_free(n);
}

static void one_thread(void **state)
{
    (void)state;
    rows_add_up(1, 1);
    rows_add_up(3, 1);
}

static void two_threads(void **state)
{
    (void)state;
    rows_add_up(1, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread),
        cmocka_unit_test(two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

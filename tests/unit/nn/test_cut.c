#include "nn/cut.h"

#include "tests/unit/nn/onnx_maker.h"

#include "data/base/cleanup.h"

CLEANUP_DEFINE(struct network, network_free);

/* x -> a -> r -> (b + r) -> s -> d -> f (the feature): 8 channels of 16 x 16, d has a stride of 4.
 * The sum's two ways cross beside each other. */
static struct network *make_network(void)
{
    static float ones[16 * 8 * 9];
    struct maker m = maker_new(13);
    struct network *n = NULL;
    struct err e;
    maker_input(&m, "x", 4, (int64_t[]){ -1, 3, 16, 16 });
    maker_output(&m, "f");
    maker_floats(&m, "wa", 4, (int64_t[]){ 8, 3, 3, 3 }, ones);
    maker_floats(&m, "wb", 4, (int64_t[]){ 8, 8, 3, 3 }, ones);
    maker_floats(&m, "wd", 4, (int64_t[]){ 16, 8, 1, 1 }, ones);
    maker_node(&m, "Conv", "conv_a", "x wa", "a", "l:pads=1,1,1,1");
    maker_node(&m, "Relu", "relu_a", "a", "r", "");
    maker_node(&m, "Conv", "conv_b", "r wb", "b", "l:pads=1,1,1,1");
    maker_node(&m, "Add", "sum", "b r", "s", "");
    maker_node(&m, "Conv", "conv_d", "s wd", "d", "l:strides=4,4");
    maker_node(&m, "GlobalAveragePool", "pool", "d", "p", "");
    maker_node(&m, "Flatten", "flat", "p", "f", "");
    struct buf bytes = maker_bytes(&m);
    if (network_load(bytes.data, bytes.len, &n, &e))
        fail_msg("%s", e.message);
    buf_fini(&bytes);
    return n;
}

static void by_name(void **state)
{
    (void)state;
    CLEANUP(network_free_p) struct network *n = make_network();
    const struct cut_budget none = { 0 };
    static const struct {
        const char *name;
        size_t floats;
    } good[] = {
        { "a", 2048 }, { "r", 2048 }, { "s", 2048 }, { "d", 256 }, { "p", 16 }, { "f", 16 }
    };
    double before = 1;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct cut c = { 0 };
        struct err e = { 0 };
        if (cut_choose(n, "f", good[i].name, &none, &c, &e))
            fail_msg("%s: %s", good[i].name, e.message);
        assert_string_equal(c.name, good[i].name);
        assert_int_equal(c.floats, good[i].floats);
        assert_true(c.share >= 0 && c.share < before);
        before = c.share;
    }
    assert_true(before == 0);
    static const struct {
        const char *name, *said;
    } bad[] = { { "b", "\"r\" is needed beside it" },
                { "x", "between" },
                { "wa", "between" },
                { "nothing", "no value" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct cut c = { .floats = 7 };
        struct err e = { 0 };
        assert_int_equal(cut_choose(n, "f", bad[i].name, &none, &c, &e), ERR_RECIPE);
        if (!strstr(e.message, bad[i].said))
            fail_msg("%s: %s", bad[i].name, e.message);
        assert_int_equal(c.floats, 7);
    }
}

static const char *automatic(const struct network *n, double share, int64_t bytes)
{
    const struct cut_budget b = { .share = share, .bytes = bytes, .values = 10 };
    struct cut c;
    assert_int_equal(cut_choose(n, "f", "auto", &b, &c, NULL), ERR_OK);
    return c.name;
}

/* conv_a: 8*3*9*256 multiplications, conv_b: 8*8*9*256, conv_d: 16*8*16. */
static void by_budget(void **state)
{
    (void)state;
    CLEANUP(network_free_p) struct network *n = make_network();
    int64_t plenty = 1 << 30;
    assert_string_equal(automatic(n, 1, plenty), "a");
    assert_string_equal(automatic(n, 0.73, plenty), "r");
    assert_string_equal(automatic(n, 0.1, plenty), "s");
    /* 2048 floats of 10 pictures are 81920 bytes: one byte less, and what is smaller is taken. */
    assert_string_equal(automatic(n, 1, 81920), "a");
    assert_string_equal(automatic(n, 1, 81919), "d");
    /* Nothing fits: the head alone is trained. */
    assert_string_equal(automatic(n, 0, plenty), "f");
    assert_string_equal(automatic(n, 1, 0), "f");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(by_name), cmocka_unit_test(by_budget) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

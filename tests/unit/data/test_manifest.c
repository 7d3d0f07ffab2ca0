#include "data/manifest.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEX_0 "0000000000000000000000000000000000000000000000000000000000000000"
#define HEX_1 "0000000000000000000000000000000000000000000000000000000000000001"
#define HEX_F "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

static void there_and_back(void **state)
{
    (void)state;
    enum { COUNT = 3000, LABELS = 150 };
    struct buf text;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < COUNT; i++) {
        struct digest d = { { [0] = (uint8_t)(i >> 8), [1] = (uint8_t)i, [31] = 9 } };
        char label[20];
        snprintf(label, sizeof label, "l%d", i * 7 % LABELS);
        assert_int_equal(manifest_line(&text, &d, (enum split)(i % 3), label, NULL), ERR_OK);
    }
    struct manifest m;
    assert_int_equal(manifest_parse((char *)text.data, text.len, &m, NULL), ERR_OK);
    assert_int_equal(m.count, COUNT);
    assert_int_equal(m.label_count, LABELS);
    for (int i = 1; i < LABELS; i++)
        assert_true(strcmp(m.labels[i - 1], m.labels[i]) < 0);
    for (int i = 0; i < COUNT; i++) {
        char label[20];
        snprintf(label, sizeof label, "l%d", i * 7 % LABELS);
        assert_int_equal(m.items[i].picture.bytes[1], i & 255);
        assert_int_equal(m.items[i].split, i % 3);
        assert_string_equal(m.labels[m.items[i].label], label);
    }
    struct buf again;
    buf_init(&again, 1 << 20);
    for (size_t i = 0; i < m.count; i++)
        assert_int_equal(manifest_line(&again, &m.items[i].picture, m.items[i].split,
                                       m.labels[m.items[i].label], NULL),
                         ERR_OK);
    assert_int_equal(again.len, text.len);
    assert_memory_equal(again.data, text.data, text.len);
    manifest_fini(&m);
    assert_null(m.items);
    buf_fini(&again);
    buf_fini(&text);
}

static void the_text_is_what_is_promised(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    struct digest zero = { { 0 } };
    assert_int_equal(manifest_line(&b, &zero, SPLIT_VAL, "caf\xc3\xa9", NULL), ERR_OK);
    assert_string_equal((char *)b.data, HEX_0 "\tval\tcaf\xc3\xa9\n");
    buf_fini(&b);
}

static void a_line_that_cannot_stand_is_refused(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    struct digest zero = { { 0 } }, one = { { [31] = 1 } }, two = { { [31] = 2 } };
    assert_int_equal(manifest_line(&b, &one, SPLIT_TRAIN, "a", NULL), ERR_OK);
    assert_int_equal(manifest_line(&b, &one, SPLIT_TRAIN, "b", NULL), ERR_INTERNAL);
    assert_int_equal(manifest_line(&b, &zero, SPLIT_TRAIN, "b", NULL), ERR_INTERNAL);
    assert_int_equal(manifest_line(&b, &two, SPLIT_AUTO, "b", NULL), ERR_INTERNAL);
    assert_int_equal(manifest_line(&b, &two, SPLIT_VAL, "a\tb", NULL), ERR_LAYOUT);
    assert_string_equal((char *)b.data, HEX_1 "\ttrain\ta\n");
    assert_int_equal(manifest_line(&b, &two, SPLIT_VAL, "b", NULL), ERR_OK);
    assert_int_equal(manifest_line(&b, &one, SPLIT_VAL, "b", NULL), ERR_INTERNAL);
    buf_fini(&b);
}

static void an_empty_manifest_is_one(void **state)
{
    (void)state;
    struct manifest m = { .count = 7 };
    assert_int_equal(manifest_parse("", 0, &m, NULL), ERR_OK);
    assert_int_equal(m.count, 0);
    assert_int_equal(m.label_count, 0);
    manifest_fini(&m);
}

static void damage_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *named;
    } cases[] = {
        { "\n", "line 1" },
        { HEX_0 "\ttrain\ta", "line 1" },
        { HEX_0 "\ttrain\t\n", "line 1" },
        { HEX_0 "\ttrain\n", "line 1" },
        { HEX_0 "\n", "line 1" },
        { HEX_0 " train a\n", "line 1" },
        { HEX_0 "\tauto\ta\n", "line 1" },
        { HEX_0 "\tvalid\ta\n", "line 1" },
        { HEX_0 "\t\ta\n", "line 1" },
        { HEX_0 "\ttrain\ta\tb\n", "line 1" },
        { HEX_0 "\ttrain\ta\r\n", "line 1" },
        { HEX_0 "\ttrain\t\xff\n", "line 1" },
        { "0" HEX_0 "\ttrain\ta\n", "line 1" },
        { HEX_0 "\ttrain\ta\n\n", "line 2" },
        { HEX_0 "\ttrain\ta\n" HEX_0 "\ttrain\ta\n", "line 2" },
        { HEX_1 "\ttrain\ta\n" HEX_0 "\ttrain\ta\n", "line 2" },
        { HEX_0 "\ttrain\ta\n" HEX_1 "\ttrain\ta\nFFff\ttrain\ta\n", "line 3" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct manifest m = { .count = 7 };
        struct err e;
        assert_int_equal(manifest_parse(cases[i].text, strlen(cases[i].text), &m, &e),
                         ERR_BLOB_CORRUPT);
        assert_non_null(strstr(e.message, cases[i].named));
        assert_int_equal(m.count, 7);
    }
}

/* The bytes are exactly as long as told, so that a read past them is seen. */
static void every_cut_and_flip_is_harmless(void **state)
{
    (void)state;
    static const char text[] = HEX_0 "\ttrain\tb\n" HEX_1 "\ttest\ta\n" HEX_F "\tval\tb\n";
    size_t len = sizeof text - 1;
    for (size_t cut = 0; cut <= len; cut++) {
        char *copy = malloc(cut + !cut);
        assert_non_null(copy);
        memcpy(copy, text, cut);
        struct manifest m;
        bool whole = cut == 0 || text[cut - 1] == '\n';
        assert_int_equal(manifest_parse(copy, cut, &m, NULL), whole ? ERR_OK : ERR_BLOB_CORRUPT);
        if (whole)
            manifest_fini(&m);
        free(copy);
    }
    for (size_t i = 0; i < len; i++) {
        char copy[sizeof text];
        memcpy(copy, text, sizeof text);
        copy[i] = 0;
        struct manifest m;
        assert_int_equal(manifest_parse(copy, len, &m, NULL), ERR_BLOB_CORRUPT);
    }
    char longest[2 * LABEL_MAX + 100];
    for (int n = LABEL_MAX - 1; n <= 2 * LABEL_MAX; n++) {
        struct manifest m;
        int size = snprintf(longest, sizeof longest, HEX_0 "\ttrain\t%0*d\n", n, 0);
        bool fits = n <= LABEL_MAX;
        assert_int_equal(manifest_parse(longest, (size_t)size, &m, NULL),
                         fits ? ERR_OK : ERR_BLOB_CORRUPT);
        if (fits)
            manifest_fini(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(the_text_is_what_is_promised),
        cmocka_unit_test(a_line_that_cannot_stand_is_refused),
        cmocka_unit_test(an_empty_manifest_is_one),
        cmocka_unit_test(damage_is_refused_with_its_line),
        cmocka_unit_test(every_cut_and_flip_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "data/layout.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void paths_that_say_where_they_belong(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum split split;
        const char *label;
    } cases[] = {
        { "beagle/a.jpg", SPLIT_AUTO, "beagle" },
        { "train/beagle/a.jpg", SPLIT_TRAIN, "beagle" },
        { "val/beagle/a.jpg", SPLIT_VAL, "beagle" },
        { "valid/beagle/a.jpg", SPLIT_VAL, "beagle" },
        { "validation/beagle/a.jpg", SPLIT_VAL, "beagle" },
        { "test/beagle/a.jpg", SPLIT_TEST, "beagle" },
        { "a/b/c/test/beagle/a.jpg", SPLIT_TEST, "beagle" },
        { "train/train/a.jpg", SPLIT_TRAIN, "train" },
        { "val/train/x/a", SPLIT_TRAIN, "x" },
        { "train/val/beagle/a.jpg", SPLIT_VAL, "beagle" },
        { "Train/a.jpg", SPLIT_AUTO, "Train" },
        { "trainer/a.jpg", SPLIT_AUTO, "trainer" },
        { "n02088364-beagle/a b.jpg", SPLIT_AUTO, "n02088364-beagle" },
        { "caf\xc3\xa9 \xe7\x8a\xac/a.jpg", SPLIT_AUTO, "caf\xc3\xa9 \xe7\x8a\xac" },
        { ".hidden/a.jpg", SPLIT_AUTO, ".hidden" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct layout l = { .split = SPLIT_TEST, .label = "before" };
        bool skip = true;
        enum err_code r = layout_parse(cases[i].path, &l, &skip, NULL);
        assert_int_equal(r, ERR_OK);
        assert_false(skip);
        assert_int_equal(l.split, cases[i].split);
        assert_string_equal(l.label, cases[i].label);
    }
}

static void other_paths_are_refused_with_what_was_expected(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "",
        "a.jpg",
        "dogs/beagle/a.jpg",
        "train/beagle/more/a.jpg",
        "train/a.jpg",
        "val/a.jpg",
        "test/a.jpg",
        "valid/a.jpg",
        "TRAIN/beagle/a.jpg",
        "beagle/",
        "/a.jpg",
        "train//a.jpg",
        "./a.jpg",
        "train/../a.jpg",
        "a\tb/a.jpg",
        "a\x7f/a.jpg",
        "a\xc2\x80/a.jpg",
        "caf\xe9/a.jpg",
        "caf\xef\xbf\xbd/a.jpg",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct layout l = { .split = SPLIT_TEST, .label = "before" };
        struct layout before = l;
        bool skip = false;
        struct err e = { 0 };
        assert_int_equal(layout_parse(paths[i], &l, &skip, &e), ERR_LAYOUT);
        assert_true(strstr(e.message, "LABEL") || strstr(e.message, "label"));
        assert_memory_equal(&l, &before, sizeof l);
        assert_false(skip);
    }
}

static void clutter_is_skipped(void **state)
{
    (void)state;
    static const char *const paths[] = {
        ".DS_Store",           "beagle/.DS_Store",     "Thumbs.db",      "train/beagle/Thumbs.db",
        "__MACOSX/beagle/._a", "__MACOSX/x/y/z/a.jpg", "beagle/._a.jpg", "._beagle/a.jpg",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct layout l = { 0 };
        bool skip = false;
        assert_int_equal(layout_parse(paths[i], &l, &skip, NULL), ERR_OK);
        assert_true(skip);
    }
}

static void labels_have_200_bytes_at_most(void **state)
{
    (void)state;
    char path[LABEL_MAX + 10];
    struct layout l;
    bool skip;
    for (int len = LABEL_MAX - 1; len <= LABEL_MAX + 1; len++) {
        memset(path, 'x', sizeof path);
        strcpy(path + len, "/a");
        assert_int_equal(layout_parse(path, &l, &skip, NULL),
                         len > LABEL_MAX ? ERR_LAYOUT : ERR_OK);
        path[len] = 0;
        assert_int_equal(layout_check_label(path, NULL), len > LABEL_MAX ? ERR_LAYOUT : ERR_OK);
    }
    assert_int_equal(layout_check_label("", NULL), ERR_LAYOUT);
    assert_int_equal(layout_check_label("a/b", NULL), ERR_LAYOUT);
    assert_int_equal(layout_check_label(".", NULL), ERR_LAYOUT);
    assert_int_equal(layout_check_label("..", NULL), ERR_LAYOUT);
    assert_int_equal(layout_check_label("...", NULL), ERR_OK);
}

/* One in five, and never another one: the numbers are part of what a dataset version means. */
static void the_automatic_split_is_stable(void **state)
{
    (void)state;
    int val = 0;
    for (int i = 0; i < 10000; i++) {
        char text[20];
        struct digest d;
        snprintf(text, sizeof text, "picture %d", i);
        assert_int_equal(digest_of(text, strlen(text), &d, NULL), ERR_OK);
        enum split s = layout_auto_split(&d);
        assert_true(s == SPLIT_TRAIN || s == SPLIT_VAL);
        val += s == SPLIT_VAL;
    }
    assert_in_range(val, 1900, 2100);

    static const enum split expected[] = { SPLIT_VAL,   SPLIT_TRAIN, SPLIT_TRAIN,
                                           SPLIT_TRAIN, SPLIT_TRAIN, SPLIT_VAL };
    for (uint8_t i = 0; i < 6; i++) {
        struct digest d = { { [31] = i } };
        assert_int_equal(layout_auto_split(&d), expected[i]);
    }
}

static void split_texts(void **state)
{
    (void)state;
    enum split s = SPLIT_AUTO;
    assert_true(split_parse("val", &s) && s == SPLIT_VAL);
    assert_false(split_parse("valid", &s) || split_parse("", &s) || split_parse("Train", &s));
    assert_int_equal(s, SPLIT_VAL);
    assert_string_equal(split_text(SPLIT_TEST), "test");
    assert_null(split_text(SPLIT_AUTO));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_that_say_where_they_belong),
        cmocka_unit_test(other_paths_are_refused_with_what_was_expected),
        cmocka_unit_test(clutter_is_skipped),
        cmocka_unit_test(labels_have_200_bytes_at_most),
        cmocka_unit_test(the_automatic_split_is_stable),
        cmocka_unit_test(split_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

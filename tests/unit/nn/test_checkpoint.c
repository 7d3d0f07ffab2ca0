#include "nn/checkpoint.h"

#include "data/base/cleanup.h"
#include "data/base/file.h"
#include "data/base/json.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[64], path[100];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/kennel-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/checkpoint", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(file_remove_tree(folder, NULL), ERR_OK);
    return 0;
}

static void write_one(int step)
{
    float a[3] = { 1, 2, (float)step }, b[1] = { 4 };
    const struct checkpoint_array arrays[] = { { a, 3 }, { NULL, 0 }, { b, 1 } };
    CLEANUP(json_decref_p) json_t *header = json_pack("{s:i, s:f}", "step", step, "loss", 0.1);
    assert_int_equal(checkpoint_write(path, header, arrays, 3, NULL), ERR_OK);
}

static int step_there(void)
{
    CLEANUP(json_decref_p) json_t *header = NULL;
    assert_int_equal(checkpoint_header(path, &header, NULL), ERR_OK);
    if (header)
        assert_true(json_number_value(json_object_get(header, "loss")) == 0.1);
    return header ? (int)json_integer_value(json_object_get(header, "step")) : -1;
}

static void comes_back(void **state)
{
    (void)state;
    float a[3], b[1];
    const struct checkpoint_array arrays[] = { { a, 3 }, { NULL, 0 }, { b, 1 } };
    assert_int_equal(step_there(), -1);
    for (int step = 7; step < 9; step++) {
        write_one(step);
        assert_int_equal(step_there(), step);
        assert_int_equal(checkpoint_read(path, arrays, 3, NULL), ERR_OK);
        assert_true(a[0] == 1 && a[2] == (float)step && b[0] == 4);
    }
    const struct checkpoint_array others[] = { { a, 2 } };
    assert_int_equal(checkpoint_read(path, others, 1, NULL), ERR_INTERNAL);
}

static void a_damaged_one_is_none(void **state)
{
    (void)state;
    struct stat st;
    write_one(1);
    assert_int_equal(stat(path, &st), 0);
    for (off_t at = 0; at < st.st_size; at++) {
        write_one(1);
        CLEANUP(cleanup_fd) int fd = open(path, O_RDWR | O_CLOEXEC);
        char byte = 0;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte = (char)(byte ^ 0x10);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(step_there(), -1);
    }
    for (off_t len = 0; len < st.st_size; len++) {
        write_one(1);
        assert_int_equal(truncate(path, len), 0);
        assert_int_equal(step_there(), -1);
    }
}

static void a_failed_write_leaves_the_old_one(void **state)
{
    (void)state;
    char beside[120];
    write_one(1);
    snprintf(beside, sizeof beside, "%s.new", path);
    assert_int_equal(mkdir(beside, 0700), 0); /* nothing can be written there */
    CLEANUP(json_decref_p) json_t *header = json_object();
    struct err e;
    assert_int_equal(checkpoint_write(path, header, NULL, 0, &e), ERR_IO);
    assert_non_null(strstr(e.message, beside));
    assert_int_equal(step_there(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_one_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_write_leaves_the_old_one, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

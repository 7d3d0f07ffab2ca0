#include "data/base/config.h"
#include "data/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct seen {
    char text[500];
    const char *refused;
};

static enum err_code take(void *context, const char *name, const char *value, struct err *e)
{
    struct seen *seen = context;
    if (seen->refused && strcmp(name, seen->refused) == 0)
        return err_set(e, ERR_FIELD_UNKNOWN, "unknown option %s", name);
    size_t at = strlen(seen->text);
    snprintf(seen->text + at, sizeof seen->text - at, "<%s|%s>", name, value);
    return ERR_OK;
}

static enum err_code read_text(const char *text, struct seen *seen, struct err *e)
{
    char path[] = "/tmp/kennel-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, text, strlen(text), path, e), ERR_OK);
    close(fd);
    struct buf kept;
    enum err_code code = config_read(path, take, seen, &kept, e);
    buf_fini(&kept);
    unlink(path);
    return code;
}

static void test_lines(void **state)
{
    (void)state;
    struct err e = { 0 };
    struct seen seen = { 0 };
    assert_int_equal(read_text("# a comment\n\n listen = 127.0.0.1:5001 \r\nstate=/var/lib/a b\n"
                               "empty =\n\t# more\nlast = a=b",
                               &seen, &e),
                     ERR_OK);
    assert_string_equal(seen.text, "<listen|127.0.0.1:5001><state|/var/lib/a b><empty|><last|a=b>");
    seen.text[0] = 0;
    assert_int_equal(read_text("", &seen, &e), ERR_OK);
    assert_string_equal(seen.text, "");
}

static void test_refusals_name_the_line(void **state)
{
    (void)state;
    struct err e = { 0 };
    struct seen seen = { .refused = "b" };
    assert_int_equal(read_text("a = 1\nb = 2\n", &seen, &e), ERR_FIELD_UNKNOWN);
    assert_non_null(strstr(e.message, ", line 2: unknown option b"));
    assert_int_equal(read_text("\n\njust a word\n", &seen, &e), ERR_FIELD_RANGE);
    assert_non_null(strstr(e.message, ", line 3: expected NAME = VALUE"));
    struct buf kept;
    assert_int_equal(config_read("/nowhere/kennel.conf", take, &seen, &kept, &e), ERR_IO);
    buf_fini(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_refusals_name_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

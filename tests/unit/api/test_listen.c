#include "api/listen.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

static enum err_code try(const char *address, bool allow_remote, struct err *e)
{
    int fd = -1;
    uint16_t port = 0;
    enum err_code code = listen_open(address, allow_remote, &fd, &port, e);
    if (!code) {
        assert_true(fd >= 0);
        assert_true(port > 0);
        close(fd);
    } else {
        assert_int_equal(fd, -1);
    }
    return code;
}

static void test_loopback(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(try("127.0.0.1:0", false, &e), ERR_OK);
    assert_int_equal(try("127.1.2.3:0", false, &e), ERR_OK);
    assert_int_equal(try("localhost:0", false, &e), ERR_OK);
}

static void test_beyond_loopback(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(try("0.0.0.0:0", false, &e), ERR_PATH_FORBIDDEN);
    assert_non_null(strstr(e.message, "--allow-remote"));
    assert_int_equal(try("[::]:0", false, &e), ERR_PATH_FORBIDDEN);
    assert_int_equal(try("0.0.0.0:0", true, &e), ERR_OK);
}

static void test_no_addresses(void **state)
{
    (void)state;
    static const char *const bad[] = { "",         "127.0.0.1",   "127.0.0.1:",      ":5001",
                                       "::1:5001", "127.0.0.1:x", "127.0.0.1:70000", "[::1]",
                                       "a:123456" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e;
        assert_int_equal(try(bad[i], true, &e), ERR_FIELD_RANGE);
    }
}

static void test_taken_port(void **state)
{
    (void)state;
    int fd;
    uint16_t port, other;
    char address[64];
    struct err e;
    assert_int_equal(listen_open("127.0.0.1:0", false, &fd, &port, &e), ERR_OK);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    int second;
    assert_int_equal(listen_open(address, false, &second, &other, &e), ERR_IO);
    assert_non_null(strstr(e.message, address));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_beyond_loopback),
        cmocka_unit_test(test_no_addresses),
        cmocka_unit_test(test_taken_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "daemon/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static bool allowed(const char *configuration, const char *host)
{
    struct err e = { 0 };
    struct address_allow allow;
    if (address_allow_parse(configuration, &allow, &e))
        fail_msg("%s", e.message);
    return address_text_is_allowed(&allow, host);
}

static void test_not_public(void **context)
{
    (void)context;
    static const char *const refused[] = {
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "[::1]",
        "[::]",
        "::1",
        "[fe80::1]",
        "[fd00::1]",
        "[ff02::1]",
        "[::ffff:10.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::a00:1]",
        "[2002:7f00:1::]",
        "[2001:db8::1]",
        "[::7f00:1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b:1::a00:1]",
        "[100::1]",
        "[1000::1]",
        "[3fff::1]",
        "[4000::1]",
        "[5f00::1]",
        "[e000::1]",
        "[fec0::1]",
    };
    static const char *const taken[] = {
        "1.1.1.1",         "172.15.255.255",    "172.32.0.0", "11.0.0.0",         "192.167.255.255",
        "223.255.255.255", "[2606:4700::1111]", "[2a00::1]",  "[::ffff:8.8.8.8]", "example.org",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (allowed(NULL, refused[i]))
            fail_msg("%s is allowed", refused[i]);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (!allowed(NULL, taken[i]))
            fail_msg("%s is refused", taken[i]);
}

static void test_configured(void **context)
{
    (void)context;
    assert_true(allowed("loopback", "127.0.0.1"));
    assert_true(allowed("loopback", "[::1]"));
    assert_false(allowed("loopback", "10.0.0.1"));
    assert_true(allowed("private", "192.168.3.4"));
    assert_true(allowed("private", "[fd12::1]"));
    assert_false(allowed("private", "127.0.0.1"));
    assert_false(allowed("private", "169.254.169.254"));
    assert_true(allowed("10.1.0.0/16,127.0.0.1", "10.1.255.255"));
    assert_false(allowed("10.1.0.0/16,127.0.0.1", "10.2.0.0"));
    assert_true(allowed("10.1.0.0/16,127.0.0.1", "127.0.0.1"));
    assert_false(allowed("10.1.0.0/16,127.0.0.1", "127.0.0.2"));
    assert_true(allowed("10.128.0.0/9", "10.128.0.0"));
    assert_false(allowed("10.128.0.0/9", "10.127.255.255"));
    assert_true(allowed("fd00::/8", "[fdff::1]"));
    assert_true(allowed("0.0.0.0/0", "127.0.0.1"));
}

static void test_malformed(void **context)
{
    (void)context;
    static const char *const bad[] = { "",         "10.0.0.0/33", "10.0.0/8",    "fd00::/129",
                                       "private,", "10.0.0.0/",   "10.0.0.0/-1", "10.0.0.0/8x",
                                       "Loopback", "example.org" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = { 0 };
        struct address_allow allow;
        assert_int_equal(address_allow_parse(bad[i], &allow, &e), ERR_FIELD_RANGE);
    }
    char many[ADDRESS_BLOCKS_MAX * 8 + 16] = "1.1.1.1";
    for (int i = 1; i < ADDRESS_BLOCKS_MAX; i++)
        strcat(many, ",1.1.1.1");
    struct err e = { 0 };
    struct address_allow allow;
    assert_int_equal(address_allow_parse(many, &allow, &e), ERR_OK);
    strcat(many, ",1.1.1.1");
    assert_int_equal(address_allow_parse(many, &allow, &e), ERR_FIELD_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_public),
        cmocka_unit_test(test_configured),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "api/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

/* A record of that type and length at *at. */
static size_t put(uint8_t *at, uint8_t type, size_t len)
{
    memset(at, 0xa5, 5 + len);
    at[0] = type;
    at[1] = at[2] = 3;
    at[3] = (uint8_t)(len >> 8);
    at[4] = (uint8_t)len;
    return 5 + len;
}

static void test_alerts_and_short_records_are_a_goodbye(void **context)
{
    (void)context;
    uint8_t bytes[256] = { 0 };
    assert_true(tls_is_goodbye(bytes, 0));
    assert_true(tls_is_goodbye(bytes, put(bytes, 21, 26))); /* TLS 1.2, AES-GCM */
    assert_true(tls_is_goodbye(bytes, put(bytes, 21, 80))); /* with a MAC and padding */
    size_t len = put(bytes, 23, 22);                        /* TLS 1.3: a change of keys */
    len += put(bytes + len, 23, 19);                        /* and close_notify */
    assert_true(tls_is_goodbye(bytes, len));
}

static void test_what_may_be_a_request_is_none(void **context)
{
    (void)context;
    uint8_t bytes[256] = { 0 };
    assert_false(tls_is_goodbye(bytes, put(bytes, 23, 18 + 1 + 16)));
    assert_false(tls_is_goodbye(bytes, put(bytes, 23, 18 + 8)));
    size_t len = put(bytes, 23, 40);
    len += put(bytes + len, 21, 26);
    assert_false(tls_is_goodbye(bytes, len));
    assert_false(tls_is_goodbye(bytes, put(bytes, 22, 19)));
    /* The rest is not here yet. */
    len = put(bytes, 21, 26);
    for (size_t cut = 1; cut < len; cut++)
        assert_false(tls_is_goodbye(bytes, cut));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alerts_and_short_records_are_a_goodbye),
        cmocka_unit_test(test_what_may_be_a_request_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

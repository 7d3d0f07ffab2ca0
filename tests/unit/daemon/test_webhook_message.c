#include "daemon/webhook_message.h"

#include "daemon/webhook_sender.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The example of the reference libraries (github.com/standard-webhooks/standard-webhooks). */
static void test_signature(void **context)
{
    (void)context;
    struct err e = { 0 };
    struct webhook_secret secret;
    char signature[WEBHOOK_SIGNATURE_TEXT];
    assert_int_equal(webhook_secret_parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &secret, &e),
                     ERR_OK);
    assert_int_equal(webhook_sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                                  "{\"test\": 2432232314}", signature, &e),
                     ERR_OK);
    assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void test_secrets(void **context)
{
    (void)context;
    struct err e = { 0 };
    struct webhook_secret one, two, again;
    char text[WEBHOOK_SECRET_TEXT];
    assert_int_equal(webhook_secret_new(&one, &e), ERR_OK);
    assert_int_equal(webhook_secret_new(&two, &e), ERR_OK);
    assert_memory_not_equal(one.bytes, two.bytes, one.len);
    assert_int_equal(webhook_secret_text(&one, text, &e), ERR_OK);
    assert_int_equal(webhook_secret_parse(text, &again, &e), ERR_OK);
    assert_int_equal(again.len, one.len);
    assert_memory_equal(again.bytes, one.bytes, one.len);
    for (size_t len = WEBHOOK_SECRET_MIN - 1; len <= WEBHOOK_SECRET_MAX + 1; len++) {
        struct webhook_secret s = { .len = len < WEBHOOK_SECRET_MAX ? len : WEBHOOK_SECRET_MAX };
        bool fits = len >= WEBHOOK_SECRET_MIN && len <= WEBHOOK_SECRET_MAX;
        assert_int_equal(webhook_secret_text(&s, text, &e), ERR_OK);
        if (len > WEBHOOK_SECRET_MAX) /* 64 bytes are 88 letters, the last 2 of them padding */
            memcpy(text + strlen(text) - 2, "A=", 3);
        assert_int_equal(webhook_secret_parse(text, &again, &e), fits ? ERR_OK : ERR_FIELD_RANGE);
    }
    static const char *const bad[] = { "", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                       "whsec_!fKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(webhook_secret_parse(bad[i], &again, &e), ERR_FIELD_RANGE);
        assert_null(strstr(e.message, "fKQ9"));
    }
}

static void test_body(void **context)
{
    (void)context;
    struct err e = { 0 };
    char *body = NULL;
    assert_int_equal(
        webhook_body("event-7", "job.failed", "job/x", 1614265330123, "{\"a\":1}", &body, &e),
        ERR_OK);
    assert_string_equal(body,
                        "{\"specversion\":\"1.0\",\"id\":\"event-7\",\"source\":\"/api/v1/events\","
                        "\"type\":\"job.failed\",\"subject\":\"job/x\","
                        "\"time\":\"2021-02-25T15:02:10.123Z\","
                        "\"datacontenttype\":\"application/json\",\"data\":{\"a\":1}}");
    free(body);
}

/* 5 s, 20 s, 80 s, ... at most a day; give or take a fifth. */
static void test_pauses(void **context)
{
    (void)context;
    const struct webhook_options o = { .retry_ms = 5000 };
    assert_int_equal(webhook_pause_ms(&o, 1, 200), 5000);
    assert_int_equal(webhook_pause_ms(&o, 2, 200), 20000);
    assert_int_equal(webhook_pause_ms(&o, 4, 200), 320000);
    assert_int_equal(webhook_pause_ms(&o, 1, 0), 4000);
    assert_int_equal(webhook_pause_ms(&o, 1, 400), 6000);
    assert_int_equal(webhook_pause_ms(&o, 1, 401), 4000);
    assert_int_equal(webhook_pause_ms(&o, 20, 400), 86400000);
    for (uint32_t random = 0; random < 5000; random++)
        assert_in_range(webhook_pause_ms(&o, 3, random), 64000, 96000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "registry_fixture.h"

#include "daemon/key_file.h"
#include "daemon/key_ring.h"
#include "daemon/role.h"

static struct key make(const char *name, enum role role, const char *secret)
{
    struct err e = { 0 };
    struct key k = { .role = role };
    snprintf(k.name, sizeof k.name, "%s", name);
    assert_ok(digest_of(secret, strlen(secret), &k.digest, &e));
    return k;
}

static enum err_code check(struct key_ring *r, const char *secret, enum role needed, int64_t ms,
                           int *retry)
{
    struct err e = { 0 };
    struct digest d;
    const struct key *found;
    assert_ok(digest_of(secret, strlen(secret), &d, &e));
    return key_ring_check(r, &d, needed, ms, ms * 1000, &found, retry, &e);
}

static void test_roles_are_a_ladder(void **state)
{
    (void)state;
    struct err e = { 0 };
    struct key_ring r = { 0 };
    int retry = 0;
    for (int i = 0; i < ROLES; i++) {
        struct key k = make(role_text((enum role)i), (enum role)i, role_text((enum role)i));
        assert_ok(key_ring_add(&r, &k, &e));
    }
    for (int have = 0; have < ROLES; have++)
        for (int needed = 0; needed < ROLES; needed++)
            assert_int_equal(check(&r, role_text((enum role)have), (enum role)needed, 1, &retry),
                             have >= needed ? ERR_OK : ERR_ROLE);
    assert_int_equal(check(&r, "nobody", ROLE_SCORE, 1, &retry), ERR_KEY_INVALID);
    key_ring_fini(&r);
}

static void test_a_key_ends(void **state)
{
    (void)state;
    struct err e = { 0 };
    struct key_ring r = { 0 };
    int retry = 0;
    struct key k = make("a", ROLE_ADMIN, "secret");
    k.expires_ms = 1000;
    assert_ok(key_ring_add(&r, &k, &e));
    assert_int_equal(check(&r, "secret", ROLE_SCORE, 999, &retry), ERR_OK);
    assert_int_equal(check(&r, "secret", ROLE_SCORE, 1000, &retry), ERR_KEY_INVALID);
    key_ring_fini(&r);
}

static void test_rate(void **state)
{
    (void)state;
    struct err e = { 0 };
    struct key_ring r = { 0 };
    int retry = 0;
    struct key k = make("a", ROLE_SCORE, "secret");
    k.rate = 0.5;
    assert_ok(key_ring_add(&r, &k, &e));
    assert_int_equal(check(&r, "secret", ROLE_SCORE, 5000, &retry), ERR_OK);
    assert_int_equal(check(&r, "secret", ROLE_SCORE, 5500, &retry), ERR_RATE);
    assert_int_equal(retry, 2);
    /* A refused request costs nothing, and a pause fills the bucket no higher than its rim. */
    assert_int_equal(check(&r, "secret", ROLE_SCORE, 7000, &retry), ERR_OK);
    assert_int_equal(check(&r, "secret", ROLE_SCORE, 90000, &retry), ERR_OK);
    assert_int_equal(check(&r, "secret", ROLE_SCORE, 90000, &retry), ERR_RATE);

    struct key_ring next = { 0 };
    assert_ok(key_ring_add(&next, &k, &e));
    key_ring_inherit(&next, &r);
    assert_int_equal(check(&next, "secret", ROLE_SCORE, 90000, &retry), ERR_RATE);
    key_ring_fini(&next);
    key_ring_fini(&r);
}

static void test_limit(void **state)
{
    (void)state;
    struct err e = { 0 };
    struct key_ring r = { 0 };
    struct key k = make("a", ROLE_SCORE, "secret");
    for (int i = 0; i < KEYS_MAX; i++)
        assert_ok(key_ring_add(&r, &k, &e));
    assert_int_equal(key_ring_add(&r, &k, &e), ERR_KEY_LIMIT);
    key_ring_fini(&r);
}

static enum err_code read_text(struct fixture *f, const char *text, struct key_ring *ret,
                               struct err *ret_e)
{
    struct err e = { 0 };
    char path[100];
    snprintf(path, sizeof path, "%s/keys", f->dir);
    assert_ok(file_write_atomic(path, text, strlen(text), &e));
    return key_file_read(path, ret, ret_e);
}

#define SECRET "0123456789abcdef0123456789ABCDEF"

static void test_file(void **state)
{
    struct err e = { 0 };
    struct key_ring r = { 0 };
    int retry = 0;
    assert_ok(read_text(*state,
                        "# who may do what\n\n  ci train " SECRET "\r\nphone\tscore\tx" SECRET
                        " 2.5\nlast admin y" SECRET,
                        &r, &e));
    assert_int_equal(r.count, 3);
    assert_int_equal(check(&r, SECRET, ROLE_TRAIN, 1, &retry), ERR_OK);
    assert_int_equal(check(&r, "y" SECRET, ROLE_ADMIN, 1, &retry), ERR_OK);
    assert_string_equal(r.keys[1].name, "phone");
    assert_true(r.keys[1].rate > 2.4 && r.keys[1].rate < 2.6);
    key_ring_fini(&r);
    assert_ok(read_text(*state, "", &r, &e));
    assert_int_equal(r.count, 0);
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *text, *rule;
    } cases[] = {
        { "ci train\n", "line 1: expected" },
        { "#\nci train " SECRET " 1 more\n", "line 2: expected" },
        { "c/i train " SECRET "\n", "line 1: the name" },
        { "ci king " SECRET "\n", "line 1: the role" },
        { "ci train short\n", "line 1: the key must" },
        { "ci train " SECRET SECRET SECRET SECRET "x\n", "line 1: the key must" },
        { "ci train " SECRET "\"\n", "line 1: the key must" },
        { "ci train " SECRET " 0\n", "line 1: the rate" },
        { "ci train " SECRET " nan\n", "line 1: the rate" },
        { "ci train " SECRET " 1e7\n", "line 1: the rate" },
        { SECRET "$ train ci\n", "line 1: the name" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = { 0 };
        struct key_ring r = { 0 };
        assert_int_equal(read_text(*state, cases[i].text, &r, &e), ERR_FIELD_RANGE);
        if (!strstr(e.message, cases[i].rule) || strstr(e.message, SECRET))
            fail_msg("%s", e.message);
        key_ring_fini(&r);
    }
    struct err e = { 0 };
    struct key_ring r = { 0 };
    assert_int_equal(key_file_read("/nowhere/keys", &r, &e), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles_are_a_ladder),
        cmocka_unit_test(test_a_key_ends),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_limit),
        cmocka_unit_test_setup_teardown(test_file, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_bad_files, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

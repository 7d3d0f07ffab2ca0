#include "daemon/plan_cache.h"

#include "serving_fixture.h"

enum { ONE = FAKE_BYTES + FAKE_SCRATCH_BYTES };

struct shelf {
    struct plan_cache cache;
    struct classifier network;
    struct serve_ref refs[16];
    int count;
};

/* A snapshot that nobody has used since the ones before it. */
static struct serve_ref *make(struct shelf *s, const char *model, int64_t version)
{
    struct serve_ref *r = &s->refs[s->count++];
    *r = (struct serve_ref){
        .model = (char *)model, .version = version, .classifier = &s->network, .scratches = 1
    };
    plan_cache_use(&s->cache, r);
    return r;
}

static void test_a_full_shelf_gives_up_what_was_used_longest_ago(void **context)
{
    (void)context;
    struct shelf s = { 0 };
    for (int i = 1; i <= PLAN_CACHE_KEPT; i++)
        assert_null(plan_cache_keep(&s.cache, make(&s, "m", i)));
    plan_cache_use(&s.cache, plan_cache_find(&s.cache, "m", 1));
    assert_int_equal(plan_cache_keep(&s.cache, make(&s, "m", 9))->version, 2);
    assert_null(plan_cache_find(&s.cache, "m", 2));
    assert_int_equal(plan_cache_find(&s.cache, "m", 1)->version, 1);
    assert_int_equal(plan_cache_keep(&s.cache, make(&s, "m", 10))->version, 3);
    assert_null(plan_cache_find(&s.cache, "other", 9));
}

static void test_forget_takes_one_model_and_leaves_room(void **context)
{
    (void)context;
    struct shelf s = { 0 };
    for (int i = 1; i <= PLAN_CACHE_KEPT; i++)
        assert_null(plan_cache_keep(&s.cache, make(&s, i % 2 ? "odd" : "even", i)));
    struct serve_ref *list = NULL;
    plan_cache_forget(&s.cache, "odd", &list);
    int got = 0;
    for (; list; list = list->next_given_up, got++)
        assert_string_equal(list->model, "odd");
    assert_int_equal(got, PLAN_CACHE_KEPT / 2);
    assert_null(plan_cache_find(&s.cache, "odd", 1));
    assert_non_null(plan_cache_find(&s.cache, "even", 2));
    for (int i = 0; i < got; i++)
        assert_null(plan_cache_keep(&s.cache, make(&s, "new", i)));
    assert_string_equal(plan_cache_keep(&s.cache, make(&s, "new", 9))->model, "even");
}

static void test_the_limit_is_for_slots_and_kept_ones_together(void **context)
{
    (void)context;
    struct shelf s = { .cache.limit = 2 * ONE };
    struct serve_slot a = { .name = (char *)"a" }, b = { .name = (char *)"b" };
    plan_cache_add_slot(&s.cache, &a);
    plan_cache_add_slot(&s.cache, &b);
    a.current = make(&s, "a", 1);
    assert_null(plan_cache_keep(&s.cache, make(&s, "a", 2)));
    struct serve_ref *list = NULL;
    plan_cache_trim(&s.cache, NULL, &list);
    assert_null(list);
    int versions;
    assert_int_equal(plan_cache_bytes(&s.cache, &versions), 2 * ONE);
    assert_int_equal(versions, 2);

    b.current = make(&s, "b", 1);
    plan_cache_trim(&s.cache, b.current, &list);
    assert_ptr_equal(list, &s.refs[0]);
    assert_null(list->next_given_up);
    assert_null(a.current);
    assert_int_equal(plan_cache_find(&s.cache, "a", 2)->version, 2);

    /* One alone that is too large stays. */
    s.cache.limit = 1;
    list = NULL;
    plan_cache_trim(&s.cache, b.current, &list);
    assert_ptr_equal(list, &s.refs[1]);
    assert_null(list->next_given_up);
    assert_int_equal(plan_cache_bytes(&s.cache, &versions), ONE);
    assert_ptr_equal(b.current, &s.refs[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_shelf_gives_up_what_was_used_longest_ago),
        cmocka_unit_test(test_forget_takes_one_model_and_leaves_room),
        cmocka_unit_test(test_the_limit_is_for_slots_and_kept_ones_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

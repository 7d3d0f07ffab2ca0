#include "daemon/rollout_row.h"

#include "registry_fixture.h"

/* Every pair, by the drawing in the header. */
static void test_moves(void **context)
{
    (void)context;
    for (int from = 0; from < ROLLOUT_STATES; from++)
        for (int to = 0; to < ROLLOUT_STATES; to++) {
            bool may =
                from == ROLLOUT_RUNNING || (from == ROLLOUT_WAITING && to != ROLLOUT_WAITING);
            assert_int_equal(rollout_may_move((enum rollout_state)from, (enum rollout_state)to),
                             may);
        }
}

static void test_texts(void **context)
{
    (void)context;
    assert_string_equal(rollout_state_text(ROLLOUT_RUNNING), "running");
    assert_string_equal(rollout_state_text(ROLLOUT_ROLLED_BACK), "rolled_back");
    assert_true(rollout_is_open(ROLLOUT_WAITING));
    assert_false(rollout_is_open(ROLLOUT_ABORTED));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_moves),
                                        cmocka_unit_test(test_texts) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "daemon/events.h"

#include "daemon/bell.h"
#include "data/base/clock.h"
#include "registry_fixture.h"

static void add(struct fixture *f, const char *type, const char *model, bool commit)
{
    struct err e = { 0 };
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *data = json_pack("{s:s?}", "model", model);
    assert_ok(db_write(state_db(f->state), &t, &e));
    assert_ok(event_add(t, type, "x/y", data, &e));
    if (commit)
        assert_ok(db_commit(&t, &e));
}

static enum err_code note(void *context, const struct event *event, struct err *e)
{
    (void)e;
    char *text = context;
    sprintf(text + strlen(text), "%d:%s ", (int)event->id, event->type);
    return ERR_OK;
}

/* What was read, as "1:job.failed ". */
static const char *read_all(struct fixture *f, const struct event_filter *filter, int64_t after,
                            int limit, bool more)
{
    static char text[1000];
    struct err e = { 0 };
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    int64_t last = 0;
    bool got_more = !more;
    text[0] = 0;
    assert_ok(db_read(state_db(f->state), &t, &e));
    assert_ok(events_read(t, filter, after, limit, note, text, &last, &got_more, &e));
    assert_int_equal(got_more, more);
    return text;
}

static void test_read(void **context)
{
    struct fixture *f = *context;
    add(f, "job.queued", "a", true);
    add(f, "job.failed", "b", true);
    add(f, "alias.changed", "a", false); /* rolled back */
    add(f, "gate.decided", "a", true);
    const struct event_filter none = { 0 }, a = { .model = "a" }, jobs = { .types = "job.*" };
    assert_string_equal(read_all(f, &none, 0, 10, false),
                        "1:job.queued 2:job.failed 3:gate.decided ");
    assert_string_equal(read_all(f, &none, 1, 1, true), "2:job.failed ");
    assert_string_equal(read_all(f, &a, 0, 10, false), "1:job.queued 3:gate.decided ");
    assert_string_equal(read_all(f, &jobs, 0, 10, false), "1:job.queued 2:job.failed ");
    assert_string_equal(read_all(f, &none, 3, 10, false), "");
}

/* The log forgets by number and by age, and never uses a number again. */
static void test_forgets(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    add(f, "job.queued", NULL, true);
    add(f, "job.queued", NULL, true);
    {
        CLEANUP(db_end_p) struct db_tx *t = NULL;
        assert_ok(db_write(state_db(f->state), &t, &e));
        assert_ok(db_exec(t, &e, "UPDATE sqlite_sequence SET seq = ? WHERE name = 'event'",
                          DB_INT(EVENTS_MAX)));
        assert_ok(db_commit(&t, &e));
    }
    add(f, "job.failed", NULL, true); /* EVENTS_MAX + 1: one is too many */
    assert_int_equal(fixture_number(f, "SELECT min(id) FROM event"), 2);
    {
        CLEANUP(db_end_p) struct db_tx *t = NULL;
        assert_ok(db_write(state_db(f->state), &t, &e));
        assert_ok(db_exec(t, &e,
                          "INSERT INTO event (at_ms, type, subject, data) VALUES (?, 'old', "
                          "'', '{}')",
                          DB_INT(clock_utc_ms() - EVENTS_DAYS * INT64_C(86400000) - 1)));
        assert_ok(db_commit(&t, &e));
    }
    add(f, "job.failed", NULL, true);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM event WHERE type = 'old'"), 0);
    int64_t first = 0, last = 0;
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    assert_ok(db_read(state_db(f->state), &t, &e));
    assert_ok(events_bounds(t, &first, &last, &e));
    assert_int_equal(last, EVENTS_MAX + 3);
}

static void count(void *context)
{
    ++*(int *)context;
}

/* A commit with an event rings; one without, or none, does not. */
static void test_bell(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    int rung = 0;
    struct bell *bell = db_bell(state_db(f->state));
    assert_ok(bell_add(bell, count, &rung, &e));
    add(f, "job.queued", NULL, false);
    assert_int_equal(rung, 0);
    add(f, "job.queued", NULL, true);
    assert_int_equal(rung, 1);
    {
        CLEANUP(db_end_p) struct db_tx *t = NULL;
        assert_ok(db_write(state_db(f->state), &t, &e));
        assert_ok(db_audit(t, "me", "what", "x", NULL, NULL, &e));
        assert_ok(db_commit(&t, &e));
    }
    assert_int_equal(rung, 1);
    bell_remove(bell, count, &rung);
    add(f, "job.queued", NULL, true);
    assert_int_equal(rung, 1);
    for (int i = 0; i < BELL_LISTENERS; i++)
        assert_ok(bell_add(bell, count, &rung, &e));
    assert_int_equal(bell_add(bell, count, &rung, &e), ERR_INTERNAL);
}

static void test_patterns(void **context)
{
    (void)context;
    struct err e = { 0 };
    static const char *const good[] = { "*", "job.*", "job.failed", "job.failed,alias.*",
                                        "*,job.*" };
    static const char *const bad[] = { "",  "job",   "job.",      "jo.*", ".*", "job.failed,",
                                       ",", "JOB.*", "job.ended", "**" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_ok(events_check_patterns(good[i], &e));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(events_check_patterns(bad[i], &e), ERR_FIELD_RANGE);
    assert_true(event_type_matches("alias.*,job.failed", "job.failed"));
    assert_true(event_type_matches("job.*", "job.failed"));
    assert_false(event_type_matches("job.failed", "job.failed2"));
    assert_false(event_type_matches("job.*", "jobs.x"));
    assert_false(event_type_matches("alias.*,gate.decided", "job.failed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_forgets, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_bell, fixture_setup, fixture_teardown),
        cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "daemon/replica.h"

#include "serving_fixture.h"

/* A trainer's folder, and a follower's. */
struct pair {
    struct fixture *trainer;
    struct fixture follower;
};

static int setup(void **context)
{
    struct pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    assert_int_equal(fixture_setup((void **)&p->trainer), 0);
    struct err e = { 0 };
    strcpy(p->follower.dir, "/tmp/kennel-test-XXXXXX");
    assert_non_null(mkdtemp(p->follower.dir));
    limits_default(&p->follower.limits);
    assert_ok(state_open_replica(p->follower.dir, &p->follower.limits, &p->follower.state, &e));
    add_base(p->trainer);
    add_model(p->trainer, 1, "m");
    add_model(p->trainer, 2, "other");
    add_version(p->trainer, 1, 1, "fake a,b", "{}", true);
    add_version(p->trainer, 1, 2, "fake b,a", "{}", true);
    add_version(p->trainer, 2, 1, "fake c,d", "{}", true);
    fixture_script(p->trainer, "INSERT INTO alias VALUES (1, 'production', 1), (2, 'x', 1)");
    *context = p;
    return 0;
}

static int teardown(void **context)
{
    struct pair *p = *context;
    state_close(p->follower.state);
    assert_int_equal(file_remove_tree(p->follower.dir, NULL), ERR_OK);
    assert_int_equal(fixture_teardown((void **)&p->trainer), 0);
    free(p);
    return 0;
}

static json_t *catalog_of(struct pair *p, char tag[DIGEST_HEX + 1])
{
    struct err e = { 0 };
    CLEANUP(buf_fini) struct buf text;
    json_t *catalog = NULL;
    buf_init(&text, 1 << 20);
    assert_ok(replica_catalog(p->trainer->state, &text, tag, &e));
    assert_ok(replica_parse((const char *)text.data, text.len, &catalog, &e));
    return catalog;
}

/* What an alias names comes over, nothing else, and what is gone goes. */
static void test_rows_are_the_trainers(void **context)
{
    struct pair *p = *context;
    struct fixture *f = &p->follower;
    struct err e = { 0 };
    char tag[DIGEST_HEX + 1], again[DIGEST_HEX + 1], kept[DIGEST_HEX + 1];
    json_t *catalog = catalog_of(p, tag);
    assert_ok(replica_add(f->state, catalog, &e));
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM alias"), 0);
    assert_ok(replica_replace(f->state, catalog, tag, &e));
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM version"), 2);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM alias WHERE version = 1"), 2);

    json_t *loaded = NULL;
    int64_t synced = 0;
    assert_ok(replica_load(f->state, &loaded, kept, &synced, &e));
    assert_true(json_equal(loaded, catalog) && synced > 0);
    assert_string_equal(kept, tag);
    json_decref(loaded);
    json_decref(catalog);

    fixture_script(p->trainer, "UPDATE alias SET version = 2 WHERE model = 1;"
                               "DELETE FROM alias WHERE model = 2");
    catalog = catalog_of(p, again);
    assert_string_not_equal(again, tag);
    assert_ok(replica_replace(f->state, catalog, NULL, &e));
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM model"), 1);
    assert_int_equal(fixture_number(f, "SELECT number FROM version"), 2);
    json_decref(catalog);
    assert_ok(replica_load(f->state, &loaded, kept, &synced, &e));
    assert_string_equal(kept, "");
    json_decref(loaded);
}

/* Of another program: a column more, and one less that has a default. */
static void test_other_columns(void **context)
{
    struct pair *p = *context;
    struct err e = { 0 };
    char tag[DIGEST_HEX + 1];
    json_t *catalog = catalog_of(p, tag),
           *row = json_array_get(json_object_get(catalog, "model"), 0);
    json_object_set_new(row, "of_tomorrow", json_integer(7));
    json_object_del(row, "limits");
    assert_ok(replica_replace(p->follower.state, catalog, tag, &e));
    assert_int_equal(fixture_number(&p->follower, "SELECT count(*) FROM model WHERE limits = '{}'"),
                     2);
    /* And what does not fit changes nothing. */
    json_object_set_new(row, "recipe", json_integer(1));
    json_object_set_new(row, "name", json_null());
    assert_int_equal(replica_replace(p->follower.state, catalog, tag, &e), ERR_DATABASE);
    assert_int_equal(fixture_number(&p->follower, "SELECT count(*) FROM model"), 2);
    json_decref(catalog);
}

/* A model that could not be had stays as it was, or away; the others are as they are now. */
static void test_keep(void **context)
{
    struct pair *p = *context;
    struct err e = { 0 };
    char tag[DIGEST_HEX + 1];
    json_t *was = catalog_of(p, tag);
    fixture_script(p->trainer, "UPDATE alias SET version = 2 WHERE model = 1");
    json_t *now = catalog_of(p, tag);
    assert_int_equal(replica_production(now, 1), 2);
    assert_ok(replica_keep(now, was, 1, &e));
    assert_int_equal(replica_production(now, 1), 1);
    assert_non_null(replica_find_version(now, 1, 1));
    assert_null(replica_find_version(now, 1, 2));
    assert_non_null(replica_find_version(now, 2, 1));
    assert_ok(replica_keep(now, NULL, 1, &e));
    assert_null(replica_model(now, 1));
    assert_non_null(replica_model(now, 2));
    /* The same number, another model: nothing of it is kept. */
    json_decref(now);
    now = catalog_of(p, tag);
    json_object_set_new(json_array_get(json_object_get(was, "model"), 0), "name",
                        json_string("somebody"));
    assert_ok(replica_keep(now, was, 1, &e));
    assert_null(replica_model(now, 1));
    json_decref(was);
    json_decref(now);
}

static void test_what_is_no_catalogue(void **context)
{
    (void)context;
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"format\":2}",
        "{\"format\":1,\"model\":[]}",
        "{\"format\":1,\"model\":[],\"version\":[{}],\"alias\":[],\"rollout\":[],\"api_key\":[]}",
        "{\"format\":1,\"model\":[{\"id\":1,\"name\":\"../x\"}],\"version\":[{\"model\":1,"
        "\"number\":1,\"bytes\":1,\"artifact\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}],"
        "\"alias\":[],\"rollout\":[],\"api_key\":[]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct err e = { 0 };
        json_t *catalog = NULL;
        assert_int_not_equal(replica_parse(texts[i], strlen(texts[i]), &catalog, &e), ERR_OK);
        assert_null(catalog);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows_are_the_trainers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_columns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keep, setup, teardown),
        cmocka_unit_test(test_what_is_no_catalogue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

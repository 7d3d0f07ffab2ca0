#include "registry_fixture.h"

#include "daemon/models.h"

/* What a model needs, and a second of each to change to. */
static int setup(void **context)
{
    assert_int_equal(fixture_setup(context), 0);
    static const char digest[] =
        "x'0101010101010101010101010101010101010101010101010101010101010101'";
    char sql[1500];
    snprintf(
        sql, sizeof sql,
        "INSERT INTO dataset (id, name, created_ms, who) VALUES (1, 'dogs', 1, 'me'), (2, 'cats', "
        "1, 'me');"
        "INSERT INTO dataset_version (dataset, number, digest, cause, who, created_ms, pictures, "
        "labels, counts, added, removed, duplicates, rejected) VALUES"
        " (1, 1, %s, 'import', 'me', 1, 0, 0, '{}', 0, 0, 0, 0);"
        "INSERT INTO backbone VALUES"
        " (1, 'net', %s, 1, 'f', 1, 'i', 1, 1, '{}', 1, '{}', 1, 'me'),"
        " (2, 'other', %s, 1, 'f', 1, 'i', 1, 1, '{}', 1, '{}', 1, 'me')",
        digest, digest, digest);
    fixture_script(*context, sql);
    return 0;
}

static json_t *create(struct fixture *f, const char *name)
{
    struct err e = { 0 };
    json_t *value = NULL;
    assert_ok(models_create(f->state, name, "dogs", "net", NULL, NULL, NULL, -1, "me", &value, &e));
    return value;
}

static json_t *read_text(const char *text)
{
    struct err e = { 0 };
    json_t *value = NULL;
    assert_ok(json_read(text, strlen(text), &value, &e));
    return value;
}

/* A version as the job runner makes it. */
static void add_version(struct fixture *f, int64_t number, const char *report_text)
{
    struct err e = { 0 };
    struct digest report, artifact;
    char job[20];
    snprintf(job, sizeof job, "JOB%d", (int)number);
    assert_ok(blobs_put(state_blobs(f->state), report_text, strlen(report_text), &report, &e));
    assert_ok(blobs_put(state_blobs(f->state), job, strlen(job), &artifact, &e));
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    assert_ok(db_write(state_db(f->state), &t, &e));
    assert_ok(db_exec(t, &e,
                      "INSERT INTO job (id, model, state, dataset, dataset_version, backbone, mode,"
                      " recipe, gate, seed, tags, requested_by, created_ms, started_ms)"
                      " VALUES (?, 1, 'running', 1, 1, 1, 'head', '{\"mode\":\"head\"}', '{}', 7,"
                      " '{\"run\":\"a\"}', 'you', 1000, 2000)",
                      DB_TEXT(job)));
    assert_ok(
        db_exec(t, &e,
                "INSERT INTO version (model, number, job, artifact, bytes, report, decision, "
                "passed, accuracy, macro_f1, log_loss, calibration_error, "
                "holdout_count, created_ms) VALUES (1, ?, ?, ?, 4, ?, '{\"passed\":true}', 1, 0.75,"
                " 0.5, 0.25, 0.125, 400, 4500)",
                DB_INT(number), DB_TEXT(job), DB_DIGEST(&artifact), DB_DIGEST(&report)));
    assert_ok(db_exec(t, &e,
                      "UPDATE job SET state = 'succeeded', version = ?, ended_ms = 5000"
                      " WHERE id = ?",
                      DB_INT(number), DB_TEXT(job)));
    assert_ok(db_commit(&t, &e));
}

static void test_create_spells_out_defaults(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    CLEANUP(json_decref_p) json_t *recipe = read_text("{\"folds\": 4}");
    CLEANUP(json_decref_p) json_t *gate = read_text("{\"margin\": 0.5}");
    CLEANUP(json_decref_p) json_t *made = NULL;
    assert_ok(models_create(f->state, "m", "dogs", "net", recipe, gate, NULL, 1, "me", &made, &e));
    assert_int_equal(fixture_int(json_object_get(made, "recipe"), "folds"), 4);
    assert_string_equal(json_string_value(json_object_get(json_object_get(made, "recipe"), "mode")),
                        "head");
    fixture_expect(
        json_object_get(made, "gate"),
        "{\"rule\": \"superiority\", \"margin\": 0.5, \"min_accuracy\": 0.0, \"max_p\": 1.0,"
        "\"min_recall\": 0.0, \"max_calibration_error\": 1.0, \"min_holdout\": 0,"
        "\"max_latency_ms\": null, \"max_bytes\": null}");
    assert_true(json_is_true(json_object_get(made, "strip_label_prefix")));
    assert_true(json_is_null(json_object_get(made, "production")));
    assert_int_equal(fixture_int(made, "versions"), 0);
    assert_string_equal(json_string_value(json_object_get(made, "dataset")), "dogs");
    assert_string_equal(json_string_value(json_object_get(made, "backbone")), "net");
    CLEANUP(json_decref_p) json_t *shown = NULL;
    assert_ok(models_show(f->state, "m", &shown, &e));
    assert_true(json_equal(made, shown));
    CLEANUP(json_decref_p) json_t *second = create(f, "a");
    assert_true(json_is_null(json_object_get(second, "strip_label_prefix")));
    CLEANUP(json_decref_p) json_t *all = NULL;
    assert_ok(models_list(f->state, NULL, MODELS_ALL, &all, &e));
    assert_int_equal(json_array_size(all), 2);
    assert_true(json_equal(json_array_get(all, 0), second));
    CLEANUP(json_decref_p) json_t *page = NULL, *behind = NULL, *none = NULL;
    assert_ok(models_list(f->state, NULL, 1, &page, &e));
    assert_int_equal(json_array_size(page), 1);
    assert_true(json_equal(json_array_get(page, 0), second));
    assert_ok(models_list(f->state, "a", 1, &behind, &e));
    assert_int_equal(json_array_size(behind), 1);
    assert_true(json_equal(json_array_get(behind, 0), shown));
    assert_ok(models_list(f->state, "m", 1, &none, &e));
    assert_int_equal(json_array_size(none), 0);
}

static void test_refusals(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct state *s = f->state;
    json_t *none = NULL;
    json_decref(create(f, "m"));
    CLEANUP(json_decref_p) json_t *bad = read_text("{\"no_such\": 1}");
    assert_int_equal(models_create(s, "m", "dogs", "net", NULL, NULL, NULL, -1, "me", &none, &e),
                     ERR_NAME_TAKEN);
    assert_int_equal(models_create(s, "a b", "dogs", "net", NULL, NULL, NULL, -1, "me", &none, &e),
                     ERR_NAME_SYNTAX);
    assert_int_equal(models_create(s, "n", "x", "net", NULL, NULL, NULL, -1, "me", &none, &e),
                     ERR_DATASET_UNKNOWN);
    assert_int_equal(models_create(s, "n", "dogs", "x", NULL, NULL, NULL, -1, "me", &none, &e),
                     ERR_BACKBONE_UNKNOWN);
    assert_int_equal(models_create(s, "n", "dogs", "net", bad, NULL, NULL, -1, "me", &none, &e),
                     ERR_FIELD_UNKNOWN);
    assert_int_equal(models_create(s, "n", "dogs", "net", NULL, bad, NULL, -1, "me", &none, &e),
                     ERR_FIELD_UNKNOWN);
    assert_int_equal(models_show(s, "n", &none, &e), ERR_MODEL_UNKNOWN);
    assert_int_equal(models_versions(s, "n", (struct state_page){ .limit = 100 }, &none, &e),
                     ERR_MODEL_UNKNOWN);
    assert_int_equal(models_version_show(s, "n", 1, &none, &e), ERR_MODEL_UNKNOWN);
    assert_int_equal(models_version_show(s, "m", 1, &none, &e), ERR_VERSION_UNKNOWN);
    char *path = NULL;
    assert_int_equal(models_version_path(s, "m", 1, &path, &e), ERR_VERSION_UNKNOWN);
    assert_int_equal(models_patch(s, "n", bad, "me", &none, &e), ERR_MODEL_UNKNOWN);
    assert_int_equal(models_patch(s, "m", bad, "me", &none, &e), ERR_FIELD_UNKNOWN);
    assert_null(none);
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit"), 1);
}

static void patch(struct fixture *f, const char *change_text, json_t **ret)
{
    struct err e = { 0 };
    CLEANUP(json_decref_p) json_t *change = read_text(change_text);
    json_decref(STEAL(*ret));
    assert_ok(models_patch(f->state, "m", change, "me", ret, &e));
}

static void test_patch(void **context)
{
    struct fixture *f = *context;
    CLEANUP(json_decref_p) json_t *made = create(f, "m");
    CLEANUP(json_decref_p) json_t *now = NULL;
    patch(f, "{}", &now);
    assert_true(json_equal(made, now));
    patch(f, "{\"backbone\": \"other\", \"gate\": {\"rule\": \"non_inferiority\"}}", &now);
    assert_string_equal(json_string_value(json_object_get(now, "backbone")), "other");
    assert_string_equal(json_string_value(json_object_get(now, "dataset")), "dogs");
    fixture_expect(
        json_object_get(now, "gate"),
        "{\"rule\": \"non_inferiority\", \"margin\": 0.0, \"min_accuracy\": 0.0, \"max_p\": 1.0,"
        "\"min_recall\": 0.0, \"max_calibration_error\": 1.0, \"min_holdout\": 0,"
        "\"max_latency_ms\": null, \"max_bytes\": null}");
    assert_true(json_equal(json_object_get(made, "recipe"), json_object_get(now, "recipe")));
    patch(f, "{\"strip_label_prefix\": false}", &now);
    assert_true(json_is_false(json_object_get(now, "strip_label_prefix")));
    patch(f, "{\"dataset\": \"cats\"}", &now);
    assert_true(json_is_false(json_object_get(now, "strip_label_prefix")));
    assert_string_equal(json_string_value(json_object_get(now, "dataset")), "cats");
    patch(f, "{\"strip_label_prefix\": null}", &now);
    assert_true(json_is_null(json_object_get(now, "strip_label_prefix")));
    /* The audit log has what was and what is. */
    assert_int_equal(fixture_number(f, "SELECT count(*) FROM audit WHERE what = 'model.change'"
                                       " AND before ->> 'backbone' = 'net'"
                                       " AND after ->> 'backbone' = 'other'"),
                     1);
}

static void test_versions(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    json_decref(create(f, "m"));
    add_version(f, 1, "{\"metrics\":{\"accuracy\":0.75,\"per_class\":[]},\"labels\":[\"a\"]}");
    add_version(f, 2, "{\"labels\":[\"b\"]}");
    fixture_script(f, "INSERT INTO alias VALUES (1, 'production', 1), (1, 'best', 1)");

    CLEANUP(json_decref_p) json_t *model = NULL;
    assert_ok(models_show(f->state, "m", &model, &e));
    assert_int_equal(fixture_int(model, "production"), 1);
    assert_int_equal(fixture_int(model, "versions"), 2);

    CLEANUP(json_decref_p) json_t *all = NULL;
    assert_ok(models_versions(f->state, "m", (struct state_page){ .limit = 100 }, &all, &e));
    assert_int_equal(json_array_size(all), 2);
    assert_int_equal(fixture_int(json_array_get(all, 0), "version"), 2);
    assert_null(json_object_get(json_array_get(all, 0), "report"));
    fixture_expect(json_object_get(json_array_get(all, 0), "aliases"), "[]");

    CLEANUP(json_decref_p) json_t *one = NULL;
    assert_ok(models_version_show(f->state, "m", 1, &one, &e));
    json_object_del(one, "digest");
    fixture_expect(
        one,
        "{\"model\": \"m\", \"version\": 1, \"bytes\": 4, \"created\": "
        "\"1970-01-01T00:00:04.500Z\", \"job\": \"JOB1\", \"requested_by\": \"you\","
        " \"tags\": {\"run\": \"a\"}, \"recipe\": {\"mode\": \"head\"}, \"seed\": 7,"
        " \"dataset\": \"dogs\", \"dataset_version\": 1, \"dataset_digest\":"
        " \"0101010101010101010101010101010101010101010101010101010101010101\","
        " \"backbone\": \"net\", \"backbone_digest\":"
        " \"0101010101010101010101010101010101010101010101010101010101010101\","
        " \"duration_seconds\": 2.5, \"purged\": null, \"aliases\": [\"best\", \"production\"],"
        " \"metrics\": {\"accuracy\": 0.75, \"per_class\": []}, \"gate\": {\"passed\": true},"
        " \"precision\": null,"
        " \"report\": {\"metrics\": {\"accuracy\": 0.75, \"per_class\": []}, \"labels\":"
        " [\"a\"]}}");
    /* Without a table per class in the report: the figures of the row. */
    CLEANUP(json_decref_p) json_t *two = NULL;
    assert_ok(models_version_show(f->state, "m", 2, &two, &e));
    fixture_expect(json_object_get(two, "metrics"),
                   "{\"accuracy\": 0.75, \"macro_f1\": 0.5, \"log_loss\": 0.25,"
                   " \"calibration_error\": 0.125, \"count\": 400}");
}

/* A version's lineage is that of its job: a later change of the model does not touch it. */
static void test_lineage_is_frozen(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    json_decref(create(f, "m"));
    add_version(f, 1, "{}");
    CLEANUP(json_decref_p) json_t *now = NULL;
    patch(f, "{\"backbone\": \"other\", \"dataset\": \"cats\"}", &now);
    CLEANUP(json_decref_p) json_t *one = NULL;
    assert_ok(models_version_show(f->state, "m", 1, &one, &e));
    assert_string_equal(json_string_value(json_object_get(one, "backbone")), "net");
    assert_string_equal(json_string_value(json_object_get(one, "dataset")), "dogs");
}

static void test_artifact_path(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    json_decref(create(f, "m"));
    add_version(f, 1, "{}");
    CLEANUP(cleanup_free) char *path = NULL;
    assert_ok(models_version_path(f->state, "m", 1, &path, &e));
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, 100);
    assert_ok(file_read(path, &text, &e));
    assert_string_equal((const char *)text.data, "JOB1");
}

static void test_missing_report_is_a_fault(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    struct digest d;
    json_t *none = NULL;
    json_decref(create(f, "m"));
    add_version(f, 1, "{}");
    assert_ok(digest_of("{}", 2, &d, &e));
    assert_ok(blobs_remove(state_blobs(f->state), &d, &e));
    assert_int_equal(models_version_show(f->state, "m", 1, &none, &e), ERR_BLOB_MISSING);
    assert_null(none);
}

static void test_versions_cannot_be_changed(void **context)
{
    struct fixture *f = *context;
    struct err e = { 0 };
    json_decref(create(f, "m"));
    add_version(f, 1, "{}");
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    assert_ok(db_write(state_db(f->state), &t, &e));
    assert_int_equal(db_exec(t, &e, "UPDATE version SET accuracy = 1"), ERR_DATABASE);
    assert_int_equal(db_exec(t, &e, "DELETE FROM version"), ERR_DATABASE);
    /* A job's state and what must go with it. */
    assert_int_equal(db_exec(t, &e, "UPDATE job SET state = 'done'"), ERR_DATABASE);
    assert_int_equal(db_exec(t, &e, "UPDATE job SET state = 'failed'"), ERR_DATABASE);
    assert_int_equal(db_exec(t, &e, "UPDATE job SET state = 'running'"), ERR_DATABASE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_create_spells_out_defaults),
        T(test_refusals),
        T(test_patch),
        T(test_versions),
        T(test_lineage_is_frozen),
        T(test_artifact_path),
        T(test_missing_report_is_a_fault),
        T(test_versions_cannot_be_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

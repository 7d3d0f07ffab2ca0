#include "daemon/spec.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct job_limits no_limits = { .nice = -1 };

static struct retrain_spec make_spec(void)
{
    struct retrain_spec spec = { .seed = -5,
                                 .has_champion = true,
                                 .threads = 3,
                                 .limits = { 12345678 },
                                 .overrides = { .feature = "fire9",
                                                .mean = "1,2,3",
                                                .std = "4",
                                                .color = "BGR",
                                                .resize = 300 } };
    memset(&spec.manifest, 0x11, sizeof spec.manifest);
    memset(&spec.backbone, 0x22, sizeof spec.backbone);
    memset(&spec.champion, 0x33, sizeof spec.champion);
    assert_int_equal(recipe_parse(NULL, &spec.recipe, NULL), ERR_OK);
    spec.recipe.folds = 7;
    spec.measure_latency = true;
    return spec;
}

static void assert_same_text(const char *a, const char *b)
{
    assert_true(a && b ? strcmp(a, b) == 0 : a == b);
}

static void assert_round_trip(const struct retrain_spec *spec)
{
    CLEANUP(json_decref_p) json_t *object = NULL;
    CLEANUP(json_decref_p) json_t *read = NULL;
    CLEANUP(json_decref_p) json_t *again = NULL;
    CLEANUP(buf_fini) struct buf text;
    struct retrain_spec back;
    const struct job_limits limits = { .seconds = 60, .memory = INT64_C(1) << 33, .nice = -1 };
    struct job_limits limits_back;
    struct err e = { 0 };
    buf_init(&text, 1 << 16);
    assert_int_equal(spec_to_json(spec, &limits, &object, &e), ERR_OK);
    assert_int_equal(json_write(object, &text, &e), ERR_OK);
    assert_int_equal(json_read((const char *)text.data, text.len, &read, &e), ERR_OK);
    if (spec_from_json(read, &back, &limits_back, &e))
        fail_msg("%s", e.message);
    assert_memory_equal(&back.manifest, &spec->manifest, sizeof back.manifest);
    assert_memory_equal(&back.backbone, &spec->backbone, sizeof back.backbone);
    assert_memory_equal(&back.champion, &spec->champion, sizeof back.champion);
    assert_int_equal(back.has_champion, spec->has_champion);
    assert_int_equal(back.seed, spec->seed);
    assert_int_equal(back.threads, spec->threads);
    assert_int_equal(back.measure_latency, spec->measure_latency);
    assert_true(back.limits.max_pixels == spec->limits.max_pixels);
    assert_int_equal(back.recipe.folds, spec->recipe.folds);
    assert_int_equal(back.overrides.resize, spec->overrides.resize);
    assert_same_text(back.overrides.feature, spec->overrides.feature);
    assert_same_text(back.overrides.mean, spec->overrides.mean);
    assert_same_text(back.overrides.std, spec->overrides.std);
    assert_same_text(back.overrides.color, spec->overrides.color);
    assert_int_equal(spec_to_json(&back, &limits_back, &again, &e), ERR_OK);
    assert_true(json_equal(object, again));
    assert_memory_equal(&limits_back, &limits, sizeof limits);
}

static void round_trip(void **state)
{
    (void)state;
    struct retrain_spec spec = make_spec();
    assert_round_trip(&spec);
    spec.overrides = (struct backbone_overrides){ 0 };
    spec.has_champion = false;
    spec.champion = (struct digest){ 0 };
    spec.seed = INT64_MAX;
    assert_round_trip(&spec);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *member, *value; /* NULL: the member is taken out */
        enum err_code code;
    } cases[] = {
        { "manifest", "\"abc\"", ERR_FIELD_RANGE },
        { "champion", "\"xyz\"", ERR_FIELD_RANGE },
        { "backbone", NULL, ERR_FIELD_MISSING },
        { "recipe", "{\"lr\":1}", ERR_FIELD_UNKNOWN },
        { "recipe", NULL, ERR_FIELD_MISSING },
        { "overrides", "{\"gamma\":1}", ERR_FIELD_UNKNOWN },
        { "threads", "0", ERR_FIELD_RANGE },
        { "threads", "\"2\"", ERR_JSON_TYPE },
        { "max_pixels", "0", ERR_FIELD_RANGE },
        { "seed", "1.5", ERR_JSON_TYPE },
        { "job_limits", "{\"seconds\":0}", ERR_FIELD_RANGE },
        { "job_limits", "{\"hours\":1}", ERR_FIELD_UNKNOWN },
        { "surprise", "1", ERR_FIELD_UNKNOWN },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct retrain_spec spec = make_spec(), back = { .threads = 99 };
        struct job_limits limits;
        CLEANUP(json_decref_p) json_t *object = NULL;
        struct err e = { 0 };
        assert_int_equal(spec_to_json(&spec, &no_limits, &object, NULL), ERR_OK);
        if (cases[i].value)
            json_object_set_new(object, cases[i].member,
                                json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        else
            json_object_del(object, cases[i].member);
        enum err_code r = spec_from_json(object, &back, &limits, &e);
        if (r != cases[i].code)
            fail_msg("%s = %s: %s: %s", cases[i].member, cases[i].value, err_slug(r), e.message);
        assert_int_equal(back.threads, 99);
    }
}

static void text_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    struct retrain_spec spec = make_spec();
    json_t *object = NULL;
    struct err e = { 0 };
    spec.overrides.feature = "a\xff";
    assert_int_equal(spec_to_json(&spec, &no_limits, &object, &e), ERR_FIELD_RANGE);
    assert_non_null(strstr(e.message, "feature"));
    assert_null(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(text_that_is_not_utf8_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

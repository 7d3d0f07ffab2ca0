#include "nn/recipe.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static json_t *read_text(const char *text)
{
    json_t *value = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    if (text && !value)
        fail_msg("not JSON: %s", text);
    return value;
}

static enum err_code parse(const char *text, struct recipe *ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *value = read_text(text);
    return recipe_parse(value, ret, e);
}

static void what_is_spelled_out_is_the_same_recipe(void **state)
{
    (void)state;
    static const char *const texts[] = {
        NULL,
        "null",
        "{}",
        "\"workshop\"",
        "{\"folds\":3,\"balanced\":false,\"penalty\":0.5,\"views\":2,\"mode\":\"head\"}",
        "{\"mode\":\"head\",\"augment\":\"workshop\",\"views\":9}",
        "{\"mode\":\"head\",\"solver\":\"sgd\",\"epochs\":3}",
        "{\"mode\":\"partial\",\"cut\":\"relu4\",\"views\":2}",
        "{\"mode\":\"partial\",\"augment\":{\"flip\":0.5},\"optimiser\":\"adamw\"}",
        "{\"mode\":\"fine_tune\",\"schedule\":\"one_cycle\",\"norm\":\"batch\",\"ema\":0.99}",
        "{\"mode\":\"fine_tune\",\"schedule\":{\"kind\":\"step\",\"every\":2.5,\"factor\":0.5}}",
        "{\"mode\":\"fine_tune\",\"augment\":null,\"clip\":1,\"smoothing\":0.1}",
        "{\"mode\":\"fine_tune\",\"preset\":\"workshop\",\"epochs\":2}",
        ("{\"mode\":\"scratch\",\"augment\":{\"scale\":[0.5,1],\"mixup\":0.2,\"cutmix\":1,"
         "\"randaugment\":{\"count\":2,\"magnitude\":9}}}"),
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct recipe r, again;
        struct err e = { 0 };
        if (parse(texts[i], &r, &e))
            fail_msg("%s: %s", texts[i], e.message);
        CLEANUP(json_decref_p) json_t *object = recipe_json(&r);
        if (recipe_parse(object, &again, &e))
            fail_msg("%s, spelled out: %s", texts[i], e.message);
        CLEANUP(json_decref_p) json_t *second = recipe_json(&again);
        if (!json_equal(object, second))
            fail_msg("%s: %s", texts[i], json_dumps(second, 0));
    }
}

static void a_plain_head_is_spelled_out(void **state)
{
    (void)state;
    struct recipe r;
    assert_int_equal(parse("{}", &r, NULL), ERR_OK);
    CLEANUP(json_decref_p) json_t *object = recipe_json(&r);
    char *text = json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(6));
    assert_string_equal(text,
                        "{\"augment\":null,\"balanced\":\"auto\",\"folds\":5,\"mode\":\"head\","
                        "\"penalty\":0.0,\"precision\":\"auto\",\"precision_margin\":0.005,"
                        "\"preset\":\"default\",\"solver\":\"lbfgs\",\"views\":1}");
    free(text);
}

static void the_workshop(void **state)
{
    (void)state;
    static const char *const texts[] = { "\"workshop\"",
                                         "{\"preset\":\"workshop\",\"mode\":\"fixed_feature\"}",
                                         "{\"preset\":\"workshop\",\"mode\":\"fine_tune\"}" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct recipe r;
        assert_int_equal(parse(texts[i], &r, NULL), ERR_OK);
        assert_int_equal(r.mode, i == 2 ? RECIPE_FINE_TUNE : RECIPE_HEAD);
        assert_true(recipe_is_trained(&r));
        assert_true(r.learning_rate == 0.001 && r.momentum == 0.9 && r.weight_decay == 0);
        assert_int_equal(r.schedule, SCHEDULE_STEP);
        assert_true(r.every == 7 && r.factor == 0.1 && r.batch == 128);
        assert_true(r.has_augment && r.augment.scale_low == 0.08 && r.augment.flip == 0.5);
        assert_int_equal(r.start, RECIPE_START_RANDOM);
    }
}

/* One view for each epoch beside the centre crop, and none to augment where nothing is augmented.
 */
static void the_workshop_looks_anew_in_each_epoch(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t views;
    } cases[] = {
        { "\"workshop\"", 11 },
        { "{\"preset\":\"workshop\",\"epochs\":3}", 4 },
        { "{\"preset\":\"workshop\",\"epochs\":20}", 21 },
        { "{\"preset\":\"workshop\",\"epochs\":5000}", RECIPE_VIEWS_MAX },
        { "{\"preset\":\"workshop\",\"epochs\":3,\"views\":2}", 2 },
        { "{\"preset\":\"workshop\",\"augment\":null}", 1 },
        { "{\"mode\":\"partial\",\"augment\":\"workshop\"}", 5 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct recipe r;
        struct err e = { 0 };
        if (parse(cases[i].text, &r, &e))
            fail_msg("%s: %s", cases[i].text, e.message);
        assert_int_equal(r.views, cases[i].views);
    }
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err_code code;
        const char *said;
    } bad[] = {
        { "[]", ERR_JSON_TYPE, "object" },
        { "\"holidays\"", ERR_JSON_TYPE, "workshop" },
        { "{\"mode\":\"finetune\"}", ERR_RECIPE, "finetune" },
        { "{\"mode\":3}", ERR_JSON_TYPE, "mode" },
        { "{\"epochs\":3}", ERR_FIELD_UNKNOWN, "epochs" },
        { "{\"surprise\":3}", ERR_FIELD_UNKNOWN, "surprise" },
        { "{\"folds\":1}", ERR_FIELD_RANGE, "folds" },
        { "{\"folds\":11}", ERR_FIELD_RANGE, "folds" },
        { "{\"folds\":2.5}", ERR_JSON_TYPE, "folds" },
        { "{\"views\":0}", ERR_FIELD_RANGE, "views" },
        { "{\"views\":3}", ERR_FIELD_RANGE, "views" },
        { "{\"views\":1,\"augment\":\"workshop\"}", ERR_FIELD_RANGE, "views" },
        { "{\"views\":65,\"augment\":\"workshop\"}", ERR_FIELD_RANGE, "views" },
        { "{\"penalty\":-1}", ERR_FIELD_RANGE, "penalty" },
        { "{\"balanced\":\"yes\"}", ERR_JSON_TYPE, "balanced" },
        { "{\"solver\":\"adam\"}", ERR_RECIPE, "solver" },
        { "{\"penalty\":1e7}", ERR_FIELD_RANGE, "penalty" },
        { "{\"precision\":\"int4\"}", ERR_RECIPE, "int4" },
        { "{\"precision\":8}", ERR_JSON_TYPE, "precision" },
        { "{\"precision_margin\":-0.1}", ERR_FIELD_RANGE, "precision_margin" },
        { "{\"precision_margin\":1.1}", ERR_FIELD_RANGE, "precision_margin" },
        { "{\"solver\":\"sgd\",\"folds\":3}", ERR_FIELD_UNKNOWN, "folds" },
        { "{\"augment\":{\"mixup\":1}}", ERR_RECIPE, "mixup" },
        { "{\"augment\":\"strong\"}", ERR_JSON_TYPE, "augment" },
        { "{\"augment\":{\"flip\":2}}", ERR_FIELD_RANGE, "flip" },
        { "{\"augment\":{\"scale\":[0.5]}}", ERR_JSON_TYPE, "scale" },
        { "{\"mode\":\"fine_tune\",\"cut\":\"auto\"}", ERR_FIELD_UNKNOWN, "cut" },
        { "{\"mode\":\"fine_tune\",\"views\":2}", ERR_FIELD_UNKNOWN, "views" },
        { "{\"mode\":\"fine_tune\",\"solver\":\"sgd\"}", ERR_FIELD_UNKNOWN, "solver" },
        { "{\"mode\":\"fine_tune\",\"epochs\":0}", ERR_FIELD_RANGE, "epochs" },
        { "{\"mode\":\"fine_tune\",\"batch\":1025}", ERR_FIELD_RANGE, "batch" },
        { "{\"mode\":\"fine_tune\",\"learning_rate\":0}", ERR_FIELD_RANGE, "learning_rate" },
        { "{\"mode\":\"fine_tune\",\"momentum\":1}", ERR_FIELD_RANGE, "momentum" },
        { "{\"mode\":\"fine_tune\",\"ema\":1}", ERR_FIELD_RANGE, "ema" },
        { "{\"mode\":\"fine_tune\",\"optimiser\":\"lion\"}", ERR_RECIPE, "optimiser" },
        { "{\"mode\":\"fine_tune\",\"schedule\":\"linear\"}", ERR_RECIPE, "linear" },
        { "{\"mode\":\"fine_tune\",\"schedule\":{\"every\":7}}", ERR_FIELD_MISSING, "kind" },
        { "{\"mode\":\"fine_tune\",\"nesterov\":true,\"momentum\":0}", ERR_RECIPE, "nesterov" },
        { "{\"mode\":\"partial\",\"cut\":\"\"}", ERR_FIELD_RANGE, "cut" },
        { "{\"mode\":\"partial\",\"cut\":3}", ERR_JSON_TYPE, "cut" },
        { "{\"mode\":\"scratch\",\"start\":\"head\"}", ERR_FIELD_UNKNOWN, "start" },
        { "{\"mode\":\"scratch\",\"preset\":\"workshop\"}", ERR_RECIPE, "workshop" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct recipe r = { .folds = 99 };
        struct err e = { 0 };
        enum err_code code = parse(bad[i].text, &r, &e);
        if (code != bad[i].code || !strstr(e.message, bad[i].said))
            fail_msg("%s: %s: %s", bad[i].text, err_slug(code), e.message);
        assert_int_equal(r.folds, 99);
    }
}

static void merge(const char *from, const char *change, const char *mode, struct recipe *ret)
{
    CLEANUP(json_decref_p) json_t *a = read_text(from);
    CLEANUP(json_decref_p) json_t *b = read_text(change);
    struct err e = { 0 };
    if (recipe_merge(a, b, mode, ret, &e))
        fail_msg("%s + %s, %s: %s", from, change, mode, e.message);
}

static void a_request_over_the_model(void **state)
{
    (void)state;
    struct recipe r;
    merge("{\"folds\":3,\"balanced\":true}", "{\"penalty\":0.1}", NULL, &r);
    assert_true(r.folds == 3 && r.balanced && r.penalty == 0.1);

    /* Another mode has its own defaults; what all modes share stays. */
    merge("{\"folds\":3,\"balanced\":true}", NULL, "fine_tune", &r);
    assert_int_equal(r.mode, RECIPE_FINE_TUNE);
    merge("{\"folds\":3,\"balanced\":true,\"precision\":\"fp32\",\"precision_margin\":0.25}", NULL,
          "fine_tune", &r);
    assert_true(r.precision == PRECISION_FP32 && r.precision_margin == 0.25);
    assert_true(r.folds == 5 && r.balanced && !r.balanced_auto);
    merge("{\"mode\":\"fine_tune\",\"epochs\":3}", "{\"mode\":\"head\"}", NULL, &r);
    assert_int_equal(r.mode, RECIPE_HEAD);
    merge("{\"mode\":\"fine_tune\",\"epochs\":3}", "{\"batch\":8}", "fine_tune", &r);
    assert_true(r.epochs == 3 && r.batch == 8);

    /* The model's preset goes with it, a request's preset brings its own numbers. */
    merge("\"workshop\"", NULL, "fine_tune", &r);
    assert_true(r.preset == RECIPE_WORKSHOP && r.mode == RECIPE_FINE_TUNE && r.batch == 128);
    merge("{\"mode\":\"fine_tune\",\"epochs\":3,\"batch\":8}", "\"workshop\"", NULL, &r);
    assert_true(r.mode == RECIPE_FINE_TUNE && r.batch == 128 && r.epochs == 10);
    merge("{\"mode\":\"head\",\"folds\":3}", "{\"solver\":\"sgd\",\"epochs\":2}", NULL, &r);
    assert_true(r.solver == RECIPE_SGD && r.epochs == 2);

    /* Also when the model's recipe is spelled out, as it is stored. */
    merge("{\"mode\":\"head\",\"folds\":3}", NULL, NULL, &r);
    CLEANUP(json_decref_p) json_t *stored = recipe_json(&r);
    assert_int_equal(recipe_merge(stored, NULL, "partial", &r, NULL), ERR_OK);
    assert_int_equal(r.mode, RECIPE_PARTIAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_spelled_out_is_the_same_recipe),
        cmocka_unit_test(a_plain_head_is_spelled_out),
        cmocka_unit_test(the_workshop),
        cmocka_unit_test(the_workshop_looks_anew_in_each_epoch),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_request_over_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

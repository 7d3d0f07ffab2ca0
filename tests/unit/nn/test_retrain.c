#include "nn/retrain.h"

#include "nn/classifier.h"
#include "nn/sample.h"
#include "tests/unit/nn/tiny.h"

#include <math.h>
#include <signal.h>
#include <sys/wait.h>

/* 3 classes of 12 training and 6 holdout pictures. */
enum { TRAIN = 36, HOLDOUT = 18 };

static const struct tiny_part three[] = {
    { "red", 0, SPLIT_TRAIN, 0, 12 },   { "red", 0, SPLIT_VAL, 50, 6 },
    { "green", 1, SPLIT_TRAIN, 0, 12 }, { "green", 1, SPLIT_VAL, 50, 6 },
    { "blue", 2, SPLIT_TRAIN, 0, 12 },  { "blue", 2, SPLIT_VAL, 50, 6 },
};

struct output {
    struct buf artifact;
    json_t *report;
};

static int set_up(void **state)
{
    struct tiny *t = calloc(1, sizeof *t);
    assert_non_null(t);
    tiny_init(t);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    tiny_fini(*state);
    free(*state);
    return 0;
}

static struct retrain_spec spec_of(const struct tiny *t, struct digest manifest)
{
    struct retrain_spec spec = { .manifest = manifest,
                                 .backbone = t->backbone,
                                 .seed = 1,
                                 .threads = 2,
                                 .limits = { IMAGE_MAX_PIXELS_DEFAULT } };
    assert_int_equal(recipe_parse(NULL, &spec.recipe, NULL), ERR_OK);
    return spec;
}

static void output_fini(struct output *o)
{
    buf_fini(&o->artifact);
    json_decref(o->report);
}

static enum err_code run_in(const struct tiny *t, const struct retrain_spec *spec,
                            const char *features, retrain_progress progress, void *context,
                            struct buf *ret_artifact, json_t **ret_report, struct err *e)
{
    const struct retrain_places places = { .blobs = t->blobs, .features = features };
    return retrain_run(spec, &places, progress, context, ret_artifact, ret_report, e);
}

static enum err_code try(struct tiny *t, const struct retrain_spec *spec, struct output *ret,
                         struct err *e)
{
    *ret = (struct output){ 0 };
    buf_init(&ret->artifact, 1 << 24);
    return run_in(t, spec, t->features, NULL, NULL, &ret->artifact, &ret->report, e);
}

static void run(struct tiny *t, const struct retrain_spec *spec, struct output *ret)
{
    struct err e = { 0 };
    if (try(t, spec, ret, &e))
        fail_msg("%s", e.message);
}

static double number(const struct output *o, const char *object, const char *name)
{
    const json_t *from = object ? json_object_get(o->report, object) : o->report;
    const json_t *value = json_object_get(from, name);
    if (!json_is_number(value))
        fail_msg("no number %s in %s", name, object ? object : "the report");
    return json_number_value(value);
}

static struct digest keep(struct tiny *t, const struct output *o)
{
    struct digest d;
    assert_int_equal(blobs_put(t->blobs, o->artifact.data, o->artifact.len, &d, NULL), ERR_OK);
    return d;
}

static void report_and_artifact(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec = spec_of(t, tiny_dataset(t, three, 6));
    CLEANUP(output_fini) struct output o;
    run(t, &spec, &o);
    assert_int_equal(number(&o, NULL, "forward_passes"), TRAIN + HOLDOUT);
    assert_int_equal(number(&o, NULL, "champion_forward_passes"), 0);
    assert_int_equal(number(&o, "train", "count"), TRAIN);
    assert_int_equal(number(&o, "holdout", "count"), HOLDOUT);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(o.report, "holdout"), "split")), "val");
    assert_true(number(&o, "metrics", "accuracy") > 0.9);
    assert_true(fabs(number(&o, NULL, "majority_accuracy") - 1.0 / 3) < 1e-9);
    assert_int_equal(number(&o, "fit", "folds"), 5);
    assert_true(json_is_true(json_object_get(json_object_get(o.report, "fit"), "converged")));
    assert_true(json_is_null(json_object_get(o.report, "champion_metrics")));
    assert_true(json_is_null(json_object_get(o.report, "paired")));
    const json_t *labels = json_object_get(o.report, "labels");
    assert_string_equal(json_string_value(json_array_get(labels, 0)), "blue");
    assert_int_equal(json_array_size(labels), 3);
    assert_int_equal(json_object_size(json_object_get(o.report, "seconds")), 4);

    struct classifier *c = NULL;
    struct classifier_scratch *s = NULL;
    struct err e = { 0 };
    if (classifier_load(o.artifact.data, o.artifact.len, &c, &e))
        fail_msg("%s", e.message);
    assert_int_equal(classifier_scratch_new(c, &s, NULL), ERR_OK);
    assert_string_equal(classifier_labels(c)[2], "red");
    CLEANUP(buf_fini) struct buf png;
    float p[3];
    tiny_picture(0, 99, &png);
    assert_int_equal(classifier_score(c, s, png.data, png.len, &spec.limits, p, NULL), ERR_OK);
    assert_true(p[2] > p[0] && p[2] > p[1]);
    classifier_scratch_free(s);
    classifier_free(c);
}

static void same_bits_again_and_with_any_threads(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec = spec_of(t, tiny_dataset(t, three, 6));
    CLEANUP(output_fini) struct output first;
    char fresh[16];
    run(t, &spec, &first);
    for (int threads = 1; threads <= 3; threads++) {
        CLEANUP(output_fini) struct output o;
        spec.threads = threads;
        run(t, &spec, &o);
        assert_int_equal(number(&o, NULL, "forward_passes"), 0);
        assert_int_equal(o.artifact.len, first.artifact.len);
        assert_memory_equal(o.artifact.data, first.artifact.data, first.artifact.len);

        /* ... and from an empty cache. */
        CLEANUP(output_fini) struct output again = { 0 };
        char folder[128];
        snprintf(fresh, sizeof fresh, "fresh-%d", threads);
        snprintf(folder, sizeof folder, "%s/%s", t->folder, fresh);
        buf_init(&again.artifact, 1 << 24);
        assert_int_equal(run_in(t, &spec, folder, NULL, NULL, &again.artifact, &again.report, NULL),
                         ERR_OK);
        assert_int_equal(number(&again, NULL, "forward_passes"), TRAIN + HOLDOUT);
        assert_int_equal(again.artifact.len, first.artifact.len);
        assert_memory_equal(again.artifact.data, first.artifact.data, first.artifact.len);
    }
    /* The seed and the recipe are part of it. */
    spec.seed = 2;
    CLEANUP(output_fini) struct output other;
    run(t, &spec, &other);
    assert_true(other.artifact.len != first.artifact.len ||
                memcmp(other.artifact.data, first.artifact.data, first.artifact.len) != 0);
}

static const char *text(const struct output *o, const char *object, const char *name)
{
    const json_t *value = json_object_get(json_object_get(o->report, object), name);
    if (!json_is_string(value))
        fail_msg("no text %s in %s", name, object);
    return json_string_value(value);
}

/* The file's own word, its accuracy on the holdout through classifier_score(). */
static void served_as_judged(const struct retrain_spec *spec, const struct output *o,
                             const char *precision)
{
    struct network *n = NULL;
    struct classifier *c = NULL;
    struct classifier_scratch *s = NULL;
    assert_int_equal(network_load(o->artifact.data, o->artifact.len, &n, NULL), ERR_OK);
    assert_string_equal(network_meta(n, PRECISION_META), precision);
    assert_true((network_meta(n, PRECISION_META_RANGES) != NULL) ==
                (strcmp(precision, "int8") == 0));
    network_free(n);
    assert_int_equal(classifier_load(o->artifact.data, o->artifact.len, &c, NULL), ERR_OK);
    assert_int_equal(classifier_scratch_new(c, &s, NULL), ERR_OK);
    static const int label_at[] = { 2, 1, 0 }; /* blue, green, red */
    double loss = 0;
    for (size_t i = 0; i < sizeof three / sizeof *three; i++)
        for (int k = three[i].first;
             three[i].split == SPLIT_VAL && k < three[i].first + three[i].count; k++) {
            CLEANUP(buf_fini) struct buf png;
            float p[3];
            tiny_picture(three[i].class, k, &png);
            assert_int_equal(classifier_score(c, s, png.data, png.len, &spec->limits, p, NULL),
                             ERR_OK);
            loss -= log((double)p[label_at[three[i].class]]);
        }
    double want = number(o, "metrics", "log_loss");
    if (!(fabs(loss / HOLDOUT - want) < 1e-5))
        fail_msg("%s: log loss %g, the report says %g", precision, loss / HOLDOUT, want);
    classifier_scratch_free(s);
    classifier_free(c);
}

/* What is judged is what is served, in each precision; nothing is computed twice. */
static void each_precision(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec = spec_of(t, tiny_dataset(t, three, 6));
    double losses[3];
    for (int p = PRECISION_FP32; p <= PRECISION_AUTO; p++) {
        CLEANUP(output_fini) struct output o;
        CLEANUP(output_fini) struct output again;
        const char *served = p == PRECISION_FP32 ? "fp32" : "int8";
        spec.recipe.precision = (enum precision)p;
        run(t, &spec, &o);
        assert_string_equal(text(&o, "precision", "asked"), precision_text(spec.recipe.precision));
        assert_string_equal(text(&o, "precision", "served"), served);
        served_as_judged(&spec, &o, served);
        losses[p] = number(&o, "metrics", "log_loss");
        /* fp32 does not try, int8 does it once, auto finds what int8 has left. */
        assert_int_equal(number(&o, "precision", "forward_passes"),
                         p == PRECISION_INT8 ? SAMPLE_PICTURES + HOLDOUT : 0);
        assert_int_equal(number(&o, NULL, "forward_passes"), p ? 0 : TRAIN + HOLDOUT);
        const json_t *precision = json_object_get(o.report, "precision");
        if (p == PRECISION_FP32)
            assert_true(json_is_null(json_object_get(precision, "int8_accuracy")));
        else
            assert_true(number(&o, "precision", "int8_accuracy") ==
                        number(&o, "metrics", "accuracy"));
        run(t, &spec, &again);
        assert_int_equal(number(&again, "precision", "forward_passes"), 0);
        assert_int_equal(again.artifact.len, o.artifact.len);
        assert_memory_equal(again.artifact.data, o.artifact.data, o.artifact.len);
    }
    assert_true(losses[PRECISION_INT8] != losses[PRECISION_FP32]);
    assert_true(losses[PRECISION_INT8] == losses[PRECISION_AUTO]);
}

/* auto keeps to fp32 when int8 is worse than the margin lets it be. */
static void auto_keeps_the_margin(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec = spec_of(t, tiny_dataset(t, three, 6));
    CLEANUP(output_fini) struct output o;
    spec.recipe.precision_margin = -2; /* what no accuracy reaches */
    run(t, &spec, &o);
    assert_string_equal(text(&o, "precision", "served"), "fp32");
    assert_true(number(&o, "precision", "fp32_accuracy") == number(&o, "metrics", "accuracy"));
    assert_true(number(&o, "precision", "int8_accuracy") > 0.5);
    served_as_judged(&spec, &o, "fp32");
}

/* A champion is judged as it is served, from cached features or by itself. */
static void champion_of_another_precision(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec = spec_of(t, tiny_dataset(t, three, 6));
    char folder[128];
    snprintf(folder, sizeof folder, "%s/elsewhere", t->folder);
    for (int p = PRECISION_FP32; p <= PRECISION_INT8; p++) {
        CLEANUP(output_fini) struct output first;
        CLEANUP(output_fini) struct output second;
        CLEANUP(output_fini) struct output third = { 0 };
        spec.recipe.precision = (enum precision)p;
        spec.has_champion = false;
        run(t, &spec, &first);
        spec.has_champion = true;
        spec.champion = keep(t, &first);
        spec.recipe.precision = p ? PRECISION_FP32 : PRECISION_INT8;
        run(t, &spec, &second);
        assert_true(json_equal(json_object_get(second.report, "champion_metrics"),
                               json_object_get(first.report, "metrics")));
        assert_int_equal(number(&second, NULL, "champion_forward_passes"), 0);
        buf_init(&third.artifact, 1 << 24);
        spec.overrides.resize = 45;
        assert_int_equal(run_in(t, &spec, folder, NULL, NULL, &third.artifact, &third.report, NULL),
                         ERR_OK);
        spec.overrides.resize = 0;
        assert_int_equal(number(&third, NULL, "champion_forward_passes"), HOLDOUT);
        assert_true(json_equal(json_object_get(third.report, "champion_metrics"),
                               json_object_get(first.report, "metrics")));
    }
}

static void new_pictures_cost_only_themselves(void **state)
{
    struct tiny *t = *state;
    struct tiny_part parts[7];
    memcpy(parts, three, sizeof three);
    parts[6] = (struct tiny_part){ "green", 1, SPLIT_TRAIN, 20, 4 };
    struct retrain_spec spec = spec_of(t, tiny_dataset(t, three, 6));
    CLEANUP(output_fini) struct output first;
    CLEANUP(output_fini) struct output more;
    CLEANUP(output_fini) struct output mirrored;
    run(t, &spec, &first);
    spec.manifest = tiny_dataset(t, parts, 7);
    run(t, &spec, &more);
    assert_int_equal(number(&more, NULL, "forward_passes"), 4);
    assert_int_equal(number(&more, "train", "count"), TRAIN + 4);
    /* The holdout is the same one. */
    const json_t *a = json_object_get(first.report, "holdout");
    assert_true(json_equal(a, json_object_get(more.report, "holdout")));
    /* A second view: training pictures only. */
    spec.recipe.views = 2;
    run(t, &spec, &mirrored);
    assert_int_equal(number(&mirrored, NULL, "forward_passes"), TRAIN + 4);
    assert_int_equal(number(&mirrored, "train", "count"), TRAIN + 4);
}

static void champion_with_the_same_backbone_costs_nothing(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec = spec_of(t, tiny_dataset(t, three, 6));
    CLEANUP(output_fini) struct output first;
    CLEANUP(output_fini) struct output second;
    run(t, &spec, &first);
    spec.has_champion = true;
    spec.champion = keep(t, &first);
    run(t, &spec, &second);
    assert_int_equal(number(&second, NULL, "forward_passes"), 0);
    assert_int_equal(number(&second, NULL, "champion_forward_passes"), 0);
    /* The champion is the same model: the same bytes, the same answers. */
    assert_int_equal(second.artifact.len, first.artifact.len);
    assert_memory_equal(second.artifact.data, first.artifact.data, first.artifact.len);
    assert_true(json_equal(json_object_get(second.report, "metrics"),
                           json_object_get(second.report, "champion_metrics")));
    assert_int_equal(number(&second, "paired", "only_challenger"), 0);
    assert_int_equal(number(&second, "paired", "only_champion"), 0);
    assert_int_equal(number(&second, "paired", "both") + number(&second, "paired", "neither"),
                     HOLDOUT);
}

static void champion_with_another_backbone(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec = spec_of(t, tiny_dataset(t, three, 6));
    CLEANUP(output_fini) struct output first;
    CLEANUP(output_fini) struct output second;
    CLEANUP(output_fini) struct output third;
    run(t, &spec, &first);
    spec.has_champion = true;
    spec.champion = keep(t, &first);
    /* Other preprocessing is another backbone; the champion's features are still cached. */
    spec.overrides.resize = 45;
    run(t, &spec, &second);
    assert_int_equal(number(&second, NULL, "forward_passes"), TRAIN + HOLDOUT);
    assert_int_equal(number(&second, NULL, "champion_forward_passes"), 0);
    assert_true(json_equal(json_object_get(second.report, "champion_metrics"),
                           json_object_get(first.report, "metrics")));
    /* ... and computed where they are not, with the same numbers. */
    char folder[128];
    snprintf(folder, sizeof folder, "%s/elsewhere", t->folder);
    third = (struct output){ 0 };
    buf_init(&third.artifact, 1 << 24);
    assert_int_equal(run_in(t, &spec, folder, NULL, NULL, &third.artifact, &third.report, NULL),
                     ERR_OK);
    assert_int_equal(number(&third, NULL, "champion_forward_passes"), HOLDOUT);
    assert_true(json_equal(json_object_get(third.report, "champion_metrics"),
                           json_object_get(first.report, "metrics")));
}

static void champion_with_other_labels(void **state)
{
    struct tiny *t = *state;
    const struct tiny_part two[] = {
        { "red", 0, SPLIT_TRAIN, 0, 12 },
        { "red", 0, SPLIT_VAL, 50, 6 },
        { "olive", 3, SPLIT_TRAIN, 0, 8 },
        { "olive", 3, SPLIT_VAL, 50, 6 },
    };
    struct retrain_spec spec = spec_of(t, tiny_dataset(t, two, 4));
    CLEANUP(output_fini) struct output first;
    CLEANUP(output_fini) struct output second;
    run(t, &spec, &first);
    assert_true(number(&first, "metrics", "accuracy") > 0.9);
    spec.has_champion = true;
    spec.champion = keep(t, &first);
    spec.manifest = tiny_dataset(t, three, 6);
    run(t, &spec, &second);
    /* It knows red alone; what it takes for olive stands in a class of its own. */
    assert_true(number(&second, "champion_metrics", "accuracy") <= 6.0 / HOLDOUT + 1e-9);
    const json_t *classes =
        json_object_get(json_object_get(second.report, "champion_metrics"), "per_class");
    assert_int_equal(json_array_size(classes), 4);
    assert_string_equal(json_string_value(json_object_get(json_array_get(classes, 3), "label")),
                        "olive");
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(second.report, "metrics"), "per_class")),
        3);
    assert_true(number(&second, "paired", "only_challenger") >= 11);
}

struct killer {
    size_t at;
    const char *phase;
};

static bool kill_at(void *context, const char *phase, size_t done, size_t total,
                    const json_t *detail)
{
    (void)detail;
    const struct killer *k = context;
    (void)total;
    if (strcmp(phase, k->phase) == 0 && done >= k->at)
        kill(getpid(), SIGKILL);
    return false;
}

static void killed_and_started_again(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec = spec_of(t, tiny_dataset(t, three, 6));
    struct killer killers[] = { { 7, "features" }, { 2, "fit" }, { 0, "export" } };
    CLEANUP(output_fini) struct output clean;
    run(t, &spec, &clean);
    for (size_t i = 0; i < sizeof killers / sizeof *killers; i++) {
        char folder[128];
        snprintf(folder, sizeof folder, "%s/killed-%zu", t->folder, i);
        CLEANUP(output_fini) struct output o = { 0 };
        buf_init(&o.artifact, 1 << 24);
        pid_t child = fork();
        if (child == 0) {
            enum err_code r =
                run_in(t, &spec, folder, kill_at, &killers[i], &o.artifact, &o.report, NULL);
            _exit(r ? 1 : 2);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        struct err e = { 0 };
        if (run_in(t, &spec, folder, NULL, NULL, &o.artifact, &o.report, &e))
            fail_msg("%s", e.message);
        if (i > 0)
            assert_int_equal(number(&o, NULL, "forward_passes"), 0);
        assert_int_equal(o.artifact.len, clean.artifact.len);
        assert_memory_equal(o.artifact.data, clean.artifact.data, clean.artifact.len);
    }
}

static bool stop_in(void *context, const char *phase, size_t done, size_t total,
                    const json_t *detail)
{
    (void)detail;
    (void)done;
    (void)total;
    return strcmp(phase, context) == 0;
}

static void cancelled_in_each_phase(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec = spec_of(t, tiny_dataset(t, three, 6));
    char phases[4][16] = { "features", "fit", "evaluate", "export" };
    for (int i = 0; i < 4; i++) {
        CLEANUP(output_fini) struct output o = { 0 };
        char folder[128];
        snprintf(folder, sizeof folder, "%s/cancelled-%d", t->folder, i);
        buf_init(&o.artifact, 1 << 24);
        enum err_code r =
            run_in(t, &spec, folder, stop_in, phases[i], &o.artifact, &o.report, NULL);
        /* Features may all be done before the watcher can say so; then there is a result. */
        assert_true(r == ERR_CANCELLED || (i == 0 && r == ERR_OK));
        if (r) {
            assert_null(o.report);
            assert_int_equal(o.artifact.len, 0);
        }
    }
}

static void refusals(void **state)
{
    struct tiny *t = *state;
    static const struct {
        struct tiny_part parts[4];
        size_t count;
        enum err_code code;
        const char *said;
    } cases[] = {
        { { { "red", 0, SPLIT_VAL, 0, 3 }, { "blue", 2, SPLIT_VAL, 0, 3 } },
          2,
          ERR_DATASET_EMPTY,
          "train" },
        { { { "red", 0, SPLIT_TRAIN, 0, 3 }, { "red", 0, SPLIT_VAL, 3, 3 } },
          2,
          ERR_DATASET_ONE_CLASS,
          "red" },
        { { { "red", 0, SPLIT_TRAIN, 0, 3 },
            { "blue", 2, SPLIT_TRAIN, 0, 1 },
            { "blue", 2, SPLIT_VAL, 1, 4 } },
          3,
          ERR_CLASS_TOO_SMALL,
          "blue" },
        { { { "red", 0, SPLIT_TRAIN, 0, 3 }, { "blue", 2, SPLIT_TRAIN, 0, 3 } },
          2,
          ERR_HOLDOUT_EMPTY,
          "val" },
        { { { 0 } }, 0, ERR_DATASET_EMPTY, "train" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct retrain_spec spec = spec_of(t, tiny_dataset(t, cases[i].parts, cases[i].count));
        CLEANUP(output_fini) struct output o;
        struct err e = { 0 };
        enum err_code r = try(t, &spec, &o, &e);
        if (r != cases[i].code || !strstr(e.message, cases[i].said))
            fail_msg("case %zu: %s: %s", i, err_slug(r), e.message);
        assert_null(o.report);
    }
    /* What is not there or not what it should be. */
    struct retrain_spec spec = spec_of(t, tiny_dataset(t, three, 6));
    CLEANUP(output_fini) struct output o;
    spec.has_champion = true;
    memset(&spec.champion, 7, sizeof spec.champion);
    assert_int_equal(try(t, &spec, &o, NULL), ERR_BLOB_MISSING);
    spec.has_champion = false;
    spec.backbone = spec.manifest;
    output_fini(&o);
    assert_int_equal(try(t, &spec, &o, NULL), ERR_ONNX_SYNTAX);
    spec.backbone = t->backbone;
    spec.manifest = t->backbone;
    output_fini(&o);
    assert_int_equal(try(t, &spec, &o, NULL), ERR_BLOB_CORRUPT);
}

static void test_split_goes_before_val(void **state)
{
    struct tiny *t = *state;
    struct tiny_part parts[7];
    memcpy(parts, three, sizeof three);
    parts[6] = (struct tiny_part){ "red", 0, SPLIT_TEST, 70, 5 };
    struct retrain_spec spec = spec_of(t, tiny_dataset(t, parts, 7));
    CLEANUP(output_fini) struct output o;
    run(t, &spec, &o);
    assert_int_equal(number(&o, "holdout", "count"), 5);
    assert_int_equal(number(&o, NULL, "majority_accuracy"), 1);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(o.report, "holdout"), "split")), "test");
}

static void unbalanced_sets_are_weighted(void **state)
{
    struct tiny *t = *state;
    const struct tiny_part parts[] = { { "red", 0, SPLIT_TRAIN, 0, 12 },
                                       { "red", 0, SPLIT_VAL, 50, 3 },
                                       { "blue", 2, SPLIT_TRAIN, 0, 5 } };
    struct retrain_spec spec = spec_of(t, tiny_dataset(t, parts, 3));
    CLEANUP(output_fini) struct output o;
    CLEANUP(output_fini) struct output even;
    run(t, &spec, &o);
    assert_true(json_is_true(json_object_get(json_object_get(o.report, "fit"), "balanced")));
    spec.manifest = tiny_dataset(t, three, 6);
    run(t, &spec, &even);
    assert_true(json_is_false(json_object_get(json_object_get(even.report, "fit"), "balanced")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(report_and_artifact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(same_bits_again_and_with_any_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_precision, set_up, tear_down),
        cmocka_unit_test_setup_teardown(auto_keeps_the_margin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(champion_of_another_precision, set_up, tear_down),
        cmocka_unit_test_setup_teardown(new_pictures_cost_only_themselves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(champion_with_the_same_backbone_costs_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(champion_with_another_backbone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(champion_with_other_labels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(killed_and_started_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancelled_in_each_phase, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_split_goes_before_val, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unbalanced_sets_are_weighted, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Modes of training that have epochs (nn/retrain_train.c, nn/train.c, nn/batches.c) on the tiny
 * network. */
#include "nn/retrain.h"

#include "data/base/json.h"
#include "nn/champion.h"
#include "nn/classifier.h"
#include "tests/unit/nn/tiny.h"

#include <math.h>
#include <signal.h>
#include <sys/wait.h>

static const struct tiny_part three[] = {
    { "red", 0, SPLIT_TRAIN, 0, 14 },   { "red", 0, SPLIT_VAL, 50, 6 },
    { "green", 1, SPLIT_TRAIN, 0, 14 }, { "green", 1, SPLIT_VAL, 50, 6 },
    { "blue", 2, SPLIT_TRAIN, 0, 14 },  { "blue", 2, SPLIT_VAL, 50, 6 },
};

static const char *const recipes[] = {
    "{\"mode\":\"fine_tune\",\"epochs\":3,\"batch\":8,\"ema\":0.9,\"smoothing\":0.1,\"clip\":1}",
    ("{\"mode\":\"fine_tune\",\"epochs\":2,\"batch\":8,\"start\":\"random\",\"optimiser\":"
     "\"adamw\","
     "\"validation\":0,\"augment\":{\"mixup\":0.2,\"flip\":0.5}}"),
    "{\"mode\":\"fine_tune\",\"preset\":\"workshop\",\"epochs\":2}",
    "{\"mode\":\"partial\",\"epochs\":4,\"batch\":8,\"cut\":\"r1\",\"views\":2,\"balanced\":true}",
    "{\"mode\":\"partial\",\"epochs\":4,\"batch\":8,\"augment\":\"workshop\",\"views\":3}",
    "{\"mode\":\"scratch\",\"epochs\":3,\"batch\":8,\"schedule\":\"one_cycle\"}",
    "{\"mode\":\"head\",\"solver\":\"sgd\",\"epochs\":3}",
    "{\"mode\":\"head\",\"preset\":\"workshop\",\"epochs\":2,\"views\":3}",
    "{\"mode\":\"head\",\"augment\":\"workshop\",\"views\":3}",
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

struct output {
    struct buf artifact;
    json_t *report;
};

static void output_fini(struct output *o)
{
    buf_fini(&o->artifact);
    json_decref(o->report);
}

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

static void take_recipe(struct retrain_spec *spec, const char *text)
{
    struct err e = { 0 };
    CLEANUP(json_decref_p) json_t *recipe = json_loads(text, 0, NULL);
    assert_non_null(recipe);
    if (recipe_parse(recipe, &spec->recipe, &e))
        fail_msg("%s: %s", text, e.message);
}

static struct retrain_spec spec_of(struct tiny *t, const char *recipe)
{
    struct retrain_spec spec = { .manifest = tiny_dataset(t, three, 6),
                                 .backbone = t->backbone,
                                 .seed = 1,
                                 .threads = 2,
                                 .limits = { IMAGE_MAX_PIXELS_DEFAULT } };
    take_recipe(&spec, recipe);
    return spec;
}

static enum err_code try(const struct tiny *t, const struct retrain_spec *spec,
                         const char *features, const char *work, retrain_progress progress,
                         void *context, struct output *ret, struct err *e)
{
    char folder[200];
    snprintf(folder, sizeof folder, "%s/%s", t->folder, features);
    const struct retrain_places places = { .blobs = t->blobs, .features = folder, .work = work };
    *ret = (struct output){ 0 };
    buf_init(&ret->artifact, 1 << 24);
    return retrain_run(spec, &places, progress, context, &ret->artifact, &ret->report, e);
}

static void run(const struct tiny *t, const struct retrain_spec *spec, const char *features,
                const char *work, struct output *ret)
{
    struct err e = { 0 };
    if (try(t, spec, features, work, NULL, NULL, ret, &e))
        fail_msg("%s", e.message);
}

static void assert_same(const struct output *a, const struct output *b, const char *what)
{
    if (a->artifact.len != b->artifact.len ||
        memcmp(a->artifact.data, b->artifact.data, a->artifact.len) != 0)
        fail_msg("other bytes: %s", what);
}

static void same_bits_with_any_threads_and_any_cache(void **state)
{
    struct tiny *t = *state;
    for (int i = 0; i < RECIPES; i++) {
        struct retrain_spec spec = spec_of(t, recipes[i]);
        CLEANUP(output_fini) struct output first;
        run(t, &spec, "features", NULL, &first);
        for (int threads = 1; threads <= 3; threads += 2) {
            CLEANUP(output_fini) struct output o;
            char fresh[32];
            snprintf(fresh, sizeof fresh, "fresh-%d-%d", i, threads);
            spec.threads = threads;
            run(t, &spec, threads == 1 ? "features" : fresh, NULL, &o);
            assert_same(&o, &first, recipes[i]);
        }
        CLEANUP(output_fini) struct output other;
        spec.seed = 2;
        run(t, &spec, "features", NULL, &other);
        if (recipe_is_trained(&spec.recipe) && other.artifact.len == first.artifact.len)
            assert_memory_not_equal(other.artifact.data, first.artifact.data, first.artifact.len);
    }
}

/* What the report says of the holdout is what the file answers when it is served. */
static void the_file_answers_as_reported(void **state)
{
    struct tiny *t = *state;
    for (int i = 0; i < RECIPES; i++) {
        struct retrain_spec spec = spec_of(t, recipes[i]);
        CLEANUP(output_fini) struct output o;
        struct classifier *c = NULL;
        struct classifier_scratch *s = NULL;
        struct err e = { 0 };
        run(t, &spec, "features", NULL, &o);
        if (classifier_load(o.artifact.data, o.artifact.len, &c, &e))
            fail_msg("%s: %s", recipes[i], e.message);
        assert_int_equal(classifier_scratch_new(c, &s, NULL), ERR_OK);
        int right = 0;
        for (int class = 0; class < 3; class ++)
            for (int k = 50; k < 56; k++) {
                static const char *const names[] = { "red", "green", "blue" };
                CLEANUP(buf_fini) struct buf png;
                float p[3];
                tiny_picture(class, k, &png);
                assert_int_equal(classifier_score(c, s, png.data, png.len, &spec.limits, p, NULL),
                                 ERR_OK);
                int best = p[1] > p[0] ? 1 : 0;
                best = p[2] > p[best] ? 2 : best;
                right += strcmp(classifier_labels(c)[best], names[class]) == 0;
            }
        const json_t *metrics = json_object_get(o.report, "metrics");
        double accuracy = json_number_value(json_object_get(metrics, "accuracy"));
        if (fabs(accuracy - right / 18.0) > 1e-9)
            fail_msg("%s: reported %g, answered %d of 18", recipes[i], accuracy, right);
        classifier_scratch_free(s);
        classifier_free(c);
    }
}

static struct digest keep(struct tiny *t, const struct output *o)
{
    struct digest d;
    assert_int_equal(blobs_put(t->blobs, o->artifact.data, o->artifact.len, &d, NULL), ERR_OK);
    return d;
}

/* A champion with a trained body has its features under its own key: they were computed when it was
 * the challenger, and are not those of its backbone. */
static void a_trained_champion_is_judged_by_its_own_body(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec = spec_of(t, recipes[5]); /* scratch */
    CLEANUP(output_fini) struct output scratch;
    CLEANUP(output_fini) struct output head;
    run(t, &spec, "features", NULL, &scratch);
    const json_t *before = json_object_get(scratch.report, "metrics");
    take_recipe(&spec, "{\"mode\":\"head\"}");
    spec.has_champion = true;
    spec.champion = keep(t, &scratch);
    run(t, &spec, "features", NULL, &head);
    assert_true(json_equal(json_object_get(head.report, "champion_metrics"), before));
    assert_int_equal(json_integer_value(json_object_get(head.report, "champion_forward_passes")),
                     0);

    CLEANUP(output_fini) struct output cold;
    run(t, &spec, "cold", NULL, &cold);
    assert_int_equal(json_integer_value(json_object_get(cold.report, "champion_forward_passes")),
                     18);
    assert_true(json_equal(json_object_get(cold.report, "champion_metrics"), before));

    /* ... and a head as the champion of a trained body. */
    CLEANUP(output_fini) struct output tuned;
    take_recipe(&spec, recipes[0]);
    spec.champion = keep(t, &head);
    run(t, &spec, "features", NULL, &tuned);
    assert_true(json_equal(json_object_get(tuned.report, "champion_metrics"),
                           json_object_get(head.report, "metrics")));
}

static const json_t *training_of(const struct output *o)
{
    const json_t *training = json_object_get(o->report, "training");
    assert_true(json_is_object(training));
    return training;
}

static int64_t count_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void the_holdout_is_not_chosen_by(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec =
        spec_of(t, "{\"mode\":\"fine_tune\",\"epochs\":2,\"validation\":0.25}");
    CLEANUP(output_fini) struct output o;
    CLEANUP(output_fini) struct output tested;
    run(t, &spec, "features", NULL, &o);
    const json_t *validation = json_object_get(training_of(&o), "validation");
    /* A quarter of 14 pictures of each class, rounded. */
    assert_int_equal(count_of(validation, "count"), 12);
    assert_string_equal(json_string_value(json_object_get(validation, "from")), "train");
    assert_int_equal(count_of(training_of(&o), "pictures"), 30);
    assert_int_equal(count_of(json_object_get(o.report, "holdout"), "count"), 18);

    struct tiny_part parts[7];
    memcpy(parts, three, sizeof three);
    parts[6] = (struct tiny_part){ "red", 0, SPLIT_TEST, 70, 5 };
    spec.manifest = tiny_dataset(t, parts, 7);
    run(t, &spec, "features", NULL, &tested);
    validation = json_object_get(training_of(&tested), "validation");
    assert_int_equal(count_of(validation, "count"), 18);
    assert_string_equal(json_string_value(json_object_get(validation, "from")), "val");
    assert_int_equal(count_of(training_of(&tested), "pictures"), 42);
    assert_int_equal(count_of(json_object_get(tested.report, "holdout"), "count"), 5);
}

/* A start that nothing beats is the head of mode head, on the backbone as it was. */
static void the_start_may_be_the_best(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec = spec_of(
        t,
        "{\"mode\":\"fine_tune\",\"epochs\":3,\"learning_rate\":5,\"body_factor\":1,\"warmup\":0}");
    CLEANUP(output_fini) struct output tuned;
    CLEANUP(output_fini) struct output head;
    CLEANUP(champion_fini) struct champion c = { 0 };
    run(t, &spec, "features", NULL, &tuned);
    assert_int_equal(count_of(training_of(&tuned), "best_epoch"), 0);
    take_recipe(&spec, "{\"mode\":\"head\"}");
    run(t, &spec, "features", NULL, &head);
    assert_true(json_equal(json_object_get(tuned.report, "metrics"),
                           json_object_get(head.report, "metrics")));
    assert_int_equal(champion_open(tuned.artifact.data, tuned.artifact.len, &c, NULL), ERR_OK);
    assert_memory_equal(&c.backbone.digest, &t->backbone, sizeof t->backbone);
    assert_null(network_meta(c.backbone.network, CLASSIFIER_META_BODY));
}

static void divergence_is_told(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec =
        spec_of(t, "{\"mode\":\"fine_tune\",\"epochs\":30,\"batch\":8,\"learning_rate\":1000,"
                   "\"weight_decay\":1,\"body_factor\":1,\"warmup\":0,\"patience\":0}");
    CLEANUP(output_fini) struct output o;
    struct err e = { 0 };
    assert_int_equal(try(t, &spec, "features", NULL, NULL, NULL, &o, &e), ERR_DIVERGED);
    if (!strstr(e.message, "step ") || !strstr(e.message, "finite"))
        fail_msg("%s", e.message);
    assert_null(o.report);
    assert_int_equal(o.artifact.len, 0);
}

static void a_cut_that_is_none_is_refused(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec = spec_of(t, "{\"mode\":\"partial\",\"cut\":\"w1\"}");
    CLEANUP(output_fini) struct output o;
    struct err e = { 0 };
    assert_int_equal(try(t, &spec, "features", NULL, NULL, NULL, &o, &e), ERR_RECIPE);
    assert_non_null(strstr(e.message, "w1"));
}

/* --- breaking off and going on --------------------------------------------------------------- */

struct killer {
    size_t at;
    const char *phase;
};

static bool kill_at(void *context, const char *phase, size_t done, size_t total,
                    const json_t *detail)
{
    const struct killer *k = context;
    (void)total;
    (void)detail;
    if (strcmp(phase, k->phase) == 0 && done >= k->at)
        kill(getpid(), SIGKILL);
    return false;
}

/* Checkpoints come by the clock: waiting here until there is one makes the kill hit what it shall.
 */
struct slow_killer {
    struct killer killer;
    char checkpoint[250];
};

static bool kill_behind_checkpoint(void *context, const char *phase, size_t done, size_t total,
                                   const json_t *detail)
{
    const struct slow_killer *k = context;
    if (access(k->checkpoint, F_OK) == 0)
        return kill_at(context, phase, done, total, detail);
    if (strcmp(phase, "train") == 0)
        usleep(60000);
    return false;
}

static void killed_it_goes_on_with_the_same_bits(void **state)
{
    struct tiny *t = *state;
    static const char *const texts[] = {
        ("{\"mode\":\"fine_tune\",\"epochs\":8,\"batch\":8,\"ema\":0.9,\"momentum\":0.9,"
         "\"norm\":\"batch\",\"patience\":0}"),
        ("{\"mode\":\"partial\",\"epochs\":8,\"batch\":8,\"cut\":\"r1\",\"optimiser\":\"adamw\","
         "\"patience\":0}"),
    };
    for (int i = 0; i < 2; i++) {
        struct retrain_spec spec = spec_of(t, texts[i]);
        CLEANUP(output_fini) struct output whole;
        CLEANUP(output_fini) struct output o = { 0 };
        struct slow_killer k = { .killer = { 0, "train" } };
        char work[200];
        run(t, &spec, "features", NULL, &whole);
        assert_int_equal(count_of(training_of(&whole), "resumed_at_step"), 0);
        snprintf(work, sizeof work, "%s/work-%d", t->folder, i);
        assert_int_equal(file_mkdirs(work, NULL), ERR_OK);
        snprintf(k.checkpoint, sizeof k.checkpoint, "%s/checkpoint", work);
        pid_t child = fork();
        if (child == 0)
            _exit(try(t, &spec, "features", work, kill_behind_checkpoint, &k, &o, NULL) ? 1 : 2);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        run(t, &spec, "features", work, &o);
        assert_true(count_of(training_of(&o), "resumed_at_step") > 0);
        assert_same(&o, &whole, texts[i]);

        /* Another job's checkpoint is not gone on with. */
        CLEANUP(output_fini) struct output other = { 0 };
        spec.seed = 2;
        run(t, &spec, "features", work, &other);
        assert_int_equal(count_of(training_of(&other), "resumed_at_step"), 0);
    }
}

static bool stop_in(void *context, const char *phase, size_t done, size_t total,
                    const json_t *detail)
{
    (void)done;
    (void)total;
    (void)detail;
    return strcmp(phase, context) == 0;
}

static void cancelled_in_each_phase(void **state)
{
    struct tiny *t = *state;
    struct retrain_spec spec = spec_of(t, recipes[0]);
    char phases[][16] = { "fit", "train", "export", "evaluate" };
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        CLEANUP(output_fini) struct output o;
        assert_int_equal(try(t, &spec, "features", NULL, stop_in, phases[i], &o, NULL),
                         ERR_CANCELLED);
        assert_null(o.report);
        assert_int_equal(o.artifact.len, 0);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(same_bits_with_any_threads_and_any_cache),
        TEST(the_file_answers_as_reported),
        TEST(a_trained_champion_is_judged_by_its_own_body),
        TEST(the_holdout_is_not_chosen_by),
        TEST(the_start_may_be_the_best),
        TEST(divergence_is_told),
        TEST(a_cut_that_is_none_is_refused),
        TEST(killed_it_goes_on_with_the_same_bits),
        TEST(cancelled_in_each_phase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

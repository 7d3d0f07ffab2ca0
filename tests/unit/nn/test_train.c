/* The loop: broken off and gone on, the best weights, patience, divergence. A network with a batch
 * normalisation, on small pictures. */
#include "nn/train.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"
#include "nn/checkpoint.h"
#include "tests/unit/nn/subject.h"
#include "tests/unit/nn/tiny.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { CLASSES = 3, TRAIN = 21, HELD = 7, BATCH = 8 };

static const struct subject normed = { "normed",
                                       0,
                                       { { "Conv", "x w:8,3,3,3", "a", "l:strides=4,4" },
                                         { "BatchNormalization", "a p:8 w:8 q:8 pv:8", "b" },
                                         { "Relu", "b", "y" } } };
static const struct subject wider = { "wider",
                                      0,
                                      { { "Conv", "x w:9,3,3,3", "a", "l:strides=4,4" },
                                        { "BatchNormalization", "a p:9 w:9 q:9 pv:9", "b" },
                                        { "Relu", "b", "y" } } };

struct bench {
    struct network *network;
    struct learner *learner;
    struct batches *train, *held;
    struct recipe recipe;
    struct train_report report;
    int train_labels[TRAIN], held_labels[HELD];
};

/* Pictures of the split that context names. */
static enum err_code fetch(void *context, size_t item, struct buf *ret, struct err *e)
{
    CLEANUP(buf_fini) struct buf png;
    int first = *(const char *)context == 'h' ? 100 : 0;
    tiny_picture((int)item % CLASSES, first + (int)item, &png);
    return buf_append(ret, png.data, png.len, e);
}

static struct batches *batches_new(const char *split, size_t count, const int *labels, bool shuffle)
{
    static const struct preprocess plain = {
        .size = TINY_SIDE, .resize = TINY_SIDE, .mean = { 127, 127, 127 }, .std = { 64, 64, 64 }
    };
    const struct loader_options o = { .fetch = fetch,
                                      .context = (void *)split,
                                      .count = count,
                                      .labels = labels,
                                      .classes = CLASSES,
                                      .batch = BATCH,
                                      .ahead = 1,
                                      .threads = 2,
                                      .preprocess = &plain,
                                      .shuffle = shuffle,
                                      .seed = 4,
                                      .limits = { IMAGE_MAX_PIXELS_DEFAULT },
                                      .max_bytes = 1 << 20 };
    struct loader *loader;
    struct batches *b;
    struct err e;
    ok(loader_new(&o, &loader, &e), &e);
    ok(batches_of_loader(loader, &b, &e), &e);
    return b;
}

/* wrong: of the held pictures' labels. */
static void bench_init_wrong(struct bench *b, const struct subject *s, const char *recipe,
                             int wrong)
{
    struct err e;
    CLEANUP(json_decref_p) json_t *object = json_loads(recipe, 0, NULL);
    assert_non_null(object);
    *b = (struct bench){ .network = subject_network(s, TINY_SIDE, NULL) };
    ok(recipe_parse(object, &b->recipe, &e), &e);
    for (int i = 0; i < TRAIN; i++)
        b->train_labels[i] = i % CLASSES;
    for (int i = 0; i < HELD; i++)
        b->held_labels[i] = (i + (i < wrong)) % CLASSES;
    const struct learner_options o = { .feature = "y",
                                       .classes = CLASSES,
                                       .batch = BATCH,
                                       .norm = LEARNER_NORM_BATCH,
                                       .norm_momentum = 0.1f,
                                       .threads = 2,
                                       .seed = 3 };
    ok(learner_new(b->network, &o, &b->learner, &e), &e);
    b->train = batches_new("train", TRAIN, b->train_labels, true);
    b->held = batches_new("held", HELD, b->held_labels, false);
}

static void bench_init(struct bench *b, const struct subject *s, const char *recipe)
{
    bench_init_wrong(b, s, recipe, 0);
}

static void bench_fini(struct bench *b)
{
    batches_free(b->train);
    batches_free(b->held);
    learner_free(b->learner);
    network_free(b->network);
    train_report_fini(&b->report);
}

/* identity: a checkpoint's. */
static enum err_code try(struct bench *b, bool judged, const char *checkpoint, train_watch watch,
                         void *context, struct err *e)
{
    static const struct digest identity = { .bytes = { 1, 2, 3 } };
    const struct train_options o = { .recipe = &b->recipe,
                                     .learner = b->learner,
                                     .train = b->train,
                                     .validation = judged ? b->held : NULL,
                                     .labels = b->train_labels,
                                     .validation_labels = b->held_labels,
                                     .count = TRAIN,
                                     .validation_count = HELD,
                                     .classes = CLASSES,
                                     .judge_start = true,
                                     .checkpoint = checkpoint,
                                     .identity = &identity,
                                     .watch = watch,
                                     .context = context };
    return train_run(&o, &b->report, e);
}

static void run(struct bench *b, bool judged, const char *checkpoint)
{
    struct err e = { 0 };
    ok(try(b, judged, checkpoint, NULL, NULL, &e), &e);
}

static void assert_same_weights(const struct bench *a, const struct bench *b)
{
    assert_int_equal(learner_param_count(a->learner), learner_param_count(b->learner));
    for (size_t i = 0; i < learner_param_count(a->learner); i++) {
        const struct learner_param *p = learner_param(a->learner, i);
        const struct learner_param *q = learner_param(b->learner, i);
        if (memcmp(p->value, q->value, p->count * sizeof(float)) != 0)
            fail_msg("other numbers in %s", p->name);
    }
}

static char folder[] = "/tmp/kennel-train-XXXXXX", path[64];

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/checkpoint", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL) ? -1 : 0;
}

struct breaker {
    int64_t from; /* step that was begun at; stops at the first checkpoint behind it */
    bool there;
};

/* Checkpoints come by the clock: waiting here until there is one makes the break hit. */
static bool break_behind_checkpoint(void *context, const struct train_progress *p)
{
    struct breaker *b = context;
    if (access(path, F_OK) != 0) {
        usleep(60000);
        return false;
    }
    if (!b->there)
        b->from = p->step;
    b->there = true;
    return p->step > b->from; /* what is behind the checkpoint is lost */
}

/* The average of the weights, the momentum, the running statistics, the best so far, the sums of
 * the epoch: all of it goes through the checkpoint. */
static void broken_off_it_ends_with_the_same_bits(void **state)
{
    (void)state;
    static const char *const recipes[] = {
        ("{\"mode\":\"scratch\",\"epochs\":40,\"batch\":8,\"ema\":0.9,\"augment\":null,"
         "\"warmup\":1,\"learning_rate\":0.01,\"patience\":0}"),
        ("{\"mode\":\"scratch\",\"epochs\":40,\"batch\":8,\"optimiser\":\"adamw\",\"nesterov\":"
         "false,\"augment\":null,\"learning_rate\":0.01,\"clip\":1,\"ema\":0.99}"),
    };
    for (size_t i = 0; i < 2; i++)
        for (int judged = 0; judged < 2; judged++) {
            CLEANUP(bench_fini) struct bench whole;
            bench_init(&whole, &normed, recipes[i]);
            run(&whole, judged, NULL);
            CLEANUP(bench_fini) struct bench first;
            CLEANUP(bench_fini) struct bench second;
            struct breaker breaker = { 0 };
            struct err e = { 0 };
            unlink(path);
            bench_init(&first, &normed, recipes[i]);
            assert_int_equal(try(&first, judged, path, break_behind_checkpoint, &breaker, &e),
                             ERR_CANCELLED);
            bench_init(&second, &normed, recipes[i]);
            run(&second, judged, path);
            assert_true(second.report.resumed > 0 && whole.report.resumed == 0);
            assert_int_equal(second.report.best, whole.report.best);
            assert_same_weights(&second, &whole);
            /* What had ended is not trained again. */
            CLEANUP(bench_fini) struct bench third;
            bench_init(&third, &normed, recipes[i]);
            run(&third, judged, path);
            assert_int_equal(third.report.resumed, third.report.steps);
            assert_same_weights(&third, &whole);
        }
}

/* A program that lays its parameters out otherwise begins anew. */
static void another_network_s_checkpoint_counts_as_none(void **state)
{
    (void)state;
    static const char recipe[] = "{\"mode\":\"scratch\",\"epochs\":2,\"batch\":8,\"augment\":null}";
    CLEANUP(bench_fini) struct bench other;
    CLEANUP(bench_fini) struct bench whole;
    CLEANUP(bench_fini) struct bench b;
    unlink(path);
    bench_init(&other, &wider, recipe);
    run(&other, true, path);
    bench_init(&whole, &normed, recipe);
    run(&whole, true, NULL);
    bench_init(&b, &normed, recipe);
    run(&b, true, path);
    assert_int_equal(b.report.resumed, 0);
    assert_same_weights(&b, &whole);
}

static double validation_loss(const json_t *epoch)
{
    return json_number_value(json_object_get(json_object_get(epoch, "validation"), "loss"));
}

static double loss_now(struct bench *b)
{
    struct err e;
    struct loader_batch x;
    float p[BATCH * CLASSES];
    double loss = 0;
    ok(batches_seek(b->held, 0, 0, &e), &e);
    ok(batches_next(b->held, &x, &e), &e);
    ok(learner_predict(b->learner, x.count, x.pictures, p, &e), &e);
    assert_int_equal(x.count, HELD);
    for (int i = 0; i < HELD; i++)
        loss -= log((double)p[i * CLASSES + b->held_labels[x.items[i]]]);
    return loss / HELD;
}

/* Early stopping ends `patience` epochs behind the best, and the best is what is there then: the
 * average of its weights where there is one. */
static void the_best_weights_come_back(void **state)
{
    (void)state;
    static const char *const recipes[] = {
        ("{\"mode\":\"scratch\",\"epochs\":200,\"batch\":8,\"augment\":null,\"patience\":3,"
         "\"schedule\":\"constant\",\"warmup\":0,\"learning_rate\":0.5,\"nesterov\":false}"),
        ("{\"mode\":\"scratch\",\"epochs\":200,\"batch\":8,\"augment\":null,\"patience\":3,"
         "\"schedule\":\"constant\",\"warmup\":0,\"learning_rate\":0.5,\"ema\":0.8}"),
    };
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(bench_fini) struct bench b;
        bench_init(&b, &normed, recipes[i]);
        run(&b, true, NULL);
        size_t count = json_array_size(b.report.epochs), best = 0; /* epoch 0 is the start */
        for (size_t k = 1; k < count; k++)
            if (validation_loss(json_array_get(b.report.epochs, k)) <
                validation_loss(json_array_get(b.report.epochs, best)))
                best = k;
        assert_int_equal(b.report.best, best);
        assert_int_equal(count - 1, best + 3);
        double least = validation_loss(json_array_get(b.report.epochs, best));
        if (!(fabs(loss_now(&b) - least) <= 1e-6))
            fail_msg("loss %g, of the best epoch %g", loss_now(&b), least);
    }
}

/* Of the held pictures' labels so many are wrong that what is learnt helps the mean by less than
 * the pictures differ: the weights stay those of the start, though epochs had lower losses. */
static void chance_does_not_beat_the_start(void **state)
{
    (void)state;
    static const char *const recipe =
        ("{\"mode\":\"scratch\",\"epochs\":6,\"batch\":8,\"augment\":null,\"patience\":0,"
         "\"schedule\":\"constant\",\"warmup\":0,\"learning_rate\":0.01,\"nesterov\":false}");
    for (int wrong = 0; wrong <= 4; wrong += 4) {
        CLEANUP(bench_fini) struct bench b;
        bench_init_wrong(&b, &normed, recipe, wrong);
        double start = loss_now(&b), least = INFINITY;
        run(&b, true, NULL);
        for (size_t k = 1; k < json_array_size(b.report.epochs); k++)
            least = fmin(least, validation_loss(json_array_get(b.report.epochs, k)));
        assert_true(least < start - 0.01);
        assert_true(wrong ? b.report.best == 0 : b.report.best > 0);
        if (wrong && !(fabs(loss_now(&b) - start) <= 1e-6))
            fail_msg("loss %g, at the start %g", loss_now(&b), start);
    }
}

static const char *diverging(int epochs, char ret[300])
{
    snprintf(ret, 300,
             "{\"mode\":\"scratch\",\"epochs\":%d,\"batch\":8,\"augment\":null,\"nesterov\":false,"
             "\"momentum\":0,\"schedule\":\"constant\",\"warmup\":0,\"learning_rate\":1000,"
             "\"weight_decay\":1}",
             epochs);
    return ret;
}

/* However many epochs there are, the end of them is finite numbers, or a failure that names the
 * step: also where it was the last step that went too far. */
static void divergence_at_the_end_is_seen(void **state)
{
    (void)state;
    int failed = 0;
    for (int epochs = 1; epochs <= 12; epochs++) {
        char recipe[300];
        struct err e = { 0 };
        CLEANUP(bench_fini) struct bench b;
        bench_init(&b, &normed, diverging(epochs, recipe));
        enum err_code r = try(&b, false, NULL, NULL, NULL, &e);
        if (r) {
            failed++;
            assert_int_equal(r, ERR_DIVERGED);
            if (!strstr(e.message, "at step ") || !strstr(e.message, "epoch "))
                fail_msg("%s", e.message);
            continue;
        }
        for (size_t i = 0; i < learner_param_count(b.learner); i++) {
            const struct learner_param *p = learner_param(b.learner, i);
            for (size_t k = 0; k < p->count; k++)
                if (!isfinite(p->value[k]))
                    fail_msg("%d epochs: %s[%zu] is %g", epochs, p->name, k, (double)p->value[k]);
        }
    }
    assert_true(failed > 0 && failed < 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_off_it_ends_with_the_same_bits),
        cmocka_unit_test(another_network_s_checkpoint_counts_as_none),
        cmocka_unit_test(the_best_weights_come_back),
        cmocka_unit_test(chance_does_not_beat_the_start),
        cmocka_unit_test(divergence_at_the_end_is_seen),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

#include "nn/retrain.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "nn/classifier.h"
#include "nn/plan.h"
#include "nn/retrain_parts.h"

/* DESIGN
 *
 *   manifest, backbone --> rows: train pictures (times views), then holdout pictures (view 0)
 * a head by lbfgs
 *   "features"   rows --> x [rows][width], one call, one cache
 *   "fit"        head on the train rows
 *   "evaluate"   the precision to serve; head and champion on the holdout rows, as they are served
 *   "export"     ONNX file
 * what has epochs
 *   "features"   for the head to start from; values of the cut into their cache
 *   "fit"        the head to start from, on the pictures that are trained on
 *   "train"      nn/train.h
 *   "evaluate"   the same, of what was trained as a file read again
 *   "export"     ONNX file
 *
 * Nothing that goes into the file depends on time, threads or what the cache held before. */

enum { RECIPE_TEXT_MAX = 16384 };

static void run_fini(struct retrain *run)
{
    retrain_train_fini(run);
    trainset_fini(&run->set);
    backbone_fini(&run->backbone);
    free(run->x);
    integers_fini(&run->precision.integers);
    free(run->precision.x);
    head_fini(&run->head);
    champion_fini(&run->own);
    free(run->own_x);
    buf_fini(&run->artifact);
    metrics_fini(&run->metrics);
    metrics_fini(&run->champion_metrics);
    json_decref(run->metrics_report);
    json_decref(run->champion_report);
}

bool retrain_tell(void *context, size_t done, size_t total)
{
    struct retrain *run = context;
    return run->progress && run->progress(run->context, run->phase, done, total, NULL);
}

size_t retrain_holdout_count(const struct retrain *run)
{
    return run->set.count - run->set.train;
}

static enum err_code read_dataset(struct retrain *run, struct err *e)
{
    CLEANUP(buf_fini) struct buf text;
    const struct recipe *recipe = &run->spec->recipe;
    int views = recipe_is_trained(recipe) ? 1 : (int)recipe->views;
    buf_init(&text, RETRAIN_BLOB_MAX);
    enum err_code r = blobs_get(run->places.blobs, &run->spec->manifest, true, &text, e);
    return r ? r : trainset_load((const char *)text.data, text.len, views, &run->set, e);
}

static enum err_code read_backbone(struct retrain *run, struct err *e)
{
    CLEANUP(buf_fini) struct buf bytes;
    buf_init(&bytes, RETRAIN_BLOB_MAX);
    enum err_code r = blobs_get(run->places.blobs, &run->spec->backbone, true, &bytes, e);
    return r ? r : backbone_open(bytes.data, bytes.len, &run->spec->overrides, &run->backbone, e);
}

static enum err_code make_features(struct retrain *run, struct err *e)
{
    return retrain_features(run, &run->backbone, NULL, run->set.items, run->set.count, &run->x,
                            &run->passes, e);
}

static enum err_code fit_head(struct retrain *run, struct err *e)
{
    return retrain_fit_head(run, run->x, run->set.y, run->set.picture, run->set.train, e);
}

static enum err_code export_model(struct retrain *run, struct err *e)
{
    CLEANUP(buf_fini) struct buf recipe;
    CLEANUP(json_decref_p) json_t *object = recipe_json(&run->spec->recipe);
    char dataset[DIGEST_HEX + 1], seed[24];
    buf_init(&recipe, RECIPE_TEXT_MAX);
    if (!object)
        return err_set(e, ERR_NOMEM, "no memory for a recipe");
    enum err_code r = json_write(object, &recipe, e);
    if (r)
        return r;
    digest_hex(&run->spec->manifest, dataset);
    snprintf(seed, sizeof seed, "%lld", (long long)run->spec->seed);
    const struct network_meta_pair extra[] = {
        { CLASSIFIER_META_DATASET, dataset },
        { CLASSIFIER_META_RECIPE, (const char *)recipe.data },
        { CLASSIFIER_META_SEED, seed },
        { CLASSIFIER_META_ENGINE, plan_engine_text() },
        { PRECISION_META, precision_text(run->precision.served) },
        { PRECISION_META_RANGES, retrain_served(run)->text },
    };
    size_t count = sizeof extra / sizeof *extra - (retrain_served(run)->text ? 0 : 1);
    if (recipe_is_trained(&run->spec->recipe))
        return retrain_train_export(run, extra, count, &run->artifact, e);
    return classifier_export(&run->backbone, &run->head,
                             (const char *const *)run->set.manifest.labels, extra, count,
                             &run->artifact, e);
}

static enum err_code evaluate(struct retrain *run, struct err *e)
{
    enum err_code r = recipe_is_trained(&run->spec->recipe) ? retrain_train_reread(run, e) : ERR_OK;
    if (!r)
        r = retrain_choose_precision(run, e);
    return r ? r : retrain_judge(run, e);
}

struct phase {
    const char *name;
    enum err_code (*run)(struct retrain *run, struct err *e);
};

static const struct phase head_phases[] = { { "features", make_features },
                                            { "fit", fit_head },
                                            { "evaluate", evaluate },
                                            { "export", export_model },
                                            { NULL, NULL } };
static const struct phase trained_phases[] = { { "features", retrain_train_features },
                                               { "fit", retrain_train_start },
                                               { "train", retrain_train_epochs },
                                               { "evaluate", evaluate },
                                               { "export", export_model },
                                               { NULL, NULL } };

static enum err_code run_phases(struct retrain *run, struct err *e)
{
    const struct phase *phases =
        recipe_is_trained(&run->spec->recipe) ? trained_phases : head_phases;
    run->phase = phases[0].name;
    enum err_code r = read_dataset(run, e);
    if (!r)
        r = read_backbone(run, e);
    for (int i = 0; !r && phases[i].run; i++) {
        int64_t start = clock_monotonic_us();
        run->phase = run->phases[i] = phases[i].name;
        if (i > 0 && retrain_tell(run, 0, 1))
            return err_set(e, ERR_CANCELLED, "cancelled before %s", run->phase);
        r = phases[i].run(run, e);
        run->seconds[i] = (double)(clock_monotonic_us() - start) / 1e6;
        run->phase_count = i + 1;
    }
    return r;
}

enum err_code retrain_run(const struct retrain_spec *spec, const struct retrain_places *places,
                          retrain_progress progress, void *context, struct buf *ret_artifact,
                          json_t **ret_report, struct err *e)
{
    CLEANUP(run_fini)
    struct retrain run = {
        .spec = spec, .places = *places, .progress = progress, .context = context
    };
    json_t *report = NULL;
    buf_init(&run.artifact, RETRAIN_BLOB_MAX);
    enum err_code r = run_phases(&run, e);
    if (!r)
        r = retrain_report(&run, &report, e);
    if (!r)
        r = buf_append(ret_artifact, run.artifact.data, run.artifact.len, e);
    if (r) {
        json_decref(report);
        return r;
    }
    *ret_report = report;
    return ERR_OK;
}

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
 *   "features"   rows --> x [rows][width], one call, one cache
 *   "fit"        head on the train rows
 *   "evaluate"   the precision to serve; head and champion on the holdout rows, as they are served
 *   "export"     ONNX file
 *
 * Nothing that goes into the file depends on time, threads or what the cache held before. */

const char *const retrain_phases[RETRAIN_PHASES] = { "features", "fit", "evaluate", "export" };

static void run_fini(struct retrain *run)
{
    trainset_fini(&run->set);
    backbone_fini(&run->backbone);
    free(run->x);
    integers_fini(&run->precision.integers);
    free(run->precision.x);
    head_fini(&run->head);
    metrics_fini(&run->metrics);
    metrics_fini(&run->champion_metrics);
    json_decref(run->metrics_report);
    json_decref(run->champion_report);
}

bool retrain_tell(void *context, size_t done, size_t total)
{
    struct retrain *run = context;
    return run->progress && run->progress(run->context, run->phase, done, total);
}

size_t retrain_holdout_count(const struct retrain *run)
{
    return run->set.count - run->set.train;
}

static enum err_code read_dataset(struct retrain *run, struct err *e)
{
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, RETRAIN_BLOB_MAX);
    enum err_code r = blobs_get(run->blobs, &run->spec->manifest, true, &text, e);
    return r ? r
             : trainset_load((const char *)text.data, text.len, run->spec->recipe.views, &run->set,
                             e);
}

static enum err_code read_backbone(struct retrain *run, struct err *e)
{
    CLEANUP(buf_fini) struct buf bytes;
    buf_init(&bytes, RETRAIN_BLOB_MAX);
    enum err_code r = blobs_get(run->blobs, &run->spec->backbone, true, &bytes, e);
    return r ? r : backbone_open(bytes.data, bytes.len, &run->spec->overrides, &run->backbone, e);
}

static enum err_code make_features(struct retrain *run, struct err *e)
{
    enum err_code r = read_dataset(run, e);
    if (!r)
        r = read_backbone(run, e);
    return r ? r
             : retrain_features(run, &run->backbone, NULL, run->set.items, run->set.count, &run->x,
                                &run->passes, e);
}

static enum err_code export_model(struct retrain *run, struct buf *ret, struct err *e)
{
    CLEANUP(buf_fini) struct buf recipe;
    CLEANUP(json_decref_p) json_t *object = recipe_json(&run->spec->recipe);
    char dataset[DIGEST_HEX + 1], seed[24];
    buf_init(&recipe, 4096);
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
    size_t count = sizeof extra / sizeof *extra;
    return classifier_export(&run->backbone, &run->head,
                             (const char *const *)run->set.manifest.labels, extra,
                             retrain_served(run)->text ? count : count - 1, ret, e);
}

static enum err_code run_phase(struct retrain *run, int phase, struct buf *artifact, struct err *e)
{
    switch (phase) {
    case 0:
        return make_features(run, e);
    case 1:
        return retrain_fit_head(run, e);
    case 2: {
        enum err_code r = retrain_choose_precision(run, e);
        return r ? r : retrain_judge(run, e);
    }
    default:
        return export_model(run, artifact, e);
    }
}

enum err_code retrain_run(const struct retrain_spec *spec, struct blobs *blobs,
                          const char *feature_folder, retrain_progress progress, void *context,
                          struct buf *ret_artifact, json_t **ret_report, struct err *e)
{
    CLEANUP(run_fini)
    struct retrain run = { .spec = spec,
                           .blobs = blobs,
                           .feature_folder = feature_folder,
                           .progress = progress,
                           .context = context };
    CLEANUP(buf_fini) struct buf artifact;
    buf_init(&artifact, RETRAIN_BLOB_MAX);
    for (int phase = 0; phase < RETRAIN_PHASES; phase++) {
        int64_t start = clock_monotonic_us();
        run.phase = retrain_phases[phase];
        if (phase > 0 && retrain_tell(&run, 0, 1))
            return err_set(e, ERR_CANCELLED, "cancelled before %s", run.phase);
        enum err_code r = run_phase(&run, phase, &artifact, e);
        if (r)
            return r;
        run.seconds[phase] = (double)(clock_monotonic_us() - start) / 1e6;
    }
    json_t *report = NULL;
    enum err_code r = retrain_report(&run, &report, e);
    if (r)
        return r;
    r = buf_append(ret_artifact, artifact.data, artifact.len, e);
    if (r) {
        json_decref(report);
        return r;
    }
    *ret_report = report;
    return ERR_OK;
}

#include "nn/retrain.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "nn/champion.h"
#include "nn/classifier.h"
#include "nn/metrics.h"
#include "nn/plan.h"
#include "nn/trainset.h"

#include <string.h>

/* DESIGN
 *
 *   manifest, backbone --> rows: train pictures (times views), then holdout pictures (view 0)
 *   "features"   rows --> x [rows][width], one call, one cache
 *   "fit"        head on the train rows
 *   "evaluate"   head and champion on the holdout rows
 *   "export"     ONNX file
 *
 * Nothing that goes into the file depends on time, threads or what the cache held before. */

enum { BLOB_BYTES_MAX = NETWORK_BYTES_MAX, CACHE_WAIT_MS = 200, BALANCE_RATIO = 2 };

struct run {
    const struct retrain_spec *spec;
    struct blobs *blobs;
    const char *feature_folder;
    retrain_progress progress;
    void *context;
    const char *phase;

    struct trainset set;
    struct backbone backbone;
    float *x; /* [rows][width] */
    size_t passes, champion_passes;
    struct head head;
    struct head_report fit;
    struct metrics metrics, champion_metrics;
    bool balanced;        /* as decided */
    int64_t paired[2][2]; /* [challenger right][champion right] */
    json_t *metrics_report, *champion_report;
    double seconds[4];
};

static const char *const phases[4] = { "features", "fit", "evaluate", "export" };

static void run_fini(struct run *run)
{
    trainset_fini(&run->set);
    backbone_fini(&run->backbone);
    free(run->x);
    head_fini(&run->head);
    metrics_fini(&run->metrics);
    metrics_fini(&run->champion_metrics);
    json_decref(run->metrics_report);
    json_decref(run->champion_report);
}

static bool tell(void *context, size_t done, size_t total)
{
    struct run *run = context;
    return run->progress && run->progress(run->context, run->phase, done, total);
}

static bool tell_fit(void *context, int done, int total)
{
    return tell(context, (size_t)done, (size_t)total);
}

static enum err_code read_dataset(struct run *run, struct err *e)
{
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, BLOB_BYTES_MAX);
    enum err_code r = blobs_get(run->blobs, &run->spec->manifest, true, &text, e);
    return r ? r
             : trainset_load((const char *)text.data, text.len, run->spec->recipe.views, &run->set,
                             e);
}

static enum err_code read_backbone(struct run *run, struct err *e)
{
    CLEANUP(buf_fini) struct buf bytes;
    buf_init(&bytes, BLOB_BYTES_MAX);
    enum err_code r = blobs_get(run->blobs, &run->spec->backbone, true, &bytes, e);
    return r ? r : backbone_open(bytes.data, bytes.len, &run->spec->overrides, &run->backbone, e);
}

/* Another job may be filling the same cache: what it computes is computed once, so waiting
 * for it is never longer than doing it all again. */
static enum err_code open_cache(struct run *run, const struct backbone *b, size_t count,
                                struct feature_cache **ret, struct err *e)
{
    struct digest key;
    enum err_code r = backbone_feature_key(b, &key, e);
    if (r)
        return r;
    do {
        r = feature_cache_open(run->feature_folder, &key, b->width, CACHE_WAIT_MS, ret, e);
        if (r == ERR_BUSY && tell(run, 0, count))
            return err_set(e, ERR_CANCELLED, "cancelled while waiting for the feature cache");
    } while (r == ERR_BUSY);
    return r;
}

/* *ret [count][width], owned by the caller. */
static enum err_code compute_features(struct run *run, const struct backbone *b,
                                      const struct features_item *items, size_t count, float **ret,
                                      size_t *ret_passes, struct err *e)
{
    struct feature_cache *cache = NULL;
    CLEANUP(cleanup_free) float *x = calloc(count, (size_t)b->width * sizeof *x);
    if (!x)
        return err_set(e, ERR_NOMEM, "no memory for %zu x %d features", count, b->width);
    enum err_code r = open_cache(run, b, count, &cache, e);
    if (r)
        return r;
    const struct features_request q = { .backbone = b,
                                        .blobs = run->blobs,
                                        .cache = cache,
                                        .items = items,
                                        .count = count,
                                        .threads = run->spec->threads,
                                        .limits = run->spec->limits };
    r = features_compute(&q, tell, run, x, ret_passes, e);
    feature_cache_close(cache);
    if (!r)
        *ret = STEAL(x);
    return r;
}

static enum err_code make_features(struct run *run, struct err *e)
{
    enum err_code r = read_dataset(run, e);
    if (!r)
        r = read_backbone(run, e);
    return r ? r
             : compute_features(run, &run->backbone, run->set.items, run->set.count, &run->x,
                                &run->passes, e);
}

static enum err_code fit_head(struct run *run, struct err *e)
{
    const struct recipe *recipe = &run->spec->recipe;
    struct head_options o;
    run->balanced = recipe->balanced_auto ? run->set.largest > BALANCE_RATIO * run->set.smallest
                                          : recipe->balanced;
    head_options_default(&o);
    o.folds = recipe->folds;
    o.balanced = run->balanced;
    o.threads = run->spec->threads;
    o.seed = (uint64_t)run->spec->seed;
    if (recipe->penalty > 0) {
        o.penalties = &recipe->penalty;
        o.penalty_count = 1;
    }
    return head_fit(run->x, run->set.y, run->set.picture, (int)run->set.train, run->backbone.width,
                    run->set.manifest.label_count, &o, tell_fit, run, &run->head, &run->fit, e);
}

static size_t holdout_count(const struct run *run)
{
    return run->set.count - run->set.train;
}

static bool is_right(const float *p, int classes, int y)
{
    int best = 0;
    for (int c = 1; c < classes; c++)
        best = p[c] > p[best] ? c : best;
    return best == y;
}

/* The champion's probabilities over the map's labels. */
static enum err_code score_champion(struct run *run, const struct champion *c,
                                    const struct champion_map *map, float **ret, struct err *e)
{
    struct digest own, other;
    enum err_code r = backbone_feature_key(&run->backbone, &own, e);
    if (!r)
        r = backbone_feature_key(&c->backbone, &other, e);
    if (r)
        return r;
    const float *x = run->x + run->set.train * (size_t)run->backbone.width;
    CLEANUP(cleanup_free) float *computed = NULL;
    if (digest_compare(&own, &other) != 0 || c->backbone.width != run->backbone.width) {
        r = compute_features(run, &c->backbone, run->set.items + run->set.train, holdout_count(run),
                             &computed, &run->champion_passes, e);
        x = computed;
    }
    return r ? r : champion_score(c, map, x, holdout_count(run), ret, e);
}

static enum err_code judge_champion(struct run *run, const float *challenger, struct err *e)
{
    CLEANUP(buf_fini) struct buf bytes;
    CLEANUP(champion_fini) struct champion champion = { 0 };
    CLEANUP(champion_map_fini) struct champion_map map = { 0 };
    CLEANUP(cleanup_free) float *p = NULL;
    const int *y = run->set.y + run->set.train;
    int classes = run->set.manifest.label_count;
    buf_init(&bytes, BLOB_BYTES_MAX);
    enum err_code r = blobs_get(run->blobs, &run->spec->champion, true, &bytes, e);
    if (!r)
        r = champion_open(bytes.data, bytes.len, &champion, e);
    if (!r)
        r = champion_map_init(&champion, run->set.manifest.labels, classes, &map, e);
    if (!r)
        r = score_champion(run, &champion, &map, &p, e);
    if (!r)
        r = metrics_of(p, y, (int64_t)holdout_count(run), map.count, &run->champion_metrics, e);
    if (r)
        return r;
    for (size_t i = 0; i < holdout_count(run); i++) {
        bool first = is_right(challenger + i * (size_t)classes, classes, y[i]);
        bool second = is_right(p + i * (size_t)map.count, map.count, y[i]);
        run->paired[first][second]++;
    }
    run->champion_report = metrics_json(&run->champion_metrics, map.names);
    return run->champion_report ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for metrics");
}

static enum err_code evaluate(struct run *run, struct err *e)
{
    size_t rows = holdout_count(run);
    int classes = run->set.manifest.label_count;
    CLEANUP(cleanup_free) float *p = calloc(rows, (size_t)classes * sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory to score %zu pictures", rows);
    head_apply(&run->head, run->x + run->set.train * (size_t)run->backbone.width, (int)rows, p);
    enum err_code r =
        metrics_of(p, run->set.y + run->set.train, (int64_t)rows, classes, &run->metrics, e);
    if (r)
        return r;
    run->metrics_report =
        metrics_json(&run->metrics, (const char *const *)run->set.manifest.labels);
    if (!run->metrics_report)
        return err_set(e, ERR_NOMEM, "no memory for metrics");
    return run->spec->has_champion ? judge_champion(run, p, e) : ERR_OK;
}

static enum err_code export_model(struct run *run, struct buf *ret, struct err *e)
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
    };
    return classifier_export(&run->backbone, &run->head,
                             (const char *const *)run->set.manifest.labels, extra,
                             sizeof extra / sizeof *extra, ret, e);
}

/* What the best constant answer reaches on the holdout. */
static double majority_accuracy(const struct run *run)
{
    int64_t most = 0;
    for (int c = 0; c < run->metrics.classes; c++)
        most = run->metrics.support[c] > most ? run->metrics.support[c] : most;
    return (double)most / (double)run->metrics.rows;
}

static json_t *labels_json(const struct manifest *m)
{
    json_t *array = json_array();
    for (int c = 0; array && c < m->label_count; c++)
        if (json_array_append_new(array, json_string(m->labels[c])) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *paired_json(const struct run *run)
{
    if (!run->spec->has_champion)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I}", "both", (json_int_t)run->paired[1][1],
                     "only_challenger", (json_int_t)run->paired[1][0], "only_champion",
                     (json_int_t)run->paired[0][1], "neither", (json_int_t)run->paired[0][0]);
}

static json_t *fit_json(const struct run *run)
{
    const struct head_report *f = &run->fit;
    return json_pack("{s:f, s:f, s:f, s:i, s:i, s:b, s:f, s:b}", "penalty", f->penalty,
                     "cv_log_loss", f->cv_log_loss, "cv_accuracy", f->cv_accuracy, "folds",
                     f->folds, "iterations", f->iterations, "converged", f->converged,
                     "train_log_loss", f->train_log_loss, "balanced", run->balanced);
}

static json_t *seconds_json(const struct run *run)
{
    return json_pack("{s:f, s:f, s:f, s:f}", phases[0], run->seconds[0], phases[1], run->seconds[1],
                     phases[2], run->seconds[2], phases[3], run->seconds[3]);
}

static enum err_code make_report(struct run *run, json_t **ret, struct err *e)
{
    char holdout[DIGEST_HEX + 1], dataset[DIGEST_HEX + 1], backbone[DIGEST_HEX + 1];
    struct digest d;
    enum err_code r = trainset_holdout_digest(&run->set, &d, e);
    if (r)
        return r;
    digest_hex(&d, holdout);
    digest_hex(&run->spec->manifest, dataset);
    digest_hex(&run->spec->backbone, backbone);
    json_t *train = json_pack("{s:I}", "count", (json_int_t)run->set.train_pictures);
    json_t *held = json_pack("{s:s, s:I, s:s}", "split", split_text(run->set.holdout), "count",
                             (json_int_t)holdout_count(run), "digest", holdout);
    const struct {
        const char *name;
        json_t *value;
    } members[] = {
        { "labels", labels_json(&run->set.manifest) },
        { "train", train },
        { "holdout", held },
        { "metrics", json_incref(run->metrics_report) },
        { "champion_metrics",
          run->champion_report ? json_incref(run->champion_report) : json_null() },
        { "paired", paired_json(run) },
        { "majority_accuracy", json_real(majority_accuracy(run)) },
        { "forward_passes", json_integer((json_int_t)run->passes) },
        { "champion_forward_passes", json_integer((json_int_t)run->champion_passes) },
        { "fit", fit_json(run) },
        { "recipe", recipe_json(&run->spec->recipe) },
        { "engine", json_string(plan_engine_text()) },
        { "backbone_digest", json_string(backbone) },
        { "dataset_digest", json_string(dataset) },
        { "seconds", seconds_json(run) },
    };
    json_t *report = json_object();
    /* Each value is taken, also after a failure: none may leak. */
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        enum err_code put = json_put(report, members[i].name, members[i].value, e);
        r = r ? r : put;
    }
    if (r) {
        json_decref(report);
        return r;
    }
    *ret = report;
    return ERR_OK;
}

static enum err_code run_phase(struct run *run, int phase, struct buf *artifact, struct err *e)
{
    switch (phase) {
    case 0:
        return make_features(run, e);
    case 1:
        return fit_head(run, e);
    case 2:
        return evaluate(run, e);
    default:
        return export_model(run, artifact, e);
    }
}

enum err_code retrain_run(const struct retrain_spec *spec, struct blobs *blobs,
                          const char *feature_folder, retrain_progress progress, void *context,
                          struct buf *ret_artifact, json_t **ret_report, struct err *e)
{
    CLEANUP(run_fini)
    struct run run = { .spec = spec,
                       .blobs = blobs,
                       .feature_folder = feature_folder,
                       .progress = progress,
                       .context = context };
    CLEANUP(buf_fini) struct buf artifact;
    buf_init(&artifact, BLOB_BYTES_MAX);
    for (int phase = 0; phase < 4; phase++) {
        int64_t start = clock_monotonic_us();
        run.phase = phases[phase];
        if (phase > 0 && tell(&run, 0, 1))
            return err_set(e, ERR_CANCELLED, "cancelled before %s", run.phase);
        enum err_code r = run_phase(&run, phase, &artifact, e);
        if (r)
            return r;
        run.seconds[phase] = (double)(clock_monotonic_us() - start) / 1e6;
    }
    json_t *report = NULL;
    enum err_code r = make_report(&run, &report, e);
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

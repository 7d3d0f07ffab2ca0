/* What a training job says about itself (nn/retrain.h). */
#include "nn/retrain_parts.h"

#include "data/base/json.h"
#include "nn/plan.h"

/* What the best constant answer reaches on the holdout. */
static double majority_accuracy(const struct retrain *run)
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

static json_t *paired_json(const struct retrain *run)
{
    if (!run->spec->has_champion)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I}", "both", (json_int_t)run->paired[1][1],
                     "only_challenger", (json_int_t)run->paired[1][0], "only_champion",
                     (json_int_t)run->paired[0][1], "neither", (json_int_t)run->paired[0][0]);
}

static json_t *fit_json(const struct retrain *run)
{
    const struct head_report *f = &run->fit;
    if (!run->has_fit)
        return json_null();
    return json_pack("{s:f, s:f, s:f, s:i, s:i, s:b, s:f, s:b}", "penalty", f->penalty,
                     "cv_log_loss", f->cv_log_loss, "cv_accuracy", f->cv_accuracy, "folds",
                     f->folds, "iterations", f->iterations, "converged", f->converged,
                     "train_log_loss", f->train_log_loss, "balanced", run->balanced);
}

static json_t *seconds_json(const struct retrain *run)
{
    json_t *object = json_object();
    for (int i = 0; object && i < run->phase_count; i++)
        if (json_object_set_new(object, run->phases[i], json_real(run->seconds[i])) < 0) {
            json_decref(object);
            return NULL;
        }
    return object;
}

enum err_code retrain_report(struct retrain *run, json_t **ret, struct err *e)
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
                             (json_int_t)retrain_holdout_count(run), "digest", holdout);
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
        { "precision", retrain_precision_json(run) },
        { "training", retrain_train_json(run) },
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

/* retrain.h -- the whole of a training job as a pure function: specification + blobs ->
 * artifact + report.
 *
 * Mode `head`: features of the train and holdout pictures by way of the cache, a head fitted
 * on train; the other modes (nn/recipe.h) train what stands below it too. Then the precision to
 * serve is chosen, metrics are made on the holdout, the champion (the model now in production, if
 * any) is scored on the same holdout, and an ONNX file is written. The same specification gives the
 * same artifact bytes with any number of threads, on a second run, and after a kill and restart (on
 * one instruction set and oneDNN version). The holdout is the split `test` where it has pictures,
 * else `val`.
 * Threads: runs on its caller's, with its own helpers joined before it returns. */
#ifndef KENNEL_RETRAIN_H
#define KENNEL_RETRAIN_H

#include "data/blob.h"
#include "data/image.h"
#include "nn/backbone.h"
#include "nn/recipe.h"

struct retrain_spec {
    struct digest manifest;              /* blob: the dataset version */
    struct digest backbone;              /* blob: the ONNX file */
    struct backbone_overrides overrides; /* as given when the backbone was imported */
    struct recipe recipe;
    int64_t seed;
    bool has_champion;
    struct digest champion; /* blob: the artifact now in production */
    int threads;
    struct image_limits limits;
    bool measure_latency; /* whoever runs the job adds "latency_ms" to the report (nn/latency.h) */
};

/* Where things are. */
struct retrain_places {
    struct blobs *blobs;
    const char *features; /* folder of the feature cache */
    const char *work;     /* folder for a checkpoint, gone on with where one is there; NULL: none */
};

/* Phases in order: "features" (forward passes), "fit" (fits), "train" (steps; not for a head by
 * lbfgs), "evaluate" (forward passes of what has not been judged before), "export". detail, NULL
 * but for "train", is borrowed:
 *
 *   {"images_per_second": lately, "seconds_left": x, "epochs": n,
 *    "epoch": the last that has ended, as in the report, or null}
 *
 * true asks to stop (ERR_CANCELLED). */
typedef bool (*retrain_progress)(void *context, const char *phase, size_t done, size_t total,
                                 const json_t *detail);

/* Appends the artifact (ONNX) to ret_artifact. *ret_report is a new object:
 *   {"labels":[...], "train":{"count":n}, "holdout":{"split":"val","count":n,"digest":hex},
 *    "metrics": metrics_json(), "champion_metrics": metrics_json() | null,
 *    "paired": {"both":n,"only_challenger":n,"only_champion":n,"neither":n} | null,
 *    "majority_accuracy": x, "forward_passes": n, "champion_forward_passes": n,
 *    "fit": {"penalty":, "cv_log_loss":, "cv_accuracy":, "folds":, "iterations":, "converged":,
 *            "train_log_loss":, "balanced": as decided} (null: no head was fitted),
 *    "training": {"epochs": as in nn/train.h, "best_epoch":, "steps":, "resumed_at_step":,
 *            "pictures": trained on, "cut": {"value":, "floats":, "share":} or null,
 *            "validation": {"from": "val", "train" or "none", "count":}} (null: no epochs),
 *    "precision": {"asked":, "served":, "fp32_accuracy":, "int8_accuracy": null when not tried,
 *            "margin":, "forward_passes": in int8 and to calibrate, "seconds": within evaluate},
 *    "recipe": {...}, "engine": text, "backbone_digest": hex, "dataset_digest": hex,
 *    "seconds": {"features":, "fit":, "train": where there are epochs, "evaluate":, "export":}}
 * metrics, champion_metrics and paired are of what is served: the version's and the champion's
 * precision. forward_passes are those in fp32. holdout.digest is over the lines
 * "PICTURE<TAB>LABEL\n" of the holdout in the order of the pictures' digests. majority_accuracy is
 * what the best constant answer reaches on it. Champion metrics are over the dataset's labels and,
 * behind them, those that only the champion has. A champion that has other labels than the dataset
 * is scored by label text; a true label that it does not know counts as wrong. Refusals:
 * ERR_DATASET_EMPTY, ERR_DATASET_ONE_CLASS, ERR_CLASS_TOO_SMALL (names the class),
 * ERR_HOLDOUT_EMPTY. */
enum err_code retrain_run(const struct retrain_spec *spec, const struct retrain_places *places,
                          retrain_progress progress, void *context, struct buf *ret_artifact,
                          json_t **ret_report, struct err *e) MUST_USE;

#endif

/* recipe.h -- how to train, as a request and a version say it.
 *
 *   mode          "head": a new linear head on frozen features ("fixed_feature" is the same)
 *                 "partial": what stands behind a cut is trained, on cached values of the cut
 *                 "fine_tune": all of it, on pictures that are looked at anew each epoch
 *                 "scratch": all of it, from random numbers
 *   preset        "default", or "workshop": rate 0.001, momentum 0.9, a tenth of it every
 *                 7 epochs, 10 epochs, batch 128, random resized crop and flip, a random head;
 *                 for head and fine_tune. The text "workshop" is {"preset": "workshop"}
 *   balanced      true, false or "auto", the default: class weights inverse to frequency; auto
 *                 is true when the largest class has more than twice the pictures of the smallest
 *   precision     "auto", the default, "fp32" or "int8": what the version is served in
 *                 (nn/precision.h)
 *   precision_margin  0..1, default 0.005: by how much less accurate on the holdout int8 may be
 *                 than fp32 for auto to choose it
 *
 * head, and the head that partial and fine_tune start from
 *   folds         2..10, default 5: of the cross-validation
 *   penalty       > 0 fixes it; 0, the default: by cross-validation
 *   solver        head: "lbfgs" (default; folds, penalty), "sgd" (epochs and what follows)
 *
 * looks at a training picture
 *   views         head, partial: 1, or 2 with the mirrored one too; default 1. With augment: the
 *                 centre crop and views - 1 fixed augmented ones, 2..64, default 5. They go
 *                 through the feature cache. lbfgs takes all; an epoch of sgd takes one of a
 *                 picture, in turn, so that views past the number of epochs are not made. The
 *                 workshop's default is one for each epoch beside the centre crop
 *   augment       null, "workshop" or an object (nn/recipe_augment.h)
 *
 * training (not head with lbfgs)
 *   epochs, batch, optimiser "sgd" or "adamw", learning_rate, momentum, nesterov, weight_decay
 *   schedule      {"kind": "constant", "step", "cosine" or "one_cycle", "every": epochs,
 *                 "factor": of step, "last": of cosine} or its kind (nn/schedule.h)
 *   warmup        epochs, may be broken
 *   clip          norm of the gradient, 0: none
 *   ema           of the weights' average that is kept, 0: none
 *   smoothing     of labels, 0..0.9
 *   validation    0..0.5, default 0.15: share of the training pictures that is held out to choose
 *                 the best epoch by (by log loss); where the data set has both val and test, val
 *                 is used instead and no share is taken. 0: the last epoch counts
 *   patience      epochs without a better one before it stops early; 0: never
 *   norm          "frozen": running statistics are used as they are; "batch": a batch's own, and
 *                 the running ones follow
 *   body_factor   of the learning rate, below the head
 *   start         partial, fine_tune: "head": from what mode head finds; "random": a random head
 *   cut           partial: a value's name, or "auto" (nn/cut.h)
 *   cut_share     partial, auto: of the multiplications that may stand behind the cut
 *   cut_bytes     partial, auto: that the cut's values may take on the disk
 *
 * A member that the mode does not know is refused. Threads: any; plain data. */
#ifndef KENNEL_RECIPE_H
#define KENNEL_RECIPE_H

#include "data/augment.h"
#include "nn/optimiser.h"
#include "nn/precision.h"
#include "nn/schedule.h"

#include <jansson.h>

enum recipe_mode { RECIPE_HEAD, RECIPE_PARTIAL, RECIPE_FINE_TUNE, RECIPE_SCRATCH };
enum recipe_preset { RECIPE_DEFAULT, RECIPE_WORKSHOP };
enum recipe_solver { RECIPE_LBFGS, RECIPE_SGD };
enum recipe_norm { RECIPE_NORM_FROZEN, RECIPE_NORM_BATCH };
enum recipe_start { RECIPE_START_HEAD, RECIPE_START_RANDOM };
enum { RECIPE_CUT_MAX = 256, RECIPE_VIEWS_MAX = 64 };

struct recipe {
    int mode, preset, solver, optimiser, norm, start; /* enums; optimiser_kind */
    enum precision precision;
    double precision_margin;
    bool balanced; /* when not balanced_auto */
    bool balanced_auto;
    int64_t views, folds;
    double penalty;
    bool has_augment;
    struct augment augment;

    int64_t epochs, batch;
    double learning_rate, momentum;
    bool nesterov;
    double weight_decay;
    enum schedule_kind schedule;
    double every, factor, last; /* of the schedule; every in epochs */
    double warmup;
    double clip, ema, smoothing, validation;
    int64_t patience;
    double body_factor;
    char cut[RECIPE_CUT_MAX];
    double cut_share;
    int64_t cut_bytes;
};

/* Fills ret from an object, "workshop" or null (NULL: all defaults). Unknown members are refused
 * (ERR_FIELD_UNKNOWN), types and values checked (ERR_JSON_TYPE, ERR_FIELD_RANGE, ERR_RECIPE for
 * what does not fit together). */
enum err_code recipe_parse(const json_t *value, struct recipe *ret, struct err *e) MUST_USE;

/* The members of change (as for recipe_parse()) over those of base. mode, when not NULL, counts
 * before both. A change to another mode keeps of from only what all modes share: balanced,
 * precision with its margin and
 * preset. */
enum err_code recipe_merge(const json_t *from, const json_t *change, const char *mode,
                           struct recipe *ret, struct err *e) MUST_USE;

/* Every member of the mode spelled out: what a version stores. New reference; NULL without memory.
 */
json_t *recipe_json(const struct recipe *r);

const char *recipe_mode_text(int mode);
/* False for head with lbfgs: there are no epochs. */
bool recipe_is_trained(const struct recipe *r);

#endif

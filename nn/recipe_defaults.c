#include "nn/recipe_defaults.h"

enum { VIEWS_AUGMENTED = 5 };

static const struct recipe base = {
    .balanced_auto = true,
    .precision = PRECISION_AUTO,
    .precision_margin = 0.005,
    .views = 1,
    .folds = 5,
    .epochs = 10,
    .batch = 32,
    .learning_rate = 0.01,
    .momentum = 0.9,
    .schedule = SCHEDULE_COSINE,
    .every = 7,
    .factor = 0.1,
    .validation = 0.15,
    .body_factor = 1,
    .cut = "auto",
    .cut_share = 0.2,
    .cut_bytes = INT64_C(2000000000),
};

static void set_workshop(struct recipe *r)
{
    r->solver = RECIPE_SGD;
    r->batch = 128;
    r->learning_rate = 0.001;
    r->schedule = SCHEDULE_STEP;
    r->validation = 0;
    r->norm = RECIPE_NORM_BATCH;
    r->start = RECIPE_START_RANDOM;
    r->has_augment = true;
    r->augment = (struct augment)AUGMENT_WORKSHOP;
}

/* What each mode does best with on the data sets tried (README). */
void recipe_set_defaults(struct recipe *r, int mode, int preset)
{
    *r = base;
    r->mode = mode;
    r->preset = preset;
    if (preset == RECIPE_WORKSHOP) {
        set_workshop(r);
        return;
    }
    switch ((enum recipe_mode)mode) {
    case RECIPE_HEAD:
        break;
    case RECIPE_PARTIAL:
        r->epochs = 20;
        r->learning_rate = 0.001;
        r->clip = 1;
        r->weight_decay = 1e-4;
        r->warmup = 1;
        r->patience = 5;
        break;
    case RECIPE_FINE_TUNE:
        r->learning_rate = 0.001;
        r->clip = 1;
        r->weight_decay = 1e-4;
        r->warmup = 1;
        r->patience = 4;
        r->body_factor = 0.1;
        r->has_augment = true;
        r->augment = (struct augment){
            .scale_low = 0.4, .scale_high = 1, .ratio_low = 0.75, .ratio_high = 4.0 / 3, .flip = 0.5
        };
        break;
    case RECIPE_SCRATCH:
        r->epochs = 60;
        r->batch = 64;
        r->learning_rate = 0.05;
        r->nesterov = true;
        r->weight_decay = 5e-4;
        r->warmup = 3;
        r->norm = RECIPE_NORM_BATCH;
        r->has_augment = true;
        r->augment = (struct augment){ .scale_low = 0.25,
                                       .scale_high = 1,
                                       .ratio_low = 0.75,
                                       .ratio_high = 4.0 / 3,
                                       .flip = 0.5 };
        break;
    }
}

/* The workshop looks at each picture in another way in every epoch. */
int64_t recipe_usual_views(const struct recipe *r)
{
    if (!r->has_augment)
        return 1;
    if (r->preset == RECIPE_DEFAULT)
        return VIEWS_AUGMENTED;
    return r->epochs < RECIPE_VIEWS_MAX ? r->epochs + 1 : RECIPE_VIEWS_MAX;
}

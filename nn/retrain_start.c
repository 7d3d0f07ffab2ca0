/* What a training with epochs begins with: its pictures, the cut and its values, the head to start
 * from. */
#include "nn/retrain_training.h"

#include "data/base/cleanup.h"
#include "data/random.h"

#include <math.h>
#include <string.h>

enum { STREAM_VALIDATION = 7, START_CLASS_MIN = 2 };

bool training_starts_from_head(const struct retrain *run)
{
    const struct recipe *r = &run->spec->recipe;
    return (r->mode == RECIPE_PARTIAL || r->mode == RECIPE_FINE_TUNE) &&
           r->start == RECIPE_START_HEAD;
}

bool training_has_cut(const struct retrain *run)
{
    return run->spec->recipe.mode == RECIPE_PARTIAL || run->spec->recipe.mode == RECIPE_HEAD;
}

/* --- pictures -------------------------------------------------------------------------------- */

/* Of each class its share, the same pictures for the same seed, and never so many that less is left
 * than a head can be fitted on. */
static void hold_back(const struct retrain *run, struct training *t, size_t *rows)
{
    double share = run->spec->recipe.validation;
    for (int c = 0; c < run->set.manifest.label_count; c++) {
        size_t count = 0;
        for (size_t i = 0; i < run->set.train; i++)
            if (run->set.y[i] == c)
                rows[count++] = i;
        size_t wanted = (size_t)llround(share * (double)count);
        size_t most = count > START_CLASS_MIN ? count - START_CLASS_MIN : 0;
        uint64_t order =
            random_stream((uint64_t)run->spec->seed, (uint64_t)c, 0, STREAM_VALIDATION).state;
        for (size_t k = 0; k < (wanted < most ? wanted : most); k++)
            t->held[rows[random_permute(order, count, k)]] = true;
    }
}

static enum err_code add_picture(const struct retrain *run, size_t row, struct pictures *p)
{
    p->pictures[p->count] = run->set.items[row].picture;
    p->labels[p->count++] = run->set.y[row];
    return ERR_OK;
}

static enum err_code make_pictures(const struct retrain *run, size_t most, struct pictures *p,
                                   struct err *e)
{
    p->blobs = run->places.blobs;
    p->pictures = calloc(most + 1, sizeof *p->pictures);
    p->labels = calloc(most + 1, sizeof *p->labels);
    return p->pictures && p->labels ? ERR_OK
                                    : err_set(e, ERR_NOMEM, "no memory for %zu pictures", most);
}

static enum err_code choose_pictures(struct retrain *run, struct training *t, struct err *e)
{
    const struct trainset *set = &run->set;
    bool chosen = run->spec->recipe.validation > 0, has_val = set->all > set->count;
    CLEANUP(cleanup_free) size_t *rows = calloc(set->train + 1, sizeof *rows);
    t->held = calloc(set->train + 1, sizeof *t->held);
    if (!rows || !t->held)
        return err_set(e, ERR_NOMEM, "no memory for %zu pictures", set->train);
    if (chosen && !has_val)
        hold_back(run, t, rows);
    enum err_code r = make_pictures(run, set->train, &t->train, e);
    if (!r)
        r = make_pictures(run, set->train + set->all - set->count, &t->validation, e);
    for (size_t i = 0; !r && i < set->train; i++)
        r = add_picture(run, i, t->held[i] ? &t->validation : &t->train);
    for (size_t i = set->count; !r && chosen && i < set->all; i++)
        r = add_picture(run, i, &t->validation);
    t->validation_from = !t->validation.count ? "none" : has_val ? "val" : "train";
    return r;
}

/* --- the cut --------------------------------------------------------------------------------- */

/* An epoch takes one view of each picture, in turn: no more of them than there are epochs. */
int training_first_view(const struct recipe *r)
{
    return r->has_augment ? 1 : 0;
}

int training_view_count(const struct recipe *r)
{
    int64_t views = r->views - training_first_view(r);
    return (int)(views < r->epochs ? views : r->epochs);
}

static enum err_code find_cut(struct retrain *run, struct training *t, struct err *e)
{
    const struct recipe *r = &run->spec->recipe;
    const struct cut_budget budget = {
        .share = r->cut_share,
        .bytes = r->cut_bytes,
        .values = (int64_t)t->train.count * training_view_count(r) + (int64_t)t->validation.count,
    };
    const char *wanted = r->mode == RECIPE_HEAD ? run->backbone.feature : r->cut;
    enum err_code code =
        cut_choose(run->backbone.network, run->backbone.feature, wanted, &budget, &t->cut, e);
    if (code)
        return code;
    t->at_cut = run->backbone;
    t->at_cut.feature = (char *)t->cut.name;
    t->at_cut.width = (int)t->cut.floats;
    return ERR_OK;
}

static enum err_code cache_values(struct retrain *run, struct training *t, struct err *e)
{
    const struct recipe *recipe = &run->spec->recipe;
    size_t views = (size_t)training_view_count(recipe), count = 0;
    CLEANUP(cleanup_free)
    struct features_item *items =
        calloc(t->train.count * views + t->validation.count + 1, sizeof *items);
    if (!items)
        return err_set(e, ERR_NOMEM, "no memory for %zu pictures", t->train.count);
    for (size_t i = 0; i < t->train.count; i++)
        for (size_t v = 0; v < views; v++)
            items[count++] = (struct features_item){ t->train.pictures[i],
                                                     training_first_view(recipe) + (int)v };
    for (size_t i = 0; i < t->validation.count; i++)
        items[count++] = (struct features_item){ t->validation.pictures[i], 0 };
    return retrain_values(run, &t->at_cut, items, count, &t->caches, &run->passes, e);
}

/* --- phase "features" ------------------------------------------------------------------------ */

enum err_code training_features(struct retrain *run, struct err *e)
{
    return retrain_features(run, &run->backbone, NULL, run->set.items, run->set.train, &run->x,
                            &run->passes, e);
}

enum err_code retrain_train_features(struct retrain *run, struct err *e)
{
    struct training *t = run->training = calloc(1, sizeof *run->training);
    if (!t)
        return err_set(e, ERR_NOMEM, "no memory to train");
    enum err_code r = choose_pictures(run, t, e);
    if (!r && training_has_cut(run))
        r = find_cut(run, t, e);
    if (!r && training_starts_from_head(run))
        r = training_features(run, e);
    if (!r && training_has_cut(run))
        r = cache_values(run, t, e);
    return r;
}

/* --- phase "fit" ----------------------------------------------------------------------------- */

/* On the rows that are not held back, so that those judge the start as they judge what follows. */
static enum err_code fit_start(struct retrain *run, const struct training *t, struct err *e)
{
    size_t width = (size_t)run->backbone.width, rows = 0;
    CLEANUP(cleanup_free) int *y = calloc(run->set.train, sizeof *y);
    CLEANUP(cleanup_free) int *group = calloc(run->set.train, sizeof *group);
    if (!y || !group)
        return err_set(e, ERR_NOMEM, "no memory for %zu pictures", run->set.train);
    for (size_t i = 0; i < run->set.train; i++) {
        if (t->held[i])
            continue;
        if (rows != i)
            memcpy(run->x + rows * width, run->x + i * width, width * sizeof *run->x);
        y[rows] = run->set.y[i];
        group[rows++] = run->set.picture[i];
    }
    enum err_code r = retrain_fit_head(run, run->x, y, group, rows, e);
    free(STEAL(run->x)); /* the cache has it, should it be needed once more */
    return r;
}

enum err_code retrain_train_start(struct retrain *run, struct err *e)
{
    run->balanced = retrain_is_balanced(run);
    return training_starts_from_head(run) ? fit_start(run, run->training, e) : ERR_OK;
}

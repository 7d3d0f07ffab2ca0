/* The epochs of partial, fine_tune, scratch, and a head by sgd, and what comes of them. */
#include "nn/retrain_training.h"

#include "data/base/cleanup.h"
#include "data/base/file.h"
#include "data/base/json.h"
#include "nn/classifier.h"
#include "nn/plan.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { AHEAD = 2 };

static void pictures_fini(struct pictures *p)
{
    free(p->pictures);
    free(p->labels);
}

void retrain_train_fini(struct retrain *run)
{
    struct training *t = run->training;
    if (!t)
        return;
    batches_free(t->batches);
    batches_free(t->judging);
    learner_free(t->learner);
    retrain_caches_fini(&t->caches);
    pictures_fini(&t->train);
    pictures_fini(&t->validation);
    free(t->held);
    free(t->class_weight);
    train_report_fini(&t->report);
    free(t);
    run->training = NULL;
}

/* --- phase "train" --------------------------------------------------------------------------- */

static void set_head(struct training *t, const struct head *h)
{
    for (size_t i = 0; i < learner_param_count(t->learner); i++) {
        struct learner_param *p = learner_param(t->learner, i);
        if (p->head)
            memcpy(p->value, p->kind == LEARNER_WEIGHT ? h->weight : h->bias,
                   p->count * sizeof *p->value);
    }
}

static enum err_code make_learner(struct retrain *run, struct training *t, struct err *e)
{
    const struct recipe *recipe = &run->spec->recipe;
    const struct learner_options o = {
        .input = t->cut.name,
        .feature = run->backbone.feature,
        .classes = run->set.manifest.label_count,
        .batch = (int)recipe->batch,
        .norm = recipe->norm == RECIPE_NORM_BATCH ? LEARNER_NORM_BATCH : LEARNER_NORM_FROZEN,
        .norm_momentum = 0.1f,
        .threads = run->spec->threads,
        .seed = (uint64_t)run->spec->seed,
    };
    enum err_code r = learner_new(run->backbone.network, &o, &t->learner, e);
    if (r)
        return r;
    if (recipe->mode == RECIPE_SCRATCH)
        learner_reset(t->learner, o.seed);
    if (training_starts_from_head(run))
        set_head(t, &run->head);
    return ERR_OK;
}

static enum err_code fetch(void *context, size_t item, struct buf *ret, struct err *e)
{
    const struct pictures *p = context;
    return blobs_get(p->blobs, &p->pictures[item], true, ret, e);
}

static enum err_code make_loader(const struct retrain *run, struct pictures *p, bool training,
                                 struct batches **ret, struct err *e)
{
    const struct recipe *recipe = &run->spec->recipe;
    const struct loader_options o = {
        .fetch = fetch,
        .context = p,
        .count = p->count,
        .labels = p->labels,
        .classes = run->set.manifest.label_count,
        .batch = (int)recipe->batch,
        .ahead = AHEAD,
        .threads = run->spec->threads,
        .preprocess = &run->backbone.pre,
        .augment = training && recipe->has_augment ? &recipe->augment : NULL,
        .shuffle = training,
        .seed = (uint64_t)run->spec->seed,
        .smoothing = training ? (float)recipe->smoothing : 0,
        .limits = run->spec->limits,
        .max_bytes = RETRAIN_BLOB_MAX,
    };
    struct loader *loader = NULL;
    enum err_code r = loader_new(&o, &loader, e);
    if (!r)
        r = batches_of_loader(loader, ret, e);
    if (r)
        loader_free(loader);
    return r;
}

static enum err_code make_cached(const struct retrain *run, struct training *t, bool training,
                                 struct batches **ret, struct err *e)
{
    const struct recipe *recipe = &run->spec->recipe;
    const struct pictures *p = training ? &t->train : &t->validation;
    const struct batches_cached o = {
        .cache = training && recipe->has_augment ? t->caches.augmented : t->caches.plain,
        .pictures = p->pictures,
        .labels = p->labels,
        .count = p->count,
        .floats = t->cut.floats,
        .first_view = training ? training_first_view(recipe) : 0,
        .views = training ? training_view_count(recipe) : 1,
        .classes = run->set.manifest.label_count,
        .batch = (int)recipe->batch,
        .shuffle = training,
        .seed = (uint64_t)run->spec->seed,
        .smoothing = training ? (float)recipe->smoothing : 0,
    };
    return batches_of_cache(&o, ret, e);
}

static enum err_code make_batches(struct retrain *run, struct training *t, struct err *e)
{
    bool cached = training_has_cut(run);
    enum err_code r = cached ? make_cached(run, t, true, &t->batches, e)
                             : make_loader(run, &t->train, true, &t->batches, e);
    if (r || !t->validation.count)
        return r;
    return cached ? make_cached(run, t, false, &t->judging, e)
                  : make_loader(run, &t->validation, false, &t->judging, e);
}

/* Inverse to frequency, with a mean of 1 over the pictures. */
static enum err_code weigh_classes(const struct retrain *run, struct training *t, struct err *e)
{
    int classes = run->set.manifest.label_count;
    if (!run->balanced)
        return ERR_OK;
    t->class_weight = calloc((size_t)classes, sizeof *t->class_weight);
    if (!t->class_weight)
        return err_set(e, ERR_NOMEM, "no memory for %d classes", classes);
    for (size_t i = 0; i < t->train.count; i++)
        t->class_weight[t->train.labels[i]]++;
    for (int c = 0; c < classes; c++)
        t->class_weight[c] =
            (float)t->train.count / ((float)classes * fmaxf(t->class_weight[c], 1));
    return ERR_OK;
}

/* All that decides the bits, beside this program. */
static enum err_code identify(const struct retrain *run, struct digest *ret, struct err *e)
{
    CLEANUP(buf_fini) struct buf text;
    CLEANUP(json_decref_p) json_t *recipe = recipe_json(&run->spec->recipe);
    char manifest[DIGEST_HEX + 1], backbone[DIGEST_HEX + 1];
    struct digest key;
    buf_init(&text, 1 << 16);
    if (!recipe)
        return err_set(e, ERR_NOMEM, "no memory for a recipe");
    enum err_code r = backbone_feature_key(&run->backbone, &key, e);
    if (r)
        return r;
    digest_hex(&run->spec->manifest, manifest);
    digest_hex(&key, backbone);
    r = buf_printf(&text, e, "kennel training 1\n%s\n%s\n%s\n%lld\n", manifest, backbone,
                   plan_engine_text(), (long long)run->spec->seed);
    if (!r)
        r = json_write(recipe, &text, e);
    return r ? r : digest_of(text.data, text.len, ret, e);
}

static bool watch(void *context, const struct train_progress *p)
{
    struct retrain *run = context;
    CLEANUP(json_decref_p)
    json_t *detail = json_pack("{s:f, s:f, s:I, s:O?}", "images_per_second", p->images_per_second,
                               "seconds_left", p->seconds_left, "epochs",
                               (json_int_t)run->spec->recipe.epochs, "epoch", p->epoch);
    return run->progress &&
           run->progress(run->context, run->phase, (size_t)p->step, (size_t)p->steps, detail);
}

/* Nothing was better than the head to start from: then it may as well have all pictures. */
static enum err_code keep_start(struct retrain *run, struct training *t, struct err *e)
{
    t->is_body_kept = true;
    if (strcmp(t->validation_from, "train") != 0)
        return ERR_OK;
    enum err_code r = training_features(run, e);
    if (!r)
        r = retrain_fit_head(run, run->x, run->set.y, run->set.picture, run->set.train, e);
    if (!r)
        set_head(t, &run->head);
    return r;
}

enum err_code retrain_train_epochs(struct retrain *run, struct err *e)
{
    struct training *t = run->training;
    CLEANUP(cleanup_free) char *checkpoint = NULL;
    struct digest identity;
    enum err_code r = weigh_classes(run, t, e);
    if (!r)
        r = make_learner(run, t, e);
    if (!r)
        r = make_batches(run, t, e);
    if (!r)
        r = identify(run, &identity, e);
    if (!r && run->places.work)
        r = file_path(&checkpoint, e, "%s/checkpoint", run->places.work);
    const struct train_options o = {
        .recipe = &run->spec->recipe,
        .learner = t->learner,
        .train = t->batches,
        .validation = t->judging,
        .labels = t->train.labels,
        .validation_labels = t->validation.labels,
        .count = t->train.count,
        .validation_count = t->validation.count,
        .class_weight = t->class_weight,
        .classes = run->set.manifest.label_count,
        .judge_start = training_starts_from_head(run),
        .checkpoint = checkpoint,
        .identity = &identity,
        .watch = watch,
        .context = run,
    };
    if (!r)
        r = train_run(&o, &t->report, e);
    if (!r && t->report.best == 0 && training_starts_from_head(run))
        r = keep_start(run, t, e);
    t->is_body_kept = t->is_body_kept || run->spec->recipe.mode == RECIPE_HEAD;
    return r;
}

/* --- phases "evaluate", "export"
 * -------------------------------------------------------------------------- */

static enum err_code digest_body(const struct training *t, struct digest *ret, struct err *e)
{
    struct digest_stream *stream = NULL;
    enum err_code r = digest_stream_new(&stream, e);
    for (size_t i = 0; !r && i < learner_param_count(t->learner); i++) {
        const struct learner_param *p = learner_param(t->learner, i);
        if (!p->head)
            r = digest_stream_add(stream, p->value, p->count * sizeof *p->value, e);
    }
    if (!r)
        digest_stream_end(stream, ret);
    digest_stream_free(stream);
    return r;
}

enum err_code retrain_train_export(const struct retrain *run, const struct network_meta_pair *extra,
                                   size_t extra_count, struct buf *ret, struct err *e)
{
    const struct training *t = run->training;
    struct digest body;
    char hex[DIGEST_HEX + 1];
    CLEANUP(cleanup_free) struct network_meta_pair *pairs = calloc(extra_count + 1, sizeof *pairs);
    if (!pairs)
        return err_set(e, ERR_NOMEM, "no memory for a model's metadata");
    if (extra_count)
        memcpy(pairs, extra, extra_count * sizeof *pairs);
    enum err_code r = digest_body(t, &body, e);
    if (r)
        return r;
    digest_hex(&body, hex);
    pairs[extra_count] = (struct network_meta_pair){ CLASSIFIER_META_BODY, hex };
    return classifier_export_trained(
        &run->backbone, t->learner, (const char *const *)run->set.manifest.labels,
        run->set.manifest.label_count, pairs, extra_count + (t->is_body_kept ? 0 : 1), ret, e);
}

enum err_code retrain_train_reread(struct retrain *run, struct err *e)
{
    CLEANUP(buf_fini) struct buf file;
    buf_init(&file, RETRAIN_BLOB_MAX);
    enum err_code r = retrain_train_export(run, NULL, 0, &file, e);
    if (!r)
        r = champion_open(file.data, file.len, &run->own, e);
    return r ? r
             : retrain_features(run, &run->own.backbone, NULL, run->set.items + run->set.train,
                                retrain_holdout_count(run), &run->own_x, &run->passes, e);
}

/* --- the report ------------------------------------------------------------------------------ */

static json_t *cut_json(const struct training *t)
{
    return t->cut.name ? json_pack("{s:s, s:I, s:f}", "value", t->cut.name, "floats",
                                   (json_int_t)t->cut.floats, "share", t->cut.share)
                       : json_null();
}

json_t *retrain_train_json(const struct retrain *run)
{
    const struct training *t = run->training;
    if (!t)
        return json_null();
    return json_pack("{s:O, s:I, s:I, s:I, s:I, s:o, s:{s:s, s:I}}", "epochs", t->report.epochs,
                     "best_epoch", (json_int_t)t->report.best, "steps", (json_int_t)t->report.steps,
                     "resumed_at_step", (json_int_t)t->report.resumed, "pictures",
                     (json_int_t)t->train.count, "cut", cut_json(t), "validation", "from",
                     t->validation_from, "count", (json_int_t)t->validation.count);
}

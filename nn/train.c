#include "nn/train_parts.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* DESIGN
 *
 *   begin        optimiser over the learner's parameters; arrays: what a checkpoint holds
 *   resume       where there is a checkpoint of the same training: arrays, counts, seek
 *   epoch        steps from wherever it stands, then validation, then what decides about going on
 *   end          the best weights into the learner, and a last checkpoint that says finished
 *
 * The arrays of a checkpoint are, in order: the learner's parameters, the optimiser's state, the
 * best weights so far and the losses at the start (where there is a validation). */

enum { CLEAR = 2 };
static const double least_probability = 1e-15;

static void run_fini(struct train_run *run)
{
    optimiser_free(run->optimiser);
    for (size_t i = 0; run->best && i < run->param_count; i++)
        free(run->best[i]);
    free(run->best);
    free(run->arrays);
    free(run->p);
    free(run->losses);
    free(run->start_losses);
    json_decref(run->epochs);
}

void train_report_fini(struct train_report *r)
{
    json_decref(r->epochs);
    *r = (struct train_report){ 0 };
}

/* --- beginning ------------------------------------------------------------------------------- */

static enum err_code make_optimiser(struct train_run *run, struct err *e)
{
    const struct recipe *recipe = run->o->recipe;
    CLEANUP(cleanup_free)
    struct optimiser_param *params = calloc(run->param_count + 1, sizeof *params);
    if (!params)
        return err_set(e, ERR_NOMEM, "no memory for an optimiser");
    for (size_t i = 0; i < run->param_count; i++) {
        const struct learner_param *p = learner_param(run->o->learner, i);
        params[i] = (struct optimiser_param){ .name = p->name,
                                              .value = p->value,
                                              .gradient = p->gradient,
                                              .count = p->count,
                                              .decay = p->kind == LEARNER_WEIGHT,
                                              .rate_factor = p->head ? 1 : recipe->body_factor };
    }
    const struct optimiser_options options = { .kind = (enum optimiser_kind)recipe->optimiser,
                                               .momentum = recipe->momentum,
                                               .nesterov = recipe->nesterov,
                                               .weight_decay = recipe->weight_decay,
                                               .clip = recipe->clip,
                                               .average = recipe->ema };
    return optimiser_new(params, run->param_count, &options, &run->optimiser, e);
}

static void make_schedule(struct train_run *run)
{
    const struct recipe *recipe = run->o->recipe;
    double per_epoch = (double)run->per_epoch;
    int64_t steps = recipe->epochs * run->per_epoch;
    int64_t warmup = (int64_t)llround(recipe->warmup * per_epoch);
    int64_t every = (int64_t)llround(recipe->every * per_epoch);
    run->schedule = (struct schedule){ .kind = recipe->schedule,
                                       .rate = recipe->learning_rate,
                                       .last = recipe->last,
                                       .factor = recipe->factor,
                                       .every = every > 1 ? every : 1,
                                       .warmup = warmup < steps ? warmup : steps - 1,
                                       .steps = steps };
}

static enum err_code make_best(struct train_run *run, struct err *e)
{
    run->best = calloc(run->param_count + 1, sizeof *run->best);
    for (size_t i = 0; run->best && i < run->param_count; i++) {
        const struct learner_param *p = learner_param(run->o->learner, i);
        run->best[i] = malloc(p->count * sizeof(float) + 1);
        if (!run->best[i])
            break;
        memcpy(run->best[i], p->value, p->count * sizeof(float));
    }
    run->losses = calloc(run->o->validation_count, sizeof *run->losses);
    run->start_losses = calloc(run->o->validation_count, sizeof *run->start_losses);
    if (!run->best || (run->param_count && !run->best[run->param_count - 1]) || !run->losses ||
        !run->start_losses)
        return err_set(e, ERR_NOMEM, "no memory to keep the best weights");
    return ERR_OK;
}

static enum err_code begin(struct train_run *run, struct err *e)
{
    const struct train_options *o = run->o;
    run->param_count = learner_param_count(o->learner);
    run->per_epoch = batches_steps(o->train);
    run->at.best_loss = run->at.least_loss = INFINITY;
    run->epochs = json_array();
    run->p = calloc((size_t)o->recipe->batch, (size_t)o->classes * sizeof *run->p);
    if (!run->epochs || !run->p)
        return err_set(e, ERR_NOMEM, "no memory to train");
    make_schedule(run);
    enum err_code r = make_optimiser(run, e);
    if (!r && o->validation)
        r = make_best(run, e);
    return r ? r : train_make_arrays(run, e);
}

/* --- judging --------------------------------------------------------------------------------- */

static int largest(const float *p, int classes)
{
    int best = 0;
    for (int c = 1; c < classes; c++)
        best = p[c] > p[best] ? c : best;
    return best;
}

static enum err_code predict_all(struct train_run *run, double *ret_loss, double *ret_accuracy,
                                 struct err *e)
{
    const struct train_options *o = run->o;
    double loss = 0, right = 0;
    enum err_code r = batches_seek(o->validation, 0, 0, e);
    for (;;) {
        struct loader_batch b;
        if (!r)
            r = batches_next(o->validation, &b, e);
        if (r || b.count == 0)
            break;
        r = learner_predict(o->learner, b.count, b.pictures, run->p, e);
        for (int i = 0; !r && i < b.count; i++) {
            const float *p = run->p + (size_t)i * (size_t)o->classes;
            int y = o->validation_labels[b.items[i]];
            double one = -log(fmax((double)p[y], least_probability));
            run->losses[b.items[i]] = (float)one;
            loss += one;
            right += largest(p, o->classes) == y;
            if (!isfinite(p[y]))
                r = err_set(e, ERR_DIVERGED,
                            "step %" PRId64 " (epoch %" PRId64
                            "): the probabilities of the validation pictures are not finite",
                            optimiser_steps(run->optimiser), run->at.epoch + 1);
        }
    }
    if (r)
        return r;
    *ret_loss = loss / (double)o->validation_count;
    *ret_accuracy = right / (double)o->validation_count;
    return ERR_OK;
}

/* Is the mean loss less than at the start by more than CLEAR standard errors of that difference,
 * taken picture by picture? Of ten epochs one is better by chance nearly always where a validation
 * has some dozen pictures; and what it has to beat, a head fitted to all pictures, is better than
 * the start, whose head has not seen those of the validation. */
static bool is_clear(const struct train_run *run)
{
    double n = (double)run->o->validation_count, sum = 0, squares = 0;
    for (size_t i = 0; i < run->o->validation_count; i++) {
        double gain = (double)run->start_losses[i] - (double)run->losses[i];
        sum += gain;
        squares += gain * gain;
    }
    double mean = sum / n, variance = fmax(squares / n - mean * mean, 0) * n / fmax(n - 1, 1);
    return mean > CLEAR * sqrt(variance / n);
}

/* The weights that count are the averaged ones where there are some: they are in the learner
 * while this looks at them. *ret NULL without a validation. */
static enum err_code judge(struct train_run *run, int64_t epoch, json_t **ret, struct err *e)
{
    double loss = 0, accuracy = 0;
    *ret = json_null();
    if (!run->o->validation)
        return ERR_OK;
    optimiser_swap_average(run->optimiser);
    enum err_code r = predict_all(run, &loss, &accuracy, e);
    bool better =
        !r && loss < run->at.best_loss && (epoch == 0 || !run->o->judge_start || is_clear(run));
    for (size_t i = 0; better && i < run->param_count; i++) {
        const struct learner_param *p = learner_param(run->o->learner, i);
        memcpy(run->best[i], p->value, p->count * sizeof(float));
    }
    optimiser_swap_average(run->optimiser);
    if (r)
        return r;
    run->at.stale = loss < run->at.least_loss ? 0 : run->at.stale + 1;
    run->at.least_loss = fmin(run->at.least_loss, loss);
    if (better) {
        run->at.best_loss = loss;
        run->at.best = epoch;
    }
    *ret = json_pack("{s:f, s:f}", "loss", loss, "accuracy", accuracy);
    return *ret ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for an epoch's report");
}

/* --- the loop -------------------------------------------------------------------------------- */

static bool tell(struct train_run *run)
{
    const struct train_options *o = run->o;
    size_t told = json_array_size(run->epochs);
    int64_t step = run->at.epoch * run->per_epoch + run->at.step;
    const struct train_progress p = {
        .step = step,
        .steps = run->schedule.steps,
        .epoch = told ? json_array_get(run->epochs, told - 1) : NULL,
        .images_per_second = run->pace > 0 ? (double)o->recipe->batch / run->pace : 0,
        .seconds_left = run->pace * (double)(run->schedule.steps - step),
    };
    return o->watch && o->watch(o->context, &p);
}

static enum err_code diverged(const struct train_run *run, const struct err *why, struct err *e)
{
    char reason[400];
    snprintf(reason, sizeof reason, "%.399s", why->message);
    return err_set(e, ERR_DIVERGED, "training diverged at step %" PRId64 " (epoch %" PRId64 "): %s",
                   optimiser_steps(run->optimiser) + 1, run->at.epoch + 1, reason);
}

static enum err_code make_step(struct train_run *run, const struct loader_batch *b, struct err *e)
{
    const struct train_options *o = run->o;
    struct err why = { 0 };
    double loss = 0;
    int64_t steps = optimiser_steps(run->optimiser);
    enum err_code r = learner_step(o->learner, b->count, b->pictures, b->targets, o->class_weight,
                                   &loss, run->p, &why);
    if (!r)
        r = optimiser_step(run->optimiser, schedule_rate(&run->schedule, steps), NULL, &why);
    if (r == ERR_DIVERGED)
        return diverged(run, &why, e);
    if (r) {
        if (e)
            *e = why;
        return r;
    }
    run->at.loss += loss * b->count;
    run->at.seen += b->count;
    for (int i = 0; i < b->count; i++)
        run->at.right +=
            largest(run->p + (size_t)i * (size_t)o->classes, o->classes) == o->labels[b->items[i]];
    return ERR_OK;
}

/* The rest of the epoch that the run stands in. */
static enum err_code make_steps(struct train_run *run, struct err *e)
{
    enum err_code r = batches_seek(run->o->train, run->at.epoch, run->at.step, e);
    while (!r && run->at.step < run->per_epoch) {
        int64_t start = clock_monotonic_us();
        struct loader_batch b;
        r = batches_next(run->o->train, &b, e);
        if (!r && b.count == 0)
            r = err_set(e, ERR_INTERNAL, "an epoch ended at step %" PRId64 " of %" PRId64,
                        run->at.step, run->per_epoch);
        if (!r)
            r = make_step(run, &b, e);
        if (r)
            return r;
        double took = (double)(clock_monotonic_us() - start) / 1e6;
        run->pace = run->pace > 0 ? run->pace + (took - run->pace) / 10 : took;
        run->at.seconds += took;
        run->at.step++;
        r = train_save_sometimes(run, e);
        if (!r && tell(run))
            r = err_set(e, ERR_CANCELLED, "cancelled at step %" PRId64,
                        optimiser_steps(run->optimiser));
    }
    return r;
}

static enum err_code note_epoch(struct train_run *run, json_t *epoch, struct err *e)
{
    if (!epoch || json_array_append_new(run->epochs, epoch) < 0)
        return err_set(e, ERR_NOMEM, "no memory for an epoch's report");
    return ERR_OK;
}

static enum err_code end_epoch(struct train_run *run, struct err *e)
{
    struct train_place *at = &run->at;
    int64_t steps = optimiser_steps(run->optimiser);
    double seconds = at->seconds > 1e-9 ? at->seconds : 1e-9;
    json_t *validation = NULL;
    enum err_code r = judge(run, at->epoch + 1, &validation, e);
    if (r)
        return r;
    r = note_epoch(run,
                   json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:o}", "epoch",
                             (json_int_t)at->epoch + 1, "loss", at->loss / at->seen, "accuracy",
                             at->right / at->seen, "learning_rate",
                             schedule_rate(&run->schedule, steps - 1), "images_per_second",
                             at->seen / seconds, "seconds", at->seconds, "validation", validation),
                   e);
    at->epoch++;
    at->step = 0;
    at->loss = at->right = at->seen = at->seconds = 0;
    int64_t patience = run->o->recipe->patience;
    at->finished = at->epoch >= run->o->recipe->epochs ||
                   (run->o->validation && patience > 0 && at->stale >= patience);
    if (!r && tell(run))
        r = err_set(e, ERR_CANCELLED, "cancelled after epoch %" PRId64, at->epoch);
    return r;
}

static enum err_code judge_start(struct train_run *run, struct err *e)
{
    json_t *validation = NULL;
    if (!run->o->judge_start || !run->o->validation)
        return ERR_OK;
    enum err_code r = judge(run, 0, &validation, e);
    memcpy(run->start_losses, run->losses, run->o->validation_count * sizeof *run->losses);
    return r ? r
             : note_epoch(run,
                          json_pack("{s:I, s:n, s:n, s:n, s:n, s:n, s:o}", "epoch", (json_int_t)0,
                                    "loss", "accuracy", "learning_rate", "images_per_second",
                                    "seconds", "validation", validation),
                          e);
}

/* A step's loss and gradient say nothing of what the last step made of the weights. */
static enum err_code check_weights(const struct train_run *run, struct err *e)
{
    for (size_t i = 0; i < run->param_count; i++) {
        const struct learner_param *p = learner_param(run->o->learner, i);
        for (size_t k = 0; k < p->count; k++)
            if (!isfinite(p->value[k]))
                return err_set(e, ERR_DIVERGED,
                               "training diverged at step %" PRId64 " (epoch %" PRId64
                               "): the numbers of %.200s are not finite",
                               optimiser_steps(run->optimiser), run->at.epoch, p->name);
    }
    return ERR_OK;
}

/* The weights that count into the learner. */
static enum err_code keep_best(struct train_run *run, struct err *e)
{
    if (!run->o->validation) {
        optimiser_swap_average(run->optimiser);
        run->at.best = run->at.epoch;
    }
    for (size_t i = 0; run->o->validation && i < run->param_count; i++) {
        struct learner_param *p = learner_param(run->o->learner, i);
        memcpy(p->value, run->best[i], p->count * sizeof(float));
    }
    return check_weights(run, e);
}

enum err_code train_run(const struct train_options *o, struct train_report *ret, struct err *e)
{
    CLEANUP(run_fini) struct train_run run = { .o = o };
    bool resumed = false;
    enum err_code r = begin(&run, e);
    if (!r)
        r = train_resume(&run, &resumed, e);
    int64_t from = run.optimiser ? optimiser_steps(run.optimiser) : 0;
    run.saved_us = clock_monotonic_us();
    if (!r && !resumed)
        r = judge_start(&run, e);
    while (!r && !run.at.finished) {
        r = make_steps(&run, e);
        if (!r)
            r = end_epoch(&run, e);
        if (!r)
            r = run.at.finished ? train_save(&run, e) : train_save_sometimes(&run, e);
    }
    if (!r)
        r = keep_best(&run, e);
    if (r)
        return r;
    *ret = (struct train_report){ .epochs = STEAL(run.epochs),
                                  .best = run.at.best,
                                  .steps = optimiser_steps(run.optimiser),
                                  .resumed = from };
    return ERR_OK;
}

/* Where a training stands, into a checkpoint and out of it. */
#include "nn/train_parts.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"

#include <math.h>
#include <string.h>

enum { CHECKPOINT_US = 500000, CHECKPOINT_SHARE = 20 };

enum err_code train_make_arrays(struct train_run *run, struct err *e)
{
    size_t states = optimiser_state_count(run->optimiser);
    run->arrays = calloc(2 * run->param_count + states + 2, sizeof *run->arrays);
    if (!run->arrays)
        return err_set(e, ERR_NOMEM, "no memory for a checkpoint");
    for (size_t i = 0; i < run->param_count; i++) {
        const struct learner_param *p = learner_param(run->o->learner, i);
        run->arrays[run->array_count++] = (struct checkpoint_array){ p->value, p->count };
    }
    for (size_t i = 0; i < states; i++) {
        struct checkpoint_array *a = &run->arrays[run->array_count++];
        a->data = optimiser_state(run->optimiser, i, &a->count);
    }
    for (size_t i = 0; run->best && i < run->param_count; i++)
        run->arrays[run->array_count++] =
            (struct checkpoint_array){ run->best[i], learner_param(run->o->learner, i)->count };
    if (run->start_losses)
        run->arrays[run->array_count++] =
            (struct checkpoint_array){ run->start_losses, run->o->validation_count };
    return ERR_OK;
}

/* Of all arrays: a program that has others cannot go on. */
static json_int_t count_numbers(const struct train_run *run)
{
    size_t numbers = 0;
    for (size_t i = 0; i < run->array_count; i++)
        numbers += run->arrays[i].count;
    return (json_int_t)numbers;
}

static json_t *header_json(const struct train_run *run)
{
    char hex[DIGEST_HEX + 1];
    const struct train_place *at = &run->at;
    digest_hex(run->o->identity, hex);
    /* Infinity is no JSON; there is no best then. */
    return json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:b, s:O}",
        "identity", hex, "arrays", (json_int_t)run->array_count, "numbers", count_numbers(run),
        "epoch", (json_int_t)at->epoch, "step", (json_int_t)at->step, "optimiser_steps",
        (json_int_t)optimiser_steps(run->optimiser), "loss", at->loss, "right", at->right, "seen",
        at->seen, "seconds", at->seconds, "best_loss", isfinite(at->best_loss) ? at->best_loss : -1,
        "least_loss", isfinite(at->least_loss) ? at->least_loss : -1, "best", (json_int_t)at->best,
        "stale", (json_int_t)at->stale, "finished", at->finished, "epochs", run->epochs);
}

enum err_code train_save(struct train_run *run, struct err *e)
{
    if (!run->o->checkpoint)
        return ERR_OK;
    int64_t start = clock_monotonic_us();
    CLEANUP(json_decref_p) json_t *header = header_json(run);
    if (!header)
        return err_set(e, ERR_NOMEM, "no memory for a checkpoint");
    enum err_code r =
        checkpoint_write(run->o->checkpoint, header, run->arrays, run->array_count, e);
    run->saved_us = clock_monotonic_us();
    run->save_cost_us = run->saved_us - start;
    return r;
}

enum err_code train_save_sometimes(struct train_run *run, struct err *e)
{
    int64_t wait = run->save_cost_us * CHECKPOINT_SHARE;
    if (wait < CHECKPOINT_US)
        wait = CHECKPOINT_US;
    return clock_monotonic_us() - run->saved_us >= wait ? train_save(run, e) : ERR_OK;
}

static bool take_header(struct train_run *run, const json_t *header)
{
    char hex[DIGEST_HEX + 1];
    const char *identity;
    json_int_t arrays, numbers, epoch, step, steps, best, stale;
    json_t *epochs;
    int finished;
    struct train_place at = { 0 };
    digest_hex(run->o->identity, hex);
    if (json_unpack(
            (json_t *)header,
            "{s:s, s:I, s:I, s:I, s:I, s:I, s:F, s:F, s:F, s:F, s:F, s:F, s:I, s:I, s:b, s:o}",
            "identity", &identity, "arrays", &arrays, "numbers", &numbers, "epoch", &epoch, "step",
            &step, "optimiser_steps", &steps, "loss", &at.loss, "right", &at.right, "seen",
            &at.seen, "seconds", &at.seconds, "best_loss", &at.best_loss, "least_loss",
            &at.least_loss, "best", &best, "stale", &stale, "finished", &finished, "epochs",
            &epochs) < 0 ||
        strcmp(identity, hex) != 0 || arrays != (json_int_t)run->array_count ||
        numbers != count_numbers(run) || !json_is_array(epochs))
        return false;
    at.best_loss = at.best_loss < 0 ? INFINITY : at.best_loss;
    at.least_loss = at.least_loss < 0 ? INFINITY : at.least_loss;
    at.epoch = epoch;
    at.step = step;
    at.best = best;
    at.stale = stale;
    at.finished = finished;
    run->at = at;
    optimiser_set_steps(run->optimiser, steps);
    json_decref(run->epochs);
    run->epochs = json_incref(epochs);
    return true;
}

/* ret_found: the run stands where the checkpoint was made. */
enum err_code train_resume(struct train_run *run, bool *ret_found, struct err *e)
{
    CLEANUP(json_decref_p) json_t *header = NULL;
    *ret_found = false;
    if (!run->o->checkpoint)
        return ERR_OK;
    enum err_code r = checkpoint_header(run->o->checkpoint, &header, e);
    if (r || !header || !take_header(run, header))
        return r;
    *ret_found = true;
    return checkpoint_read(run->o->checkpoint, run->arrays, run->array_count, e);
}

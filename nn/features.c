#include "nn/features.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "nn/crew.h"
#include "nn/picture_source.h"
#include "nn/plan.h"
#include "nn/recipe_augment.h"

#include <string.h>

/* DESIGN
 *
 *   caller's thread   cache -> ret;  what is missing -> tasks
 *   workers           task: blob -> decode, prepare -> plan -> ret[item], then ready[task]
 *   caller's thread   meanwhile, about ten times a second: what is ready -> cache, fsync once a
 * second
 *
 * The cache has one owner, so only the caller's thread touches it, and no worker ever waits for
 * the disk. */

enum { KEY_TEXT_MAX = 4096, FLUSH_EVERY_US = 1000000 };

struct worker {
    struct picture_source *source;
    struct plan_scratch *plan;
    float *input; /* owned; [3][size][size] */
};

struct run {
    const struct features_request *q;
    features_progress progress;
    void *context;
    float *ret;
    size_t *missing; /* owned; [tasks] indices of items */
    size_t tasks;
    atomic_bool *ready; /* owned; [tasks]: its vector stands in ret */
    size_t first_unsaved;
    bool *saved; /* owned; [tasks] */
    size_t passes;
    int64_t flushed_us;
    struct err error; /* of the cache */
    struct plan *plan;
    struct worker *workers; /* owned; [worker_count] */
    int worker_count;
};

static void run_fini(struct run *run)
{
    for (int i = 0; run->workers && i < run->worker_count; i++) {
        picture_source_free(run->workers[i].source);
        plan_scratch_free(run->workers[i].plan);
        free(run->workers[i].input);
    }
    free(run->workers);
    plan_free(run->plan);
    free(run->missing);
    free(run->ready);
    free(run->saved);
}

static bool is_augmented(const struct run *run, const struct features_item *item)
{
    return run->q->augment && item->view > 0;
}

static struct feature_cache *cache_of(const struct run *run, const struct features_item *item)
{
    return is_augmented(run, item) ? run->q->augmented : run->q->cache;
}

static float *vector_of(const struct run *run, size_t item)
{
    return run->ret + item * (size_t)run->q->backbone->width;
}

static enum err_code read_cached(struct run *run, struct err *e)
{
    const struct features_request *q = run->q;
    run->missing = calloc(q->count + 1, sizeof *run->missing);
    if (!run->missing)
        return err_set(e, ERR_NOMEM, "no memory for %zu features", q->count);
    for (size_t i = 0; i < q->count; i++)
        if (!feature_cache_get(cache_of(run, &q->items[i]), &q->items[i].picture, q->items[i].view,
                               vector_of(run, i)))
            run->missing[run->tasks++] = i;
    return ERR_OK;
}

static enum err_code make_plan(struct run *run, struct err *e)
{
    const struct backbone *b = run->q->backbone;
    struct plan_options options = { .output = b->feature, .pool = !run->q->whole, .batch = 1 };
    if (run->q->ranges) {
        options.precision = PLAN_INT8;
        options.ranges = run->q->ranges;
    }
    enum err_code r = plan_new(b->network, &options, &run->plan, e);
    if (r)
        return r;
    size_t pixels = (size_t)b->pre.size * (size_t)b->pre.size;
    if (plan_input_size(run->plan) != 3 * pixels || plan_output_size(run->plan) != (size_t)b->width)
        return err_set(e, ERR_INTERNAL, "tensor %s: %zu floats to %zu, expected %zu to %d",
                       b->feature, plan_input_size(run->plan), plan_output_size(run->plan),
                       3 * pixels, b->width);
    return ERR_OK;
}

static enum err_code make_workers(struct run *run, struct err *e)
{
    size_t threads = (size_t)run->q->threads;
    run->worker_count = (int)(threads < run->tasks ? threads : run->tasks);
    run->workers = calloc((size_t)run->worker_count, sizeof *run->workers);
    run->ready = calloc(run->tasks, sizeof *run->ready);
    run->saved = calloc(run->tasks, sizeof *run->saved);
    if (!run->workers || !run->ready || !run->saved)
        return err_set(e, ERR_NOMEM, "no memory for %zu features", run->tasks);
    for (int i = 0; i < run->worker_count; i++) {
        struct worker *w = &run->workers[i];
        enum err_code r = picture_source_new(run->q->blobs, &run->q->backbone->pre, &run->q->limits,
                                             &w->source, e);
        if (!r)
            r = plan_scratch_new(run->plan, &w->plan, e);
        if (r)
            return r;
        w->input = calloc(plan_input_size(run->plan), sizeof *w->input);
        if (!w->input)
            return err_set(e, ERR_NOMEM, "no memory for a picture");
    }
    return ERR_OK;
}

static enum err_code compute(void *context, int worker, size_t task, const atomic_bool *stop,
                             struct err *e)
{
    struct run *run = context;
    const struct features_item *item = &run->q->items[run->missing[task]];
    struct worker *w = &run->workers[worker];
    (void)stop;
    enum err_code r = is_augmented(run, item)
                          ? picture_source_augmented(w->source, &item->picture, run->q->augment,
                                                     item->view, w->input, e)
                          : picture_source_get(w->source, &item->picture, item->view, w->input, e);
    if (r)
        return r;
    r = plan_run(run->plan, w->plan, w->input, vector_of(run, run->missing[task]), e);
    if (!r)
        atomic_store_explicit(&run->ready[task], true, memory_order_release);
    return r;
}

static enum err_code save_ready(struct run *run, struct err *e)
{
    for (size_t t = run->first_unsaved; t < run->tasks; t++) {
        if (run->saved[t] || !atomic_load_explicit(&run->ready[t], memory_order_acquire))
            continue;
        const struct features_item *item = &run->q->items[run->missing[t]];
        enum err_code r = feature_cache_put(cache_of(run, item), &item->picture, item->view,
                                            vector_of(run, run->missing[t]), e);
        if (r)
            return r;
        run->saved[t] = true;
        run->passes++;
    }
    while (run->first_unsaved < run->tasks && run->saved[run->first_unsaved])
        run->first_unsaved++;
    return ERR_OK;
}

static enum err_code flush(struct run *run, struct err *e)
{
    enum err_code r = feature_cache_flush(run->q->cache, e);
    return r || !run->q->augment ? r : feature_cache_flush(run->q->augmented, e);
}

static bool watch(void *context, size_t done, size_t total)
{
    struct run *run = context;
    int64_t now = clock_monotonic_us();
    if (!run->error.code)
        run->error.code = save_ready(run, &run->error);
    if (!run->error.code && now - run->flushed_us >= FLUSH_EVERY_US) {
        run->error.code = flush(run, &run->error);
        run->flushed_us = clock_monotonic_us();
    }
    return run->error.code || (run->progress && run->progress(run->context, done, total));
}

static enum err_code run_crew(struct run *run, struct err *e)
{
    const struct crew_options crew = { .name = "kennel-feature",
                                       .threads = run->worker_count,
                                       .tasks = run->tasks,
                                       .task = compute,
                                       .progress = watch,
                                       .context = run };
    run->flushed_us = clock_monotonic_us();
    enum err_code r = crew_run(&crew, e);
    /* Also after a failure or a wish to stop: what was computed is not lost. */
    if (!run->error.code)
        run->error.code = save_ready(run, &run->error);
    if (!run->error.code)
        run->error.code = flush(run, &run->error);
    if (!run->error.code || (r && r != ERR_CANCELLED))
        return r;
    if (e)
        *e = run->error;
    return run->error.code;
}

enum err_code features_key(const struct backbone *b, bool whole, const struct augment *augment,
                           struct digest *ret, struct err *e)
{
    struct digest base;
    enum err_code r = backbone_feature_key(b, &base, e);
    if (r)
        return r;
    if (!whole && !augment) {
        *ret = base;
        return ERR_OK;
    }
    char hex[DIGEST_HEX + 1];
    CLEANUP(buf_fini) struct buf text;
    CLEANUP(json_decref_p) json_t *look = augment ? recipe_augment_json(augment) : json_null();
    digest_hex(&base, hex);
    buf_init(&text, KEY_TEXT_MAX);
    if (!look)
        return err_set(e, ERR_NOMEM, "no memory for a feature cache's key");
    r = buf_printf(&text, e, "%s\n%s\n", hex, whole ? "whole" : "pooled");
    if (!r)
        r = json_write(look, &text, e);
    return r ? r : digest_of(text.data, text.len, ret, e);
}

enum err_code features_compute(const struct features_request *q, features_progress progress,
                               void *context, float *ret, size_t *ret_passes, struct err *e)
{
    CLEANUP(run_fini)
    struct run run = { .q = q, .progress = progress, .context = context, .ret = ret };
    *ret_passes = 0;
    enum err_code r = read_cached(&run, e);
    if (r || run.tasks == 0)
        return r;
    r = make_plan(&run, e);
    if (!r)
        r = make_workers(&run, e);
    if (!r)
        r = run_crew(&run, e);
    *ret_passes = run.passes;
    return r;
}

#include "nn/learner_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum err_code check_options(const struct learner_options *o, struct err *e)
{
    if (o->classes < 1)
        return err_set(e, ERR_FIELD_RANGE, "a head needs at least one class, not %d", o->classes);
    if (o->batch < 1 || o->batch > LEARNER_BATCH_MAX)
        return err_set(e, ERR_FIELD_RANGE, "a batch of %d is not within 1 and %d", o->batch,
                       LEARNER_BATCH_MAX);
    if (o->threads < 1 || o->threads > LEARNER_THREADS_MAX)
        return err_set(e, ERR_FIELD_RANGE, "%d threads are not within 1 and %d", o->threads,
                       LEARNER_THREADS_MAX);
    if (!(o->norm_momentum >= 0 && o->norm_momentum <= 1))
        return err_set(e, ERR_FIELD_RANGE, "a norm momentum of %g is not within 0 and 1",
                       (double)o->norm_momentum);
    return ERR_OK;
}

static int shards_of(int count)
{
    int shards = count / LEARNER_SHARD_ITEMS;
    return shards < 1 ? 1 : shards > LEARNER_SHARDS_MAX ? LEARNER_SHARDS_MAX : shards;
}

static char *take_room(size_t bytes)
{
    size_t room = (bytes + DNN_ALIGN) / DNN_ALIGN * DNN_ALIGN;
    return weights_pages(room);
}

static enum err_code make_memory(struct learner *l, struct err *e)
{
    size_t scratch = (l->scratch + DNN_ALIGN - 1) / DNN_ALIGN * DNN_ALIGN;
    l->scratch = scratch;
    l->probability = calloc((size_t)l->batch * (size_t)l->classes, sizeof *l->probability);
    l->item_loss = calloc((size_t)l->batch, sizeof *l->item_loss);
    l->workers = calloc((size_t)l->threads, sizeof *l->workers);
    l->arena = take_room(l->arena_bytes);
    bool ok = l->probability && l->item_loss && l->workers && l->arena;
    for (int i = 0; i < l->threads && ok; i++) {
        l->workers[i].scratch = take_room(scratch + l->step_scratch);
        ok = l->workers[i].scratch != NULL;
    }
    if (!ok)
        return err_set(e, ERR_NOMEM, "no memory for %zu bytes of activations at batch %d",
                       l->arena_bytes + (size_t)l->threads * (scratch + l->step_scratch), l->batch);
    return ERR_OK;
}

static enum err_code prepare(struct learner *l, struct err *e)
{
    enum err_code r = ERR_OK;
    int saved = dnn_thread_enter();
    for (int k = 0; k < l->step_count && !r; k++)
        if (l->list[k].op->prepare)
            r = l->list[k].op->prepare(l, &l->list[k], e);
    dnn_thread_leave(saved);
    return r;
}

enum err_code learner_new(const struct network *n, const struct learner_options *o,
                          struct learner **ret, struct err *e)
{
    enum err_code r = check_options(o, e);
    if (r)
        return r;
    struct learner *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NOMEM, "no memory for training");
    l->network = n;
    l->kernels = learner_kernels();
    l->classes = o->classes;
    l->batch = o->batch;
    l->shards = shards_of(o->batch);
    l->threads = o->threads < l->shards ? o->threads : l->shards;
    l->norm = o->norm;
    l->momentum = o->norm_momentum;
    r = dnn_engine_new(&l->engine, e);
    if (!r)
        r = learner_build(l, o, e);
    if (!r)
        r = learner_schedule(l, e);
    if (!r)
        r = prepare(l, e);
    if (!r)
        r = learner_place(l, e);
    if (!r)
        r = make_memory(l, e);
    if (!r)
        r = team_new("kennel-learn", l->threads, &l->team, e);
    if (r) {
        learner_free(l);
        return r;
    }
    learner_reset_head(l, o->seed);
    *ret = l;
    return ERR_OK;
}

static void step_fini(const struct learner *l, struct learner_step *p)
{
    if (p->op && p->op->free)
        p->op->free(l, p);
    free(p->in);
    free(p->add);
}

void learner_free(struct learner *l)
{
    if (!l)
        return;
    team_free(l->team);
    for (int k = 0; k < l->step_count; k++)
        step_fini(l, &l->list[k]);
    for (int s = 0; s < l->segment_count; s++) {
        free(l->segments[s].data_at);
        free(l->segments[s].gradient_at);
    }
    for (int i = 0; i < l->param_count; i++) {
        free(l->params[i].value);
        free(l->params[i].gradient);
    }
    for (int i = 0; l->workers && i < l->threads; i++)
        free(l->workers[i].scratch);
    free(l->workers);
    free(l->arena);
    free(l->list);
    free(l->values);
    free(l->params);
    free(l->initialisers);
    free(l->users);
    free(l->uses);
    free(l->roles);
    free(l->actions);
    free(l->segments);
    free(l->probability);
    free(l->item_loss);
    free(l->feature);
    steps_fini(&l->steps);
    frame_fini(&l->frame);
    dnn_engine_free(l->engine);
    free(l);
}

size_t learner_param_count(const struct learner *l)
{
    return (size_t)l->param_count;
}

struct learner_param *learner_param(struct learner *l, size_t i)
{
    return &l->params[i];
}

size_t learner_input_size(const struct learner *l)
{
    return l->values[l->input].count;
}

size_t learner_bytes(const struct learner *l)
{
    return l->arena_bytes + (size_t)l->threads * (l->scratch + l->step_scratch) + l->extra_bytes +
           (size_t)l->batch * (size_t)l->classes * sizeof(float);
}

static enum err_code check_count(const struct learner *l, int count, struct err *e)
{
    if (count < 1 || count > l->batch)
        return err_set(e, ERR_FIELD_RANGE, "%d items are not within 1 and the batch of %d", count,
                       l->batch);
    return ERR_OK;
}

/* Sum of the targets times their classes' weights. */
static double weigh(const float *target, const float *class_weight, int count, int classes)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        for (int c = 0; c < classes; c++)
            sum += (double)target[(size_t)i * (size_t)classes + (size_t)c] *
                   (class_weight ? (double)class_weight[c] : 1);
    return sum;
}

enum err_code learner_step(struct learner *l, int count, const float *x, const float *target,
                           const float *class_weight, double *ret_loss, float *ret_probability,
                           struct err *e)
{
    enum err_code r = check_count(l, count, e);
    if (r)
        return r;
    double weight = weigh(target, class_weight, count, l->classes);
    if (!(weight > 0) || !isfinite(weight))
        return err_set(e, ERR_FIELD_RANGE, "the targets of a batch weigh %g", weight);
    l->training = true;
    l->count = count;
    l->run_shards = shards_of(count);
    l->x = x;
    l->target = target;
    l->class_weight = class_weight;
    l->weight_sum = weight;
    r = learner_run(l, e);
    if (r)
        return r;
    *ret_loss = l->loss;
    if (ret_probability)
        memcpy(ret_probability, l->probability, (size_t)count * (size_t)l->classes * sizeof(float));
    return ERR_OK;
}

enum err_code learner_predict(struct learner *l, int count, const float *x, float *ret_probability,
                              struct err *e)
{
    enum err_code r = check_count(l, count, e);
    if (r)
        return r;
    l->training = false;
    l->count = count;
    l->run_shards = shards_of(count);
    l->x = x;
    r = learner_run(l, e);
    if (!r)
        memcpy(ret_probability, l->probability, (size_t)count * (size_t)l->classes * sizeof(float));
    return r;
}

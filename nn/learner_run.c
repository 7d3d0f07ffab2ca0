/* The segments of a learner, one after the other, each on all threads. */
#include "nn/learner_parts.h"

#include <math.h>
#include <string.h>

float *learner_data(const struct learner *l, const struct learner_job *j, int value)
{
    const struct learner_value *v = &l->values[value];
    if (v->data_at != NOWHERE)
        return (float *)(void *)(l->arena + v->data_at) + (size_t)j->item * v->count;
    return (float *)(void *)(l->workers[j->worker].scratch + j->segment->data_at[value]);
}

float *learner_gradient(const struct learner *l, const struct learner_job *j, int value)
{
    const struct learner_value *v = &l->values[value];
    if (v->gradient_at != NOWHERE)
        return (float *)(void *)(l->arena + v->gradient_at) + (size_t)j->item * v->count;
    return (float *)(void *)(l->workers[j->worker].scratch + j->segment->gradient_at[value]);
}

void *learner_sums(const struct learner *l, const struct learner_weight *w, int shard)
{
    return l->arena + w->sums_at + (size_t)shard * w->sums;
}

bool learner_wants(const struct learner *l, const struct learner_step *p, int i)
{
    return l->values[p->in[i]].gradient;
}

/* The first part replaces what is there, unless other nodes share the parameter. */
void learner_sum_vector(struct learner *l, const struct learner_weight *w)
{
    const struct learner_param *param = &l->params[w->param];
    bool add = l->users[w->param] > 1;
    for (size_t i = 0; i < param->count; i++) {
        double sum = 0;
        for (int s = 0; s < l->run_shards; s++)
            sum += ((const double *)learner_sums(l, w, s))[i];
        param->gradient[i] = add ? param->gradient[i] + (float)sum : (float)sum;
    }
}

void learner_sum_matrix(struct learner *l, const struct learner_weight *w)
{
    const struct learner_param *param = &l->params[w->param];
    bool add = l->users[w->param] > 1;
    for (int s = 0; s < l->run_shards; s++) {
        const float *from = learner_sums(l, w, s);
        if (s == 0 && !add)
            memcpy(param->gradient, from, param->count * sizeof(float));
        else
            l->kernels->add(param->count, from, param->gradient);
    }
}

struct piece {
    struct learner *l;
    const struct learner_segment *segment;
};

static enum err_code run_action(struct learner *l, const struct learner_action *a,
                                const struct learner_job *j, struct err *e)
{
    const struct learner_step *p = a->step >= 0 ? &l->list[a->step] : NULL;
    switch (a->kind) {
    case ACTION_FORWARD:
    case ACTION_AGAIN:
        return p->op->forward(l, p, j, e);
    case ACTION_STAT:
        if (l->training)
            p->op->stat(l, p, j);
        return ERR_OK;
    case ACTION_LOSS:
        learner_loss(l, j);
        return ERR_OK;
    case ACTION_BACKWARD:
        return p->op->backward(l, p, j, e);
    case ACTION_BACKSTAT:
        p->op->backstat(l, p, j);
        return ERR_OK;
    }
    return ERR_OK;
}

static enum err_code run_chunks(void *context, int worker, int shard, struct err *e)
{
    const struct piece *piece = context;
    struct learner *l = piece->l;
    const struct learner_segment *g = piece->segment;
    int end = l->count * (shard + 1) / l->run_shards;
    struct learner_job j = { .worker = worker,
                             .shard = shard,
                             .item = l->count * shard / l->run_shards,
                             .first = true,
                             .segment = g,
                             .scratch = l->workers[worker].scratch + l->scratch };
    int saved = dnn_thread_enter();
    enum err_code r = ERR_OK;
    for (; j.item < end && !r; j.item += j.count, j.first = false) {
        j.count = end - j.item >= g->chunk ? g->chunk : 1;
        for (int i = g->first; i < g->last && !r; i++) {
            r = run_action(l, &l->actions[i], &j, e);
            if (!l->training && l->actions[i].kind == ACTION_LOSS)
                break;
        }
    }
    dnn_thread_leave(saved);
    return r;
}

static enum err_code combine_weights(void *context, int worker, int task, struct err *e)
{
    (void)worker;
    const struct piece *piece = context;
    struct learner *l = piece->l;
    int saved = dnn_thread_enter();
    enum err_code r = ERR_OK;
    for (int i = piece->segment->first; i < piece->segment->last && !r; i++) {
        const struct learner_action *a = &l->actions[i];
        if (a->kind == ACTION_BACKWARD && l->list[a->step].op->combine && task-- == 0)
            r = l->list[a->step].op->combine(l, &l->list[a->step], MOMENT_BACKWARD, e);
    }
    dnn_thread_leave(saved);
    return r;
}

static bool shares_parameters(const struct learner *l, const struct learner_step *p)
{
    for (int k = 0; k < p->weight_count; k++)
        if (p->weights[k].param >= 0 && l->users[p->weights[k].param] > 1)
            return true;
    return false;
}

static enum err_code combine(struct learner *l, const struct piece *piece, struct err *e)
{
    int tasks = 0;
    bool shared = false;
    for (int i = piece->segment->first; i < piece->segment->last; i++) {
        const struct learner_action *a = &l->actions[i];
        struct learner_step *p = a->step >= 0 ? &l->list[a->step] : NULL;
        enum err_code r = ERR_OK;
        if (a->kind == ACTION_STAT)
            r = p->op->combine(l, p, MOMENT_STAT, e);
        else if (a->kind == ACTION_BACKSTAT)
            r = p->op->combine(l, p, MOMENT_BACKSTAT, e);
        if (r)
            return r;
        if (a->kind == ACTION_BACKWARD && p->op->combine) {
            tasks++;
            shared = shared || shares_parameters(l, p);
        }
    }
    enum err_code r = ERR_OK;
    if (!shared)
        return tasks ? team_run(l->team, tasks, combine_weights, (void *)piece, e) : ERR_OK;
    for (int i = 0; i < tasks && !r; i++)
        r = combine_weights((void *)piece, 0, i, e);
    return r;
}

static enum err_code refresh(void *context, int worker, int task, struct err *e)
{
    (void)worker;
    struct learner *l = context;
    int saved = dnn_thread_enter();
    struct learner_step *p = &l->list[task];
    enum err_code r = p->op->refresh ? p->op->refresh(l, p, e) : ERR_OK;
    dnn_thread_leave(saved);
    return r;
}

static void clear_shared(struct learner *l)
{
    for (int i = 0; i < l->param_count; i++)
        if (l->users[i] > 1 && l->params[i].gradient)
            memset(l->params[i].gradient, 0, l->params[i].count * sizeof(float));
}

static double mean_loss(const struct learner *l)
{
    double sum = 0;
    for (int i = 0; i < l->count; i++)
        sum += l->item_loss[i];
    return sum / l->weight_sum;
}

enum err_code learner_run(struct learner *l, struct err *e)
{
    enum err_code r = team_run(l->team, l->step_count, refresh, l, e);
    if (l->training)
        clear_shared(l);
    int last = l->training ? l->segment_count - 1 : l->loss_segment;
    for (int s = 0; s <= last && !r; s++) {
        struct piece piece = { l, &l->segments[s] };
        r = team_run(l->team, l->run_shards, run_chunks, &piece, e);
        if (!r && l->training && s == l->loss_segment) {
            l->loss = mean_loss(l);
            if (!isfinite(l->loss))
                return err_set(e, ERR_DIVERGED, "the loss is not a finite number");
        }
        if (!r && l->training)
            r = combine(l, &piece, e);
    }
    for (int k = 0; k < l->step_count && !r && l->training; k++)
        if (l->list[k].op->commit)
            l->list[k].op->commit(l, &l->list[k]);
    return r;
}

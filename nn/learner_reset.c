/* Numbers to begin with, by PyTorch's rules. */
#include "nn/learner_parts.h"

#include <math.h>

/* SplitMix64 (Steele, Lea, Flood 2014), begun anew for each parameter. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* In (0, 1). */
static double uniform(uint64_t *state)
{
    return ((double)(next_random(state) >> 11) + 0.5) * 0x1p-53;
}

static double normal(uint64_t *state)
{
    double u = uniform(state), v = uniform(state);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static void fill_uniform(struct learner_param *p, double bound, uint64_t state)
{
    for (size_t i = 0; i < p->count; i++)
        p->value[i] = (float)((2 * uniform(&state) - 1) * bound);
}

static void fill(struct learner_param *p, float value)
{
    for (size_t i = 0; i < p->count; i++)
        p->value[i] = value;
}

/* A weight [O,I,k...] or a matrix. */
static void fill_weight(struct learner_param *p, const struct tensor *t, uint64_t state)
{
    if (t->rank < 3) {
        fill_uniform(p, 1 / sqrt((double)tensor_span(t, 1, t->rank)), state);
        return;
    }
    double fan_out = (double)t->dims[0] * (double)tensor_span(t, 2, t->rank);
    double deviation = sqrt(2 / fan_out);
    for (size_t i = 0; i < p->count; i++)
        p->value[i] = (float)(deviation * normal(&state));
}

/* By the name, so that a cut or another head changes nothing else. */
static uint64_t state_of(uint64_t seed, const char *name)
{
    uint64_t state = seed;
    for (; *name; name++)
        state = (state ^ (uint64_t)(unsigned char)*name) * 0x100000001b3u;
    return next_random(&state);
}

void learner_reset_head(struct learner *l, uint64_t seed)
{
    for (int i = 0; i < l->param_count; i++)
        if (l->params[i].head)
            fill_uniform(&l->params[i], 1 / sqrt((double)l->width),
                         state_of(seed, l->params[i].name));
}

void learner_reset(struct learner *l, uint64_t seed)
{
    for (int i = 0; i < l->param_count; i++) {
        struct learner_param *p = &l->params[i];
        if (p->head)
            continue;
        switch (p->kind) {
        case LEARNER_WEIGHT:
            if (p->count > 1 && l->network->graph.values[l->initialisers[i]].constant.rank > 1)
                fill_weight(p, &l->network->graph.values[l->initialisers[i]].constant,
                            state_of(seed, l->params[i].name));
            else
                fill(p, 0.25f); /* PReLU's slopes */
            break;
        case LEARNER_BIAS:
        case LEARNER_NORM_SHIFT:
        case LEARNER_NORM_MEAN:
            fill(p, 0);
            break;
        case LEARNER_NORM_SCALE:
        case LEARNER_NORM_VARIANCE:
            fill(p, 1);
            break;
        }
    }
    learner_reset_head(l, seed);
}

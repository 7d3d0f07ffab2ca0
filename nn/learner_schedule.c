/* When each step runs, and where its numbers stand. */
#include "nn/arena.h"
#include "nn/learner_parts.h"

#include <stdlib.h>

/* A chunk's inputs and outputs shall fit a core's cache; a segment's shards' sums of gradients are
 * kept until it ends; what takes more steps than this to make again is stored. */
enum { CHUNK_BYTES = 4 << 20, SEGMENT_SUMS = 16 << 20, AGAIN_MAX = 6 };

static int largest_shard(const struct learner *l)
{
    return (l->batch + l->shards - 1) / l->shards;
}

static int wanted_chunk(const struct learner *l, const struct learner_step *p)
{
    size_t bytes = l->values[p->out].count * sizeof(float);
    for (int i = 0; i < p->in_count; i++)
        bytes += l->values[p->in[i]].count * sizeof(float);
    int chunk = 1;
    while (chunk * 2 <= largest_shard(l) && (size_t)chunk * 2 * bytes <= CHUNK_BYTES)
        chunk *= 2;
    return chunk;
}

/* What is known of the segment that is being made. */
struct draft {
    struct learner *l;
    int *made;   /* [step_count] segment of its forward, -1 */
    int *again;  /* [step_count] the last segment that ran it again */
    int *summed; /* [step_count] segment of its STAT or BACKSTAT */
    int *depth;  /* [value_count] steps that make it again from what is stored */
    size_t sums; /* bytes of weight gradients in this segment */
};

static enum err_code cut(struct learner *l, struct err *e)
{
    if (l->segment_count && l->segments[l->segment_count - 1].first == l->action_count)
        return ERR_OK;
    if (l->segment_count == l->segment_max) {
        int max = l->segment_max * 2 + 16;
        struct learner_segment *more = realloc(l->segments, (size_t)max * sizeof *more);
        if (!more)
            return err_set(e, ERR_NOMEM, "no memory for %d segments", max);
        l->segments = more;
        l->segment_max = max;
    }
    l->segments[l->segment_count++] =
        (struct learner_segment){ .first = l->action_count, .last = l->action_count };
    return ERR_OK;
}

static int now(const struct draft *d)
{
    return d->l->segment_count - 1;
}

static enum err_code put(struct draft *d, enum learner_action_kind kind, int step, struct err *e)
{
    struct learner *l = d->l;
    if (l->action_count == l->action_max) {
        int max = l->action_max * 2 + 64;
        struct learner_action *more = realloc(l->actions, (size_t)max * sizeof *more);
        if (!more)
            return err_set(e, ERR_NOMEM, "no memory for %d actions", max);
        l->actions = more;
        l->action_max = max;
    }
    l->actions[l->action_count++] = (struct learner_action){ kind, step };
    l->segments[now(d)].last = l->action_count;
    return ERR_OK;
}

/* Makes room for a step that would like another size of chunk than those before it. */
static enum err_code fit_chunk(struct draft *d, const struct learner_step *p, struct err *e)
{
    struct learner *l = d->l;
    int chunk = wanted_chunk(l, p);
    struct learner_segment *g = &l->segments[now(d)];
    if (g->chunk && (chunk >= 4 * g->chunk || 4 * chunk <= g->chunk)) {
        enum err_code r = cut(l, e);
        if (r)
            return r;
        g = &l->segments[now(d)];
        d->sums = 0;
    }
    if (!g->chunk || chunk < g->chunk)
        g->chunk = chunk;
    return ERR_OK;
}

static enum err_code cut_after_sums(struct draft *d, int step, struct err *e)
{
    d->sums = d->summed[step] == now(d) ? 0 : d->sums;
    return d->summed[step] == now(d) ? cut(d->l, e) : ERR_OK;
}

static enum err_code put_forward(struct draft *d, int step, struct err *e)
{
    struct learner *l = d->l;
    const struct learner_step *p = &l->list[step];
    enum err_code r = cut_after_sums(d, step, e);
    if (!r)
        r = fit_chunk(d, p, e);
    if (!r)
        r = put(d, ACTION_FORWARD, step, e);
    d->made[step] = now(d);
    for (int k = step + 1; k < l->step_count && !r; k++)
        if (l->list[k].sums && l->list[k].in[0] == p->out) {
            r = put(d, ACTION_STAT, k, e);
            d->summed[k] = now(d);
        }
    return r;
}

/* A value is stored unless its maker is cheap, all who read it forward stand in the same segment
 * and its makers' chain is short. */
static void decide_stored(struct draft *d)
{
    struct learner *l = d->l;
    for (int k = 0; k < l->step_count; k++) {
        const struct learner_step *p = &l->list[k];
        struct learner_value *v = &l->values[p->out];
        int depth = 1;
        for (int i = 0; i < p->in_count; i++)
            depth += d->depth[p->in[i]];
        bool apart = false;
        for (int q = k + 1; q < l->step_count; q++)
            for (int i = 0; i < l->list[q].in_count; i++)
                apart = apart || (l->list[q].in[i] == p->out && d->made[q] != d->made[k]);
        v->stored = !p->cheap || apart || depth > AGAIN_MAX;
        d->depth[p->out] = v->stored ? 0 : depth;
    }
}

/* The value's numbers are there in this segment. Recursion is at most AGAIN_MAX deep. */
static enum err_code put_again(struct draft *d, int value,
                               struct err *e) // NOLINT(misc-no-recursion)
{
    struct learner *l = d->l;
    const struct learner_value *v = &l->values[value];
    if (v->stored || d->made[v->maker] == now(d) || d->again[v->maker] == now(d))
        return ERR_OK;
    const struct learner_step *p = &l->list[v->maker];
    enum err_code r = ERR_OK;
    for (int i = 0; i < p->in_count && !r; i++)
        r = put_again(d, p->in[i], e);
    d->again[v->maker] = now(d);
    return r ? r : put(d, ACTION_AGAIN, v->maker, e);
}

static enum err_code put_needs(struct draft *d, int step, bool in, bool out, struct err *e)
{
    const struct learner_step *p = &d->l->list[step];
    enum err_code r = ERR_OK;
    for (int i = 0; i < p->in_count && in && !r; i++)
        r = put_again(d, p->in[i], e);
    return r || !out ? r : put_again(d, p->out, e);
}

static size_t step_sums(const struct learner *l, const struct learner_step *p)
{
    size_t sums = 0;
    for (int k = 0; k < p->weight_count; k++)
        if (p->weights[k].param >= 0)
            sums += l->params[p->weights[k].param].count * sizeof(float) * (size_t)l->shards;
    return sums;
}

static enum err_code put_backward(struct draft *d, int step, struct err *e)
{
    struct learner *l = d->l;
    struct learner_step *p = &l->list[step];
    enum err_code r = fit_chunk(d, p, e);
    if (!r && p->sums) {
        r = put_needs(d, step, true, false, e);
        if (!r)
            r = put(d, ACTION_BACKSTAT, step, e);
        d->summed[step] = now(d);
        if (!r)
            r = cut_after_sums(d, step, e);
        if (!r)
            r = fit_chunk(d, p, e);
    }
    size_t sums = step_sums(l, p);
    if (!r && d->sums && d->sums + sums > SEGMENT_SUMS) {
        r = cut(l, e);
        d->sums = 0;
        if (!r)
            r = fit_chunk(d, p, e);
    }
    d->sums += sums;
    if (!r)
        r = put_needs(d, step, (p->needs & NEEDS_IN) != 0, (p->needs & NEEDS_OUT) != 0, e);
    return r ? r : put(d, ACTION_BACKWARD, step, e);
}

/* Which step is the first to write an input's gradient. */
static enum err_code put_backwards(struct draft *d, struct err *e)
{
    struct learner *l = d->l;
    bool *written = calloc((size_t)l->value_count, sizeof *written);
    if (!written)
        return err_set(e, ERR_NOMEM, "no memory for a schedule");
    enum err_code r = ERR_OK;
    written[l->logits] = true;
    for (int k = l->step_count - 1; k >= 0 && !r; k--) {
        struct learner_step *p = &l->list[k];
        if (!l->values[p->out].gradient || !written[p->out])
            continue;
        for (int i = 0; i < p->in_count; i++) {
            p->add[i] = written[p->in[i]];
            written[p->in[i]] = written[p->in[i]] || l->values[p->in[i]].gradient;
        }
        r = put_backward(d, k, e);
    }
    free(written);
    return r;
}

static void set_chunks(struct learner *l)
{
    for (int s = 0; s < l->segment_count; s++)
        for (int i = l->segments[s].first; i < l->segments[s].last; i++) {
            const struct learner_action *a = &l->actions[i];
            if (a->kind == ACTION_FORWARD)
                l->list[a->step].forward_chunk = l->segments[s].chunk;
            if (a->kind == ACTION_BACKWARD)
                l->list[a->step].backward_chunk = l->segments[s].chunk;
        }
}

enum err_code learner_schedule(struct learner *l, struct err *e)
{
    struct draft d = { .l = l };
    size_t steps = (size_t)l->step_count;
    d.made = malloc(steps * sizeof *d.made);
    d.again = malloc(steps * sizeof *d.again);
    d.summed = malloc(steps * sizeof *d.summed);
    d.depth = calloc((size_t)l->value_count, sizeof *d.depth);
    enum err_code r = ERR_OK;
    if (!d.made || !d.again || !d.summed || !d.depth)
        r = err_set(e, ERR_NOMEM, "no memory for a schedule");
    for (int k = 0; k < l->step_count && !r; k++)
        d.made[k] = d.again[k] = d.summed[k] = -1;
    if (!r)
        r = cut(l, e);
    for (int k = 0; k < l->step_count && !r; k++)
        r = put_forward(&d, k, e);
    if (!r) {
        decide_stored(&d);
        l->loss_segment = now(&d);
        r = put(&d, ACTION_LOSS, -1, e);
    }
    if (!r)
        r = put_backwards(&d, e);
    if (!r)
        set_chunks(l);
    free(d.made);
    free(d.again);
    free(d.summed);
    free(d.depth);
    return r;
}

/* ---- rooms ---- */

struct life {
    int first, last;  /* segments */
    int begins, ends; /* actions of the segment that is looked at; -1: none */
};

static void touch(struct life *x, int segment, int action)
{
    if (x->first < 0)
        x->first = segment;
    x->last = segment;
    if (x->begins < 0)
        x->begins = action;
    x->ends = action;
}

/* data and gradient: [value_count] */
static void touch_action(const struct learner *l, int segment, int action, struct life *data,
                         struct life *gradient)
{
    const struct learner_action *a = &l->actions[action];
    if (a->kind == ACTION_LOSS) {
        touch(&data[l->logits], segment, action);
        touch(&gradient[l->logits], segment, action);
        return;
    }
    const struct learner_step *p = &l->list[a->step];
    bool forward = a->kind == ACTION_FORWARD || a->kind == ACTION_AGAIN;
    bool sums = a->kind == ACTION_STAT || a->kind == ACTION_BACKSTAT;
    bool back = a->kind == ACTION_BACKWARD;
    for (int i = 0; i < p->in_count; i++) {
        if (forward || sums || (p->needs & NEEDS_IN))
            touch(&data[p->in[i]], segment, action);
        if (back && l->values[p->in[i]].gradient)
            touch(&gradient[p->in[i]], segment, action);
    }
    if (forward || (back && (p->needs & NEEDS_OUT)))
        touch(&data[p->out], segment, action);
    if (back || a->kind == ACTION_BACKSTAT)
        touch(&gradient[p->out], segment, action);
}

static size_t round_up(size_t bytes)
{
    return (bytes + DNN_ALIGN - 1) / DNN_ALIGN * DNN_ALIGN;
}

struct rooms {
    struct life *data, *gradient; /* [value_count] */
    struct arena_item *items;
    size_t **places;
    int count;
};

static void add_item(struct rooms *r, size_t bytes, int first, int last, size_t *place)
{
    r->items[r->count] = (struct arena_item){ round_up(bytes), first, last, 0 };
    r->places[r->count++] = place;
}

static enum err_code place_items(struct rooms *r, size_t *ret_bytes, struct err *e)
{
    size_t bytes;
    enum err_code code = arena_place(r->items, r->count, &bytes, e);
    for (int i = 0; i < r->count && !code; i++)
        *r->places[i] = r->items[i].at;
    r->count = 0;
    if (!code && bytes > *ret_bytes)
        *ret_bytes = bytes;
    return code;
}

/* What lives in several segments, and the shards' sums. */
static enum err_code place_arena(struct learner *l, struct rooms *r, struct err *e)
{
    for (int v = 0; v < l->value_count; v++) {
        struct learner_value *x = &l->values[v];
        size_t bytes = x->count * sizeof(float) * (size_t)l->batch;
        x->data_at = x->gradient_at = NOWHERE;
        if (x->stored && r->data[v].first < r->data[v].last)
            add_item(r, bytes, r->data[v].first, r->data[v].last, &x->data_at);
        if (r->gradient[v].first < r->gradient[v].last)
            add_item(r, bytes, r->gradient[v].first, r->gradient[v].last, &x->gradient_at);
    }
    for (int s = 0; s < l->segment_count; s++)
        for (int i = l->segments[s].first; i < l->segments[s].last; i++) {
            if (l->actions[i].kind != ACTION_BACKWARD)
                continue;
            struct learner_step *p = &l->list[l->actions[i].step];
            for (int k = 0; k < p->weight_count; k++)
                if (p->weights[k].sums)
                    add_item(r, p->weights[k].sums * (size_t)l->shards, s, s,
                             &p->weights[k].sums_at);
        }
    return place_items(r, &l->arena_bytes, e);
}

static enum err_code place_scratch(struct learner *l, int s, struct rooms *r, struct err *e)
{
    struct learner_segment *g = &l->segments[s];
    g->data_at = malloc((size_t)l->value_count * sizeof *g->data_at);
    g->gradient_at = malloc((size_t)l->value_count * sizeof *g->gradient_at);
    if (!g->data_at || !g->gradient_at)
        return err_set(e, ERR_NOMEM, "no memory for a segment");
    for (int v = 0; v < l->value_count; v++)
        r->data[v].begins = r->gradient[v].begins = -1;
    for (int i = g->first; i < g->last; i++)
        touch_action(l, s, i, r->data, r->gradient);
    for (int v = 0; v < l->value_count; v++) {
        const struct learner_value *x = &l->values[v];
        size_t bytes = x->count * sizeof(float) * (size_t)g->chunk;
        g->data_at[v] = g->gradient_at[v] = NOWHERE;
        if (r->data[v].begins >= 0 && x->data_at == NOWHERE)
            add_item(r, bytes, r->data[v].begins, r->data[v].ends, &g->data_at[v]);
        if (r->gradient[v].begins >= 0 && x->gradient_at == NOWHERE)
            add_item(r, bytes, r->gradient[v].begins, r->gradient[v].ends, &g->gradient_at[v]);
    }
    return place_items(r, &l->scratch, e);
}

enum err_code learner_place(struct learner *l, struct err *e)
{
    size_t values = (size_t)l->value_count;
    size_t most = values * 2 + (size_t)l->step_count * LEARNER_WEIGHTS_MAX;
    struct rooms r = { .data = malloc(values * sizeof *r.data),
                       .gradient = malloc(values * sizeof *r.gradient),
                       .items = calloc(most, sizeof *r.items),
                       .places = calloc(most, sizeof *r.places) };
    enum err_code code = ERR_OK;
    if (!r.data || !r.gradient || !r.items || !r.places)
        code = err_set(e, ERR_NOMEM, "no memory to place %d values", l->value_count);
    for (size_t v = 0; v < values && !code; v++)
        r.data[v] = r.gradient[v] = (struct life){ -1, -1, -1, -1 };
    for (int s = 0; s < l->segment_count && !code; s++)
        for (int i = l->segments[s].first; i < l->segments[s].last; i++)
            touch_action(l, s, i, r.data, r.gradient);
    if (!code)
        code = place_arena(l, &r, e);
    for (int s = 0; s < l->segment_count && !code; s++)
        code = place_scratch(l, s, &r, e);
    for (int k = 0; k < l->step_count; k++)
        if (l->list[k].scratch > l->step_scratch)
            l->step_scratch = l->list[k].scratch;
    free(r.data);
    free(r.gradient);
    free(r.items);
    free(r.places);
    return code;
}

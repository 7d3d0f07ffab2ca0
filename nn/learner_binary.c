/* Sums, products and the like of two operands, each of which may be broadcast or constant. */
#include "nn/learner_parts.h"

#include <stdlib.h>
#include <string.h>

/* How an operand lies beside the output [inner][channels]. */
enum spread {
    SPREAD_FULL,    /* the same shape */
    SPREAD_CHANNEL, /* [channels] */
    SPREAD_PIXEL,   /* [inner] */
    SPREAD_ONE,
    SPREAD_TABLE /* any other: entry table[i] stands where the output has entry i */
};

struct operand_form {
    enum spread spread;
    int in;          /* index of the step's input; -1: the constant */
    size_t count;    /* entries */
    uint32_t *table; /* owned */
};

struct binary {
    enum learner_binary kind;
    struct operand_form of[2];
};

/* ---- forms ---- */

/* Where entry (row-major over y) of the operand t, aligned to y's last dims, stands in its memory.
 */
static enum err_code make_table(const struct tensor *y, const struct tensor *t, bool constant,
                                const struct learner_value *out, struct operand_form *f,
                                struct err *e)
{
    size_t count = (size_t)tensor_count(y);
    f->table = malloc(count * sizeof *f->table);
    if (!f->table)
        return err_set(e, ERR_NOMEM, "no memory for %zu indices", count);
    struct walk w;
    walk_init(&w, y);
    walk_add(&w, t);
    size_t channels = t->rank > 1 ? (size_t)t->dims[1] : 1, inner = f->count / channels;
    size_t i = 0;
    do {
        size_t from = (size_t)w.at[0];
        if (!constant)
            from = from % inner * channels + from / inner;
        size_t c = i / (size_t)out->inner, r = i % (size_t)out->inner;
        f->table[r * (size_t)out->channels + c] = (uint32_t)from;
        i++;
    } while (walk_next(&w));
    return ERR_OK;
}

/* The size of t's dim that stands beside dim d of y. */
static int64_t beside(const struct tensor *t, const struct tensor *y, int d)
{
    int k = d - (y->rank - t->rank);
    return k < 0 ? 1 : t->dims[k];
}

static enum err_code make_form(const struct tensor *y, const struct tensor *t, bool constant,
                               const struct learner_value *out, struct operand_form *f,
                               struct err *e)
{
    f->count = (size_t)tensor_count(t);
    bool channel = beside(t, y, 1) == y->dims[1], behind = true, none = true;
    for (int d = 2; d < y->rank; d++) {
        behind = behind && beside(t, y, d) == y->dims[d];
        none = none && beside(t, y, d) == 1;
    }
    if (f->count == 1)
        f->spread = SPREAD_ONE;
    else if (channel && none)
        f->spread = SPREAD_CHANNEL;
    else if (channel && behind && !constant)
        f->spread = SPREAD_FULL;
    else if (behind && beside(t, y, 1) == 1)
        f->spread = SPREAD_PIXEL;
    else
        f->spread = SPREAD_TABLE;
    if (f->spread == SPREAD_TABLE)
        return make_table(y, t, constant, out, f, e);
    return ERR_OK;
}

/* ---- rows ---- */

/* A row of an operand of one item: pointer and stride. room: [channels]. */
static const float *row_of(const struct operand_form *f, const float *x, size_t row,
                           size_t channels, float *room, int *ret_stride)
{
    *ret_stride = f->spread == SPREAD_PIXEL || f->spread == SPREAD_ONE ? 0 : 1;
    switch (f->spread) {
    case SPREAD_FULL:
        return x + row * channels;
    case SPREAD_CHANNEL:
    case SPREAD_ONE:
        return x;
    case SPREAD_PIXEL:
        return x + row;
    case SPREAD_TABLE:
        break;
    }
    for (size_t c = 0; c < channels; c++)
        room[c] = x[f->table[row * channels + c]];
    return room;
}

/* d [channels], the gradient of a row, goes to where its operand stands. */
static void put_row(const struct learner *l, const struct operand_form *f, size_t row,
                    size_t channels, const float *d, float *dx)
{
    float sum = 0;
    switch (f->spread) {
    case SPREAD_FULL:
        l->kernels->add(channels, d, dx + row * channels);
        return;
    case SPREAD_CHANNEL:
        l->kernels->add(channels, d, dx);
        return;
    case SPREAD_PIXEL:
    case SPREAD_ONE:
        for (size_t c = 0; c < channels; c++)
            sum += d[c];
        dx[f->spread == SPREAD_PIXEL ? row : 0] += sum;
        return;
    case SPREAD_TABLE:
        for (size_t c = 0; c < channels; c++)
            dx[f->table[row * channels + c]] += d[c];
        return;
    }
}

/* The operand's numbers for the first item of a job, and how far the next item's are. */
static const float *numbers(const struct learner *l, const struct learner_step *p,
                            const struct learner_job *j, const struct operand_form *f,
                            size_t *ret_step)
{
    *ret_step = f->in < 0 ? 0 : f->count;
    return f->in < 0 ? p->weights[0].value : learner_data(l, j, p->in[f->in]);
}

static bool both_full(const struct binary *b)
{
    return b->of[0].spread == SPREAD_FULL && b->of[1].spread == SPREAD_FULL;
}

static enum err_code binary_forward(struct learner *l, const struct learner_step *p,
                                    const struct learner_job *j, struct err *e)
{
    (void)e;
    const struct binary *b = p->state;
    const struct learner_value *v = &l->values[p->out];
    size_t channels = (size_t)v->channels, steps[2];
    const float *x[2];
    for (int i = 0; i < 2; i++)
        x[i] = numbers(l, p, j, &b->of[i], &steps[i]);
    float *y = learner_data(l, j, p->out), *room = (float *)(void *)j->scratch;
    if (both_full(b)) {
        l->kernels->binary(b->kind, (size_t)j->count * v->count, x[0], 1, x[1], 1, y, 0);
        return ERR_OK;
    }
    for (int k = 0; k < j->count; k++, x[0] += steps[0], x[1] += steps[1])
        for (size_t r = 0; r < (size_t)v->inner; r++, y += channels) {
            int sa, sb;
            const float *a = row_of(&b->of[0], x[0], r, channels, room, &sa);
            const float *c = row_of(&b->of[1], x[1], r, channels, room + channels, &sb);
            l->kernels->binary(b->kind, channels, a, sa, c, sb, y, 0);
        }
    return ERR_OK;
}

/* d = dy times the derivative by operand `which`. room: [channels] */
static void slope_row(const struct learner *l, enum learner_binary kind, int which, size_t n,
                      const float *a, int sa, const float *b, int sb, const float *dy, float *room,
                      float *d)
{
    const struct learner_kernels *k = l->kernels;
    switch (kind) {
    case BINARY_ADD:
        k->binary(BINARY_FIRST, n, dy, 1, dy, 1, d, 0);
        return;
    case BINARY_SUB:
        k->binary(which ? BINARY_MINUS : BINARY_FIRST, n, dy, 1, dy, 1, d, 0);
        return;
    case BINARY_MUL:
        k->binary(BINARY_MUL, n, dy, 1, which ? a : b, which ? sa : sb, d, 0);
        return;
    case BINARY_DIV: /* 1/b; -a/b/b */
        k->binary(BINARY_DIV, n, dy, 1, b, sb, which ? room : d, 0);
        if (!which)
            return;
        k->binary(BINARY_DIV, n, room, 1, b, sb, d, 0);
        k->binary(BINARY_MUL, n, d, 1, a, sa, room, 0);
        k->binary(BINARY_MINUS, n, room, 1, room, 1, d, 0);
        return;
    case BINARY_PRELU: /* 1 or b; 0 or a */
        if (which) {
            k->binary(BINARY_NEGATIVE, n, a, sa, a, sa, room, 0);
            k->binary(BINARY_MUL, n, dy, 1, room, 1, d, 0);
            return;
        }
        k->binary(BINARY_STEP, n, a, sa, b, sb, room, 0);
        k->binary(BINARY_MUL, n, dy, 1, room, 1, d, 0);
        return;
    case BINARY_FIRST:
    case BINARY_MINUS:
    case BINARY_STEP:
    case BINARY_NEGATIVE:
        return;
    }
}

/* The gradient of operand `which`; dx [steps or sums], already zero or to be added to. */
static void operand_backward(const struct learner *l, const struct learner_step *p,
                             const struct learner_job *j, int which, float *dx, size_t dx_step)
{
    const struct binary *b = p->state;
    const struct learner_value *v = &l->values[p->out];
    size_t channels = (size_t)v->channels, steps[2] = { 0, 0 };
    bool looks = b->kind != BINARY_ADD && b->kind != BINARY_SUB;
    const float *dy = learner_gradient(l, j, p->out), *x[2] = { dy, dy };
    for (int i = 0; i < 2 && looks; i++)
        x[i] = numbers(l, p, j, &b->of[i], &steps[i]);
    float *room = (float *)(void *)j->scratch, *d = room + 3 * channels;
    for (int k = 0; k < j->count; k++, x[0] += steps[0], x[1] += steps[1], dx += dx_step)
        for (size_t r = 0; r < (size_t)v->inner; r++, dy += channels) {
            int sa = 1, sb = 1;
            const float *a = looks ? row_of(&b->of[0], x[0], r, channels, room, &sa) : dy;
            const float *c =
                looks ? row_of(&b->of[1], x[1], r, channels, room + channels, &sb) : dy;
            slope_row(l, b->kind, which, channels, a, sa, c, sb, dy, room + 2 * channels, d);
            put_row(l, &b->of[which], r, channels, d, dx);
        }
}

static void value_backward(const struct learner *l, const struct learner_step *p,
                           const struct learner_job *j, int which)
{
    const struct binary *b = p->state;
    const struct operand_form *f = &b->of[which];
    size_t all = (size_t)j->count * f->count;
    float *dx = learner_gradient(l, j, p->in[f->in]);
    bool first = b->kind == BINARY_ADD || (b->kind == BINARY_SUB && which == 0);
    if (f->spread == SPREAD_FULL && (first || (b->kind == BINARY_MUL && both_full(b)))) {
        const float *dy = learner_gradient(l, j, p->out);
        const struct operand_form *other = &b->of[!which];
        const float *with = first ? dy : learner_data(l, j, p->in[other->in]);
        l->kernels->binary(first ? BINARY_FIRST : BINARY_MUL, all, dy, 1, with, 1, dx,
                           p->add[f->in]);
        return;
    }
    if (!p->add[f->in])
        memset(dx, 0, all * sizeof *dx);
    operand_backward(l, p, j, which, dx, f->count);
}

static enum err_code binary_backward(struct learner *l, const struct learner_step *p,
                                     const struct learner_job *j, struct err *e)
{
    (void)e;
    const struct binary *b = p->state;
    for (int i = 0; i < 2; i++) {
        if (b->of[i].in >= 0) {
            if (learner_wants(l, p, b->of[i].in))
                value_backward(l, p, j, i);
        } else if (p->weights[0].param >= 0) {
            float *sums = learner_sums(l, &p->weights[0], j->shard);
            if (j->first)
                memset(sums, 0, b->of[i].count * sizeof *sums);
            operand_backward(l, p, j, i, sums, 0);
        }
    }
    return ERR_OK;
}

static enum err_code binary_prepare(struct learner *l, struct learner_step *p, struct err *e)
{
    (void)e;
    if (p->weight_count && p->weights[0].param >= 0) {
        size_t bytes = l->params[p->weights[0].param].count * sizeof(float);
        p->weights[0].sums = (bytes + DNN_ALIGN - 1) / DNN_ALIGN * DNN_ALIGN;
    }
    p->scratch = 4 * (size_t)l->values[p->out].channels * sizeof(float);
    return ERR_OK;
}

static enum err_code binary_combine(struct learner *l, struct learner_step *p,
                                    enum learner_moment m, struct err *e)
{
    (void)e;
    if (m == MOMENT_BACKWARD && p->weight_count && p->weights[0].param >= 0)
        learner_sum_matrix(l, &p->weights[0]);
    return ERR_OK;
}

static void binary_free(const struct learner *l, struct learner_step *p)
{
    (void)l;
    struct binary *b = p->state;
    if (!b)
        return;
    free(b->of[0].table);
    free(b->of[1].table);
    free(b);
}

static enum learner_binary kind_of(enum op_kind kind)
{
    switch (kind) {
    case OP_ADD:
        return BINARY_ADD;
    case OP_SUB:
        return BINARY_SUB;
    case OP_MUL:
        return BINARY_MUL;
    case OP_DIV:
        return BINARY_DIV;
    default:
        return BINARY_PRELU;
    }
}

enum err_code learner_binary_init(struct learner *l, struct learner_step *p,
                                  const struct op_call *c, struct err *e)
{
    static const struct learner_op op = { .prepare = binary_prepare,
                                          .forward = binary_forward,
                                          .backward = binary_backward,
                                          .combine = binary_combine,
                                          .free = binary_free };
    const struct learner_value *out = &l->values[p->out];
    struct binary *b = calloc(1, sizeof *b);
    if (!b)
        return err_set(e, ERR_NOMEM, "no memory for a step");
    p->op = &op;
    p->state = b;
    b->kind = kind_of(c->node->op->kind);
    p->needs = b->kind == BINARY_ADD || b->kind == BINARY_SUB ? 0 : NEEDS_IN;
    p->cheap = true;
    int in = 0;
    for (int i = 0; i < 2; i++) {
        const struct tensor *t = c->in[i];
        b->of[i].in = t->data ? -1 : in++;
        if (tensor_count(t) > UINT32_MAX || (!t->data && t->rank != c->out[0]->rank))
            return op_refuse(c, e, ERR_ONNX_OPERATOR,
                             "training has no backward for it in this form");
        enum err_code r = make_form(c->out[0], t, t->data != NULL, out, &b->of[i], e);
        if (r)
            return r;
        l->extra_bytes += b->of[i].table ? out->count * sizeof(uint32_t) : 0;
    }
    return ERR_OK;
}

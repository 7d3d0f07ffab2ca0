#include "nn/plan_parts.h"

#include "data/base/cleanup.h"
#include "nn/duo.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LANES = 2 };

/* One instruction with the addresses of one scratch. */
struct bound {
    struct dnn_call *call;
    struct dnn_memory **memories; /* owned, [arg_count + 1]; NULL: a parameter's */
    struct tensor *tensors;       /* loop: [arg_count] */
    const struct tensor **in;
    struct tensor **out;
};

/* A memory or tensor that follows the caller's buffers. */
struct outside {
    struct dnn_memory *memory;
    void **data; /* or a tensor's or copy's address */
    int input;   /* -1: the output */
    size_t offset;
};

struct plan_scratch {
    const struct plan *plan;
    uint8_t *arena, *pads[LANES];
    struct duo *duo;     /* NULL: one lane */
    struct err lane_err; /* of lane 1, within a segment */
    enum err_code lane_code;
    struct bound *bound; /* [instr_count] */
    struct outside *outside;
    int outside_count, outside_max;
    struct graph graph; /* for the loops: only its operator set is read */
};

void plan_scratch_free(struct plan_scratch *s)
{
    if (!s)
        return;
    duo_free(s->duo);
    for (int i = 0; s->bound && i < s->plan->instr_count; i++) {
        struct bound *b = &s->bound[i];
        dnn_call_free(b->call);
        for (int k = 0; b->memories && k <= s->plan->instrs[i].arg_count; k++)
            dnn_memory_free(b->memories[k]);
        free(b->memories);
        free(b->tensors);
        free(b->in);
        free(b->out);
    }
    free(s->bound);
    free(s->outside);
    free(s->arena);
    free(s->pads[0]);
    free(s->pads[1]);
    free(s);
}

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for a plan's scratch");
}

static enum err_code follow(struct plan_scratch *s, struct outside o, struct err *e)
{
    if (s->outside_count == s->outside_max) {
        int more = s->outside_max ? s->outside_max * 2 : 8;
        struct outside *grown = realloc(s->outside, (size_t)more * sizeof *grown);
        if (!grown)
            return no_memory(e);
        s->outside = grown;
        s->outside_max = more;
    }
    s->outside[s->outside_count++] = o;
    return ERR_OK;
}

/* Address of an operand, or NULL and the buffer that it is in. */
static void *address(const struct plan_scratch *s, const struct arg *a, struct outside *ret)
{
    const struct plan *p = s->plan;
    struct operand of = a->of;
    *ret = (struct outside){ 0 };
    if (of.value < 0)
        return p->params[of.param].data;
    const struct plan_value *root = &p->values[plan_root(p, of.value, &ret->offset)];
    ret->offset += a->offset;
    if (root->room == ROOM_ARENA)
        return s->arena + root->at + ret->offset;
    ret->input = root->room == ROOM_INPUT ? root->input : -1;
    return NULL;
}

static enum err_code bind_dnn(struct plan_scratch *s, const struct instr *x, struct bound *b,
                              struct err *e)
{
    struct dnn_engine *d = s->plan->engine;
    bool padded = dnn_primitive_scratchpad(x->primitive) > 0;
    enum err_code r = dnn_call_new(d, x->primitive, x->arg_count + padded, &b->call, e);
    for (int k = 0; k < x->arg_count && !r; k++) {
        const struct arg *a = &x->args[k];
        struct outside o;
        void *data = address(s, a, &o);
        struct dnn_memory *m = a->of.value < 0 ? s->plan->params[a->of.param].memory : NULL;
        if (!m) {
            r = dnn_memory_new(d, a->layout, data, &b->memories[k], e);
            m = b->memories[k];
        }
        o.memory = m;
        if (!r && !data)
            r = follow(s, o, e);
        if (!r)
            dnn_call_set(b->call, k, a->role, m);
    }
    if (r || !padded)
        return r;
    struct dnn_layout *layout = dnn_primitive_layout(x->primitive, DNN_SCRATCHPAD);
    if (!layout)
        return no_memory(e);
    r = dnn_memory_new(d, layout, s->pads[x->lane], &b->memories[x->arg_count], e);
    dnn_layout_free(layout);
    if (!r)
        dnn_call_set(b->call, x->arg_count, DNN_SCRATCHPAD, b->memories[x->arg_count]);
    return r;
}

/* Loops and copies: tensors at the operands' addresses. */
static enum err_code bind_loop(struct plan_scratch *s, const struct instr *x, struct bound *b,
                               struct err *e)
{
    size_t count = (size_t)x->arg_count;
    b->tensors = calloc(count + 1, sizeof *b->tensors);
    b->in = calloc(count + 1, sizeof *b->in);
    b->out = calloc(count + 1, sizeof *b->out);
    if (!b->tensors || !b->in || !b->out)
        return no_memory(e);
    enum err_code r = ERR_OK;
    int ins = x->node ? x->node->in_count : 1;
    for (int k = 0; k < x->arg_count && !r; k++) {
        if (x->tensors)
            b->tensors[k] = x->tensors[k];
        bool left_out = x->tensors && x->tensors[k].type == TENSOR_NONE;
        struct outside o;
        if (!left_out) {
            b->tensors[k].data = address(s, &x->args[k], &o);
            o.data = &b->tensors[k].data;
            if (!b->tensors[k].data)
                r = follow(s, o, e);
        }
        if (k < ins)
            b->in[k] = left_out ? NULL : &b->tensors[k];
        else
            b->out[k - ins] = left_out ? NULL : &b->tensors[k];
    }
    return r;
}

static enum err_code bind_all(struct plan_scratch *s, struct err *e)
{
    const struct plan *p = s->plan;
    enum err_code r = ERR_OK;
    for (int i = 0; i < p->instr_count && !r; i++) {
        const struct instr *x = &p->instrs[i];
        struct bound *b = &s->bound[i];
        b->memories = calloc((size_t)x->arg_count + 1, sizeof *b->memories);
        if (!b->memories)
            return no_memory(e);
        r = x->kind == INSTR_DNN ? bind_dnn(s, x, b, e) : bind_loop(s, x, b, e);
    }
    return r;
}

static enum err_code run_instr(const struct plan_scratch *s, int i, struct err *e)
{
    const struct instr *x = &s->plan->instrs[i];
    const struct bound *b = &s->bound[i];
    switch (x->kind) {
    case INSTR_DNN:
        return dnn_call_run(b->call, e);
    case INSTR_COPY:
        memcpy(b->tensors[1].data, b->tensors[0].data, s->plan->values[x->args[1].of.value].bytes);
        return ERR_OK;
    case INSTR_LOOP:
        break;
    }
    struct op_call c = { &s->graph, x->node, b->in, b->out };
    return x->node->op->eval(&c, e);
}

static enum err_code run_lane(const struct plan_scratch *s, int segment, int lane, struct err *e)
{
    const struct plan *p = s->plan;
    enum err_code r = ERR_OK;
    for (int i = p->segments[segment]; i < p->segments[segment + 1] && !r; i++)
        if (p->instrs[i].lane == lane)
            r = run_instr(s, i, e);
    return r;
}

static void run_second_lane(void *context, int segment)
{
    struct plan_scratch *s = context;
    int saved = dnn_thread_enter();
    s->lane_code = run_lane(s, segment, 1, &s->lane_err);
    dnn_thread_leave(saved);
}

static bool has_second_lane(const struct plan *p, int segment)
{
    for (int i = p->segments[segment]; i < p->segments[segment + 1]; i++)
        if (p->instrs[i].lane == 1)
            return true;
    return false;
}

static enum err_code run_segment(struct plan_scratch *s, int segment, struct err *e)
{
    if (!has_second_lane(s->plan, segment))
        return run_lane(s, segment, 0, e);
    duo_offer(s->duo, segment);
    enum err_code r = run_lane(s, segment, 0, e);
    duo_finish(s->duo);
    if (!r && s->lane_code) {
        *e = s->lane_err;
        r = s->lane_code;
    }
    return r;
}

static bool take_pages(uint8_t **ret, size_t bytes)
{
    *ret = weights_pages(bytes + DNN_ALIGN);
    return *ret != NULL;
}

enum err_code plan_scratch_new(const struct plan *p, struct plan_scratch **ret, struct err *e)
{
    struct plan_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return no_memory(e);
    s->plan = p;
    s->graph.opset = p->opset;
    s->bound = calloc((size_t)p->instr_count + 1, sizeof *s->bound);
    enum err_code r = ERR_OK;
    if (!s->bound || !take_pages(&s->arena, p->arena))
        r = no_memory(e);
    for (int k = 0; k < p->threads && !r; k++)
        r = take_pages(&s->pads[k], p->scratchpad) ? ERR_OK : no_memory(e);
    if (!r)
        r = bind_all(s, e);
    if (!r && p->threads == 2)
        r = duo_new(run_second_lane, s, &s->duo, e);
    if (r) {
        plan_scratch_free(s);
        return r;
    }
    *ret = s;
    return ERR_OK;
}

static enum err_code point_outside(const struct plan_scratch *s, const void *const *inputs,
                                   void *output, struct err *e)
{
    enum err_code r = ERR_OK;
    for (int i = 0; i < s->outside_count && !r; i++) {
        const struct outside *o = &s->outside[i];
        uint8_t *base = o->input < 0 ? output : (void *)inputs[o->input];
        if (o->memory)
            r = dnn_memory_point(o->memory, base + o->offset, e);
        else
            *o->data = base + o->offset;
    }
    return r;
}

enum err_code plan_execute(const struct plan *p, struct plan_scratch *s, const void *const *inputs,
                           void *output, struct err *e)
{
    int saved = dnn_thread_enter();
    enum err_code r = point_outside(s, inputs, output, e);
    if (s->duo)
        for (int i = 0; i < p->segment_count && !r; i++)
            r = run_segment(s, i, e);
    else
        for (int i = 0; i < p->instr_count && !r; i++)
            r = run_instr(s, i, e);
    dnn_thread_leave(saved);
    return r;
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

enum err_code plan_execute_timed(const struct plan *p, struct plan_scratch *s,
                                 const void *const *inputs, void *output, double *times,
                                 struct err *e)
{
    int saved = dnn_thread_enter();
    enum err_code r = point_outside(s, inputs, output, e);
    double before = now_us();
    for (int i = 0; i < p->instr_count && !r; i++) {
        r = run_instr(s, i, e);
        double after = now_us();
        times[i] = after - before;
        before = after;
    }
    dnn_thread_leave(saved);
    return r;
}

static void show(const struct plan_scratch *s, int value, const void *const *inputs,
                 const void *output, plan_watch watch, void *context)
{
    const struct plan_value *v = &s->plan->values[value];
    if (value >= s->plan->value_shown || !v->layout || dnn_layout_type(v->layout) != DNN_F32)
        return;
    struct outside o;
    const uint8_t *data = address(s, &(struct arg){ .of = { value, -1 } }, &o);
    if (!data)
        data = (const uint8_t *)(o.input < 0 ? output : inputs[o.input]) + o.offset;
    struct plan_view view = { .value = value,
                              .data = (const void *)data,
                              .count = dnn_layout_bytes(v->layout) / sizeof(float) };
    if (v->shape.rank == 4) {
        view.channels = v->shape.dims[1];
        view.inner = v->shape.dims[2] * v->shape.dims[3];
        view.block =
            dnn_layout_is_channels_last(v->layout) ? view.channels : dnn_layout_block(v->layout);
    }
    watch(context, &view);
}

enum err_code plan_execute_watched(const struct plan *p, struct plan_scratch *s,
                                   const void *const *inputs, void *output, plan_watch watch,
                                   void *context, struct err *e)
{
    int saved = dnn_thread_enter();
    enum err_code r = point_outside(s, inputs, output, e);
    for (int i = 0; i < p->input_count && !r; i++)
        show(s, p->inputs[i], inputs, output, watch, context);
    for (int i = 0; i < p->instr_count && !r; i++) {
        r = run_instr(s, i, e);
        const struct instr *x = &p->instrs[i];
        int ins = x->node ? x->node->in_count : 0;
        for (int k = 0; k < x->arg_count && !r; k++) {
            bool made = x->kind == INSTR_LOOP ? k >= ins : x->args[k].role == DNN_DST;
            if (made && x->args[k].of.value >= 0)
                show(s, x->args[k].of.value, inputs, output, watch, context);
        }
    }
    dnn_thread_leave(saved);
    return r;
}

enum err_code plan_run(const struct plan *p, struct plan_scratch *s, const float *input,
                       float *output, struct err *e)
{
    enum err_code r = ERR_OK;
    for (int i = 0; i < p->repeat && !r; i++) {
        const void *in = input + (size_t)i * p->input_size;
        r = plan_execute(p, s, &in, output + (size_t)i * p->output_size, e);
    }
    return r;
}

#include "nn/plan_parts.h"

#include "data/base/cleanup.h"
#include "data/base/list.h"
#include "nn/split.h"

#include <stdlib.h>
#include <string.h>

CLEANUP_DEFINE(struct dnn_layout, dnn_layout_free);

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory to compile the network");
}

struct dnn_layout *plan_plain(const struct tensor *t)
{
    static const int64_t one = 1;
    return t->rank ? dnn_layout_new(t->rank, t->dims, DNN_PLAIN)
                   : dnn_layout_new(1, &one, DNN_PLAIN);
}

int plan_add_value(struct plan *p, const struct tensor *shape, struct dnn_layout *layout)
{
    if (!list_grow((void **)&p->values, p->value_count, &p->value_max, sizeof *p->values)) {
        dnn_layout_free(layout);
        return -1;
    }
    int v = p->value_count++;
    p->values[v] =
        (struct plan_value){ .shape = *shape,
                             .layout = layout,
                             .parent = v,
                             .bytes = layout ? dnn_layout_bytes(layout) : tensor_bytes(shape),
                             .first = -1,
                             .last = -1,
                             .copy = -1 };
    return v;
}

enum err_code plan_define(struct plan *p, int value, struct dnn_layout *layout, struct err *e)
{
    struct plan_value *v = &p->values[value];
    if (!layout && v->shape.type == TENSOR_F32)
        return no_memory(e);
    dnn_layout_free(v->layout);
    v->layout = layout;
    v->bytes = layout ? dnn_layout_bytes(layout) : tensor_bytes(&v->shape);
    v->parent = value;
    v->uses_left = v->uses;
    v->defined = true;
    return ERR_OK;
}

enum err_code plan_emit(struct plan *p, struct dnn_primitive *primitive, const char *name,
                        struct instr **ret, struct err *e)
{
    if (!list_grow((void **)&p->instrs, p->instr_count, &p->instr_max, sizeof *p->instrs)) {
        dnn_primitive_free(primitive);
        return no_memory(e);
    }
    struct instr *i = &p->instrs[p->instr_count++];
    *i = (struct instr){ .kind = primitive ? INSTR_DNN : INSTR_COPY, .primitive = primitive };
    i->name = strdup(name);
    if (!i->name)
        return no_memory(e);
    size_t scratchpad = primitive ? dnn_primitive_scratchpad(primitive) : 0;
    p->scratchpad = scratchpad > p->scratchpad ? scratchpad : p->scratchpad;
    *ret = i;
    return ERR_OK;
}

enum err_code plan_arg(struct plan *p, struct instr *i, int role, struct operand of,
                       const struct dnn_layout *layout, struct err *e)
{
    struct arg *grown = realloc(i->args, (size_t)(i->arg_count + 1) * sizeof *grown);
    if (!grown)
        return no_memory(e);
    i->args = grown;
    struct arg a = { role, of, layout ? dnn_layout_copy(layout) : NULL, 0 };
    if (layout && !a.layout)
        return no_memory(e);
    i->args[i->arg_count++] = a;
    if (of.value >= 0) {
        int now = (int)(i - p->instrs);
        struct plan_value *v = &p->values[of.value];
        v->first = v->first < 0 ? now : v->first;
        v->last = now;
    }
    return ERR_OK;
}

/* A parameter that stands at data. */
static enum err_code param_new(struct plan *p, void *data, size_t bytes, struct operand *ret,
                               struct err *e)
{
    if (!list_grow((void **)&p->params, p->param_count, &p->param_max, sizeof *p->params))
        return no_memory(e);
    p->param_bytes += (bytes / DNN_ALIGN + 1) * DNN_ALIGN;
    p->params[p->param_count] = (struct param){ data, bytes, NULL };
    *ret = (struct operand){ -1, p->param_count++ };
    return ERR_OK;
}

static enum err_code reorder_now(struct plan *p, const void *data, const struct dnn_layout *from,
                                 const struct dnn_layout *to, struct dnn_memory *into,
                                 struct err *e)
{
    struct dnn_primitive *reorder = NULL;
    struct dnn_memory *source = NULL, *pad_memory = NULL;
    struct dnn_layout *pad_layout = NULL;
    struct dnn_call *call = NULL;
    void *pad = NULL;
    enum err_code r = dnn_reorder_new(p->engine, from, to, NULL, 1, &reorder, e);
    size_t scratchpad = r ? 0 : dnn_primitive_scratchpad(reorder);
    if (!r)
        r = dnn_memory_new(p->engine, from, (void *)data, &source, e);
    if (!r && scratchpad) {
        pad = malloc(scratchpad);
        pad_layout = dnn_primitive_layout(reorder, DNN_SCRATCHPAD);
        r = pad && pad_layout ? dnn_memory_new(p->engine, pad_layout, pad, &pad_memory, e)
                              : no_memory(e);
    }
    if (!r)
        r = dnn_call_new(p->engine, reorder, scratchpad ? 3 : 2, &call, e);
    if (!r) {
        dnn_call_set(call, 0, DNN_SRC, source);
        dnn_call_set(call, 1, DNN_DST, into);
        if (scratchpad)
            dnn_call_set(call, 2, DNN_SCRATCHPAD, pad_memory);
        r = dnn_call_run(call, e);
    }
    dnn_call_free(call);
    dnn_memory_free(source);
    dnn_memory_free(pad_memory);
    dnn_layout_free(pad_layout);
    dnn_primitive_free(reorder);
    free(pad);
    return r;
}

/* Numbers on their way into a layout. */
struct source {
    struct plan *plan;
    const void *data;
    size_t bytes;
    const struct dnn_layout *from, *to; /* the same or NULL: as they are */
};

static enum err_code fill(void *context, void *room, struct err *e)
{
    const struct source *s = context;
    if (!s->to || dnn_layout_same(s->from, s->to)) {
        memcpy(room, s->data, s->bytes);
        return ERR_OK;
    }
    struct dnn_memory *into;
    enum err_code r = dnn_memory_new(s->plan->engine, s->to, room, &into, e);
    if (r)
        return r;
    r = reorder_now(s->plan, s->data, s->from, s->to, into, e);
    dnn_memory_free(into);
    return r;
}

/* Shared by content, so that data may be a buffer that lives for this call only. */
enum err_code plan_param(struct plan *p, const void *data, const struct dnn_layout *from,
                         const struct dnn_layout *to, struct operand *ret, struct err *e)
{
    struct source s = { p, data, dnn_layout_bytes(from), from, to };
    size_t bytes = dnn_layout_bytes(to);
    void *place;
    enum err_code r =
        weights_share(p->weights, data, s.bytes, from, to, bytes, fill, &s, &place, e);
    if (!r)
        r = param_new(p, place, bytes, ret, e);
    return r ? r : dnn_memory_new(p->engine, to, place, &p->params[ret->param].memory, e);
}

/* A constant that only plain loops read, of any type. */
static enum err_code param_plain(struct plan *p, const struct tensor *t, struct operand *ret,
                                 struct err *e)
{
    struct source s = { p, t->data, tensor_bytes(t), NULL, NULL };
    void *place;
    enum err_code r =
        weights_share(p->weights, t->data, s.bytes, NULL, NULL, s.bytes, fill, &s, &place, e);
    return r ? r : param_new(p, place, s.bytes, ret, e);
}

/* What entries are multiplied by on their way from v's layout to want: *ret [*ret_count], owned by
 * the caller; NULL where both are of floats or of integers. */
static enum err_code reorder_scales(const struct plan_value *v, const struct dnn_layout *want,
                                    float **ret, int64_t *ret_count, struct err *e)
{
    bool from_float = dnn_layout_type(v->layout) == DNN_F32;
    bool to_float = dnn_layout_type(want) == DNN_F32;
    const struct quant *q = v->quant;
    *ret = NULL;
    *ret_count = 1;
    if (from_float == to_float)
        return ERR_OK;
    if (!q)
        return err_set(e, ERR_INTERNAL, "integers without a scale");
    *ret_count = q->channels ? v->shape.dims[1] : 1;
    *ret = calloc((size_t)*ret_count, sizeof **ret);
    if (!*ret)
        return no_memory(e);
    for (int64_t c = 0; c < *ret_count; c++) {
        float scale = q->channels ? q->channels[c] : q->scale;
        (*ret)[c] = to_float ? scale : 1 / scale;
    }
    return ERR_OK;
}

/* The scales as one more argument of the last instruction. */
static enum err_code scales_arg(struct plan *p, const float *scales, int64_t count, struct err *e)
{
    CLEANUP(dnn_layout_free_p) struct dnn_layout *l = dnn_layout_new(1, &count, DNN_PLAIN);
    struct operand of;
    enum err_code r = l ? plan_param(p, scales, l, l, &of, e) : no_memory(e);
    return r ? r : plan_arg(p, &p->instrs[p->instr_count - 1], DNN_SRC_SCALE, of, l, e);
}

enum err_code plan_fetch(struct plan *p, int value, const struct dnn_layout *want, bool fresh,
                         struct operand *ret, struct err *e)
{
    const struct plan_value *v = &p->values[value];
    if (v->shape.data && (!want || v->shape.type != TENSOR_F32))
        return param_plain(p, &v->shape, ret, e);
    if (v->shape.data) {
        CLEANUP(dnn_layout_free_p) struct dnn_layout *from = plan_plain(&v->shape);
        return from ? plan_param(p, v->shape.data, from, want, ret, e) : no_memory(e);
    }
    if (!v->layout || (!fresh && dnn_layout_same(v->layout, want))) {
        *ret = (struct operand){ value, -1 };
        return ERR_OK;
    }
    if (!fresh && v->copy >= 0 && dnn_layout_same(p->values[v->copy].layout, want)) {
        *ret = (struct operand){ v->copy, -1 };
        return ERR_OK;
    }
    struct dnn_layout *layout = dnn_layout_copy(want);
    struct tensor shape = v->shape;
    int copy = layout ? plan_add_value(p, &shape, layout) : -1;
    if (copy < 0)
        return no_memory(e);
    p->values[copy].defined = true;
    p->values[copy].quant = p->values[value].quant;
    struct dnn_primitive *reorder;
    struct instr *i;
    CLEANUP(cleanup_free) float *scales = NULL;
    int64_t scale_count;
    enum err_code r = reorder_scales(&p->values[value], want, &scales, &scale_count, e);
    if (!r)
        r = dnn_reorder_new(p->engine, p->values[value].layout, want, scales, scale_count, &reorder,
                            e);
    if (!r)
        r = plan_emit(p, reorder, "reorder", &i, e);
    if (!r)
        r = plan_arg(p, i, DNN_SRC, (struct operand){ value, -1 }, p->values[value].layout, e);
    if (!r)
        r = plan_arg(p, i, DNN_DST, (struct operand){ copy, -1 }, want, e);
    if (!r && scales && dnn_scales_are_arguments())
        r = scales_arg(p, scales, scale_count, e);
    if (!r)
        r = split_reorder(p, e);
    if (r)
        return r;
    if (!fresh)
        p->values[value].copy = copy;
    *ret = (struct operand){ copy, -1 };
    return ERR_OK;
}

static enum err_code add_values(struct plan *p, const struct steps *s, struct err *e)
{
    for (int v = 0; v < s->value_count; v++) {
        if (plan_add_value(p, &s->values[v], NULL) < 0)
            return no_memory(e);
        p->values[v].uses = s->uses[v];
        p->values[v].quant = s->quants[v].scale > 0 ? &s->quants[v] : NULL;
    }
    const struct graph *g = s->frame->graph;
    p->inputs = calloc((size_t)g->input_count + 1, sizeof *p->inputs);
    if (!p->inputs)
        return no_memory(e);
    for (int k = 0; k < g->input_count; k++) {
        int v = g->inputs[k];
        const struct tensor *t = &s->values[v];
        if (t->data)
            continue;
        struct dnn_layout *plain = t->type == TENSOR_F32 ? plan_plain(t) : NULL;
        enum err_code r = plan_define(p, v, plain, e);
        if (r)
            return r;
        p->values[v].room = ROOM_INPUT;
        p->values[v].input = p->input_count;
        p->inputs[p->input_count++] = v;
    }
    return ERR_OK;
}

/* The output's room becomes the caller's buffer when it has that size and order. */
static enum err_code bind_output(struct plan *p, int output, struct err *e)
{
    size_t offset;
    struct plan_value *v = &p->values[output];
    struct plan_value *root = &p->values[plan_root(p, output, &offset)];
    size_t bytes = tensor_bytes(&v->shape);
    CLEANUP(dnn_layout_free_p) struct dnn_layout *plain = plan_plain(&v->shape);
    if (!plain)
        return no_memory(e);
    bool is_float = v->shape.type == TENSOR_F32;
    if (!v->shape.data && root->room == ROOM_ARENA && offset == 0 && root->bytes == bytes &&
        (!is_float || (dnn_layout_is_plain(v->layout) && dnn_layout_type(v->layout) == DNN_F32))) {
        root->room = ROOM_OUTPUT;
        p->output = output;
        return ERR_OK;
    }
    struct operand from;
    struct tensor shape = v->shape;
    enum err_code r = plan_fetch(p, output, is_float ? plain : NULL, false, &from, e);
    if (r)
        return r;
    shape.data = NULL;
    int copy = plan_add_value(p, &shape, NULL);
    if (copy < 0)
        return no_memory(e);
    p->values[copy].room = ROOM_OUTPUT;
    p->values[copy].defined = true;
    p->output = copy;
    struct instr *i;
    r = plan_emit(p, NULL, "output", &i, e);
    if (!r)
        r = plan_arg(p, i, DNN_SRC, from, NULL, e);
    if (!r)
        r = plan_arg(p, i, DNN_DST, (struct operand){ copy, -1 }, NULL, e);
    return r;
}

static void release_inputs(struct plan *p, const struct step *step)
{
    size_t offset;
    for (int k = 0; k < step->in_count; k++)
        if (step->in[k] >= 0)
            p->values[plan_root(p, step->in[k], &offset)].uses_left--;
}

static enum err_code compile_all(struct plan *p, const struct steps *s, struct err *e)
{
    enum err_code r = add_values(p, s, e);
    for (int i = 0; i < s->count && !r; i++) {
        if (s->list[i].dead)
            continue;
        r = plan_compile_step(p, s, &s->list[i], e);
        release_inputs(p, &s->list[i]);
    }
    if (!r)
        r = bind_output(p, s->output, e);
    /* Blocks round channels up; 16 is the widest block. */
    if (!r)
        r = plan_place(p, (size_t)FRAME_BYTES_MAX * 4 * (size_t)s->frame->batch, e);
    if (!r)
        r = plan_segment(p, e);
    for (int v = 0; v < p->value_count; v++) {
        p->values[v].shape.data = NULL;
        p->values[v].quant = NULL;
    }
    return r;
}

enum err_code plan_compile(const struct frame *f, int output, bool pool, int threads,
                           const struct ranges *ranges, struct plan **ret, struct err *e)
{
    struct steps s;
    enum err_code r = steps_new(f, output, pool, &s, e);
    if (r)
        return r;
    struct plan *p = calloc(1, sizeof *p);
    if (!p) {
        steps_fini(&s);
        return no_memory(e);
    }
    p->repeat = 1;
    p->threads = ranges ? 1 : threads; /* split.c cuts rows of floats */
    p->opset = f->graph->opset;
    p->value_shown = f->graph->value_count;
    r = steps_fuse(&s, e);
    if (f->weights)
        p->weights = weights_ref(f->weights);
    else if (!r)
        r = weights_new(&p->weights, e);
    if (!r && ranges)
        r = steps_quantise(&s, ranges, e);
    if (!r)
        r = dnn_engine_new(&p->engine, e);
    if (!r)
        r = compile_all(p, &s, e);
    steps_fini(&s);
    if (r) {
        plan_free(p);
        return r;
    }
    *ret = p;
    return ERR_OK;
}

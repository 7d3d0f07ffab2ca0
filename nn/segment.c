/* Where the two lanes of a plan have to wait for each other: before an instruction that touches
 * what the other lane has written, or writes what it has touched, since they last met. */
#include "nn/plan_parts.h"

#include <stdlib.h>

/* Bytes of one room. */
struct span {
    int space; /* an enum room, and which input */
    size_t begin, end;
    bool written;
};

/* What a lane has touched since the last meeting. */
struct track {
    struct span *spans;
    int count;
};

static bool is_written(const struct instr *i, int arg)
{
    if (i->kind == INSTR_DNN)
        return i->args[arg].role == DNN_DST;
    return arg >= (i->node ? i->node->in_count : 1);
}

static bool span_of(const struct plan *p, const struct instr *i, int arg, struct span *ret)
{
    const struct arg *a = &i->args[arg];
    if (a->of.value < 0)
        return false;
    size_t offset;
    const struct plan_value *root = &p->values[plan_root(p, a->of.value, &offset)];
    size_t begin = (root->room == ROOM_ARENA ? root->at : 0) + offset + a->offset;
    size_t bytes = a->layout ? dnn_layout_bytes(a->layout) : p->values[a->of.value].bytes;
    *ret = (struct span){ (int)root->room * 256 + root->input, begin, begin + bytes,
                          is_written(i, arg) };
    return true;
}

static bool meets(const struct track *t, const struct span *s)
{
    for (int k = 0; k < t->count; k++) {
        const struct span *x = &t->spans[k];
        if (x->space == s->space && (x->written || s->written) && x->begin < s->end &&
            s->begin < x->end)
            return true;
    }
    return false;
}

static bool must_wait(const struct plan *p, const struct instr *i, const struct track *other)
{
    struct span s;
    for (int k = 0; k < i->arg_count; k++)
        if (span_of(p, i, k, &s) && meets(other, &s))
            return true;
    return false;
}

enum err_code plan_segment(struct plan *p, struct err *e)
{
    int most = 1;
    for (int i = 0; i < p->instr_count; i++)
        most += p->instrs[i].arg_count;
    struct track lanes[2] = { { calloc((size_t)most, sizeof(struct span)), 0 },
                              { calloc((size_t)most, sizeof(struct span)), 0 } };
    p->segments = calloc((size_t)p->instr_count + 2, sizeof *p->segments);
    enum err_code r = ERR_OK;
    if (!p->segments || !lanes[0].spans || !lanes[1].spans)
        r = err_set(e, ERR_NOMEM, "no memory for the segments of a plan");
    p->segment_count = 0;
    for (int i = 0; i < p->instr_count && !r; i++) {
        const struct instr *x = &p->instrs[i];
        struct track *own = &lanes[x->lane];
        bool wait = i == 0 || must_wait(p, x, &lanes[!x->lane]);
        /* Not between the halves of one instruction, or they would run one after the other. */
        if (!wait && !x->lane && i + 1 < p->instr_count && p->instrs[i + 1].lane)
            wait = must_wait(p, &p->instrs[i + 1], &lanes[0]);
        if (wait) {
            p->segments[p->segment_count++] = i;
            lanes[0].count = lanes[1].count = 0;
        }
        for (int k = 0; k < x->arg_count; k++)
            if (span_of(p, x, k, &own->spans[own->count]))
                own->count++;
    }
    if (!r)
        p->segments[p->segment_count] = p->instr_count;
    free(lanes[0].spans);
    free(lanes[1].spans);
    return r;
}

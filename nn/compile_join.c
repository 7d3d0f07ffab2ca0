/* Steps with several operands: element by element, and one behind the other. */
#include "nn/compile.h"

#include "data/base/cleanup.h"
#include "nn/split.h"

#include <stdlib.h>
#include <string.h>

/* ---- several operands ---- */

/* The second operand of a binary step under as many dims as the first has. */
static enum err_code fetch_second(struct plan *p, const struct steps *s, const struct step *step,
                                  const struct dnn_layout *like, struct operand *ret,
                                  struct dnn_layout **ret_layout, struct err *e)
{
    const struct tensor *a = &s->values[step->in[0]], *b = &s->values[step->in[1]];
    int64_t dims[TENSOR_RANK_MAX] = { 1 };
    int rank = a->rank > 0 ? a->rank : 1;
    for (int d = 0; d < rank; d++)
        dims[d] = d < rank - b->rank ? 1 : b->dims[d - (rank - b->rank)];
    LAYOUT plain = dnn_layout_new(rank, dims, DNN_PLAIN);
    LAYOUT want = like ? dnn_layout_like(like, dims) : dnn_layout_new(rank, dims, DNN_PLAIN);
    if (!plain || !want)
        return compile_no_memory(e);
    enum err_code r;
    if (b->data)
        r = plan_param(p, b->data, plain, want, ret, e);
    else if (b->rank == a->rank)
        r = plan_fetch(p, step->in[1], want, false, ret, e);
    else
        r = compile_fetch_plain(p, step->in[1], ret, e);
    if (!r)
        *ret_layout = STEAL(want);
    return r;
}

/* oneDNN 2.6 has no code for some broadcasts into blocks: blocks of 8 on AVX-512, where a grouped
 * convolution makes them. *first becomes channels last then. */
static enum err_code leave_slow_blocks(const struct plan *p, const struct step *step,
                                       const struct tensor *a, const struct tensor *b,
                                       struct dnn_layout **first, struct err *e)
{
    if (dnn_layout_block(*first) < BLOCK_MIN || tensor_same_shape(a, b))
        return ERR_OK;
    int64_t dims[TENSOR_RANK_MAX];
    for (int d = 0; d < a->rank; d++)
        dims[d] = d < a->rank - b->rank ? 1 : b->dims[d - (a->rank - b->rank)];
    LAYOUT second = dnn_layout_like(*first, dims);
    struct dnn_posts posts = compile_posts(step, NULL);
    struct dnn_primitive *binary;
    if (!second)
        return compile_no_memory(e);
    enum err_code r =
        dnn_binary_new(p->engine, step->binary, *first, second, *first, &posts, &binary, e);
    if (r)
        return r;
    bool slow = strncmp(dnn_primitive_text(binary), "ref", 3) == 0;
    dnn_primitive_free(binary);
    if (!slow)
        return ERR_OK;
    struct dnn_layout *last = dnn_layout_channels_last(a->rank, a->dims);
    if (!last)
        return compile_no_memory(e);
    dnn_layout_free(*first);
    *first = last;
    return ERR_OK;
}

enum err_code compile_binary(struct plan *p, const struct steps *s, const struct step *step,
                             struct err *e)
{
    const struct tensor *a = &s->values[step->in[0]], *b = &s->values[step->in[1]];
    LAYOUT first = compile_settled(p, step->in[0]);
    LAYOUT second = NULL;
    if (!first)
        return compile_no_memory(e);
    /* Stay on the layout that is there when the second operand can be brought to it: a block of
     * channels cannot be broadcast from one channel. */
    int skip = a->rank - b->rank;
    bool here = a->rank >= 3 && a->rank <= 5 && (b->data || skip == 0);
    if (dnn_layout_block(first) >= BLOCK_MIN)
        here = here && skip <= 1 && b->dims[1 - skip] == a->dims[1];
    else
        here = here && dnn_layout_is_strided(first);
    if (!here) {
        dnn_layout_free(first);
        first = plan_plain(a);
    }
    enum err_code slow = here ? leave_slow_blocks(p, step, a, b, &first, e) : ERR_OK;
    if (slow)
        return slow;
    struct operand x, y;
    struct instr *i;
    struct dnn_primitive *binary;
    struct dnn_posts posts = compile_posts(step, NULL);
    enum err_code r =
        first ? plan_fetch(p, step->in[0], first, false, &x, e) : compile_no_memory(e);
    if (!r)
        r = fetch_second(p, s, step, here ? first : NULL, &y, &second, e);
    if (!r)
        r = dnn_binary_new(p->engine, step->binary, first, second, first, &posts, &binary, e);
    if (!r)
        r = compile_emit(p, s, step, binary, x, first, first, dnn_layout_copy(first), &i, e);
    int role = step->binary == DNN_PRELU ? DNN_WEIGHT : DNN_SRC1;
    return r ? r : plan_arg(p, i, role, y, second, e);
}

/* Inputs may be written straight into the output when they follow one another in memory there. */
static bool concat_in_place(const struct plan *p, const struct steps *s, const struct step *step,
                            struct dnn_layout **ret)
{
    const struct tensor *y = &s->values[step->out];
    if (step->axis > 1 || tensor_span(y, 0, step->axis) != 1 || y->type != TENSOR_F32)
        return false;
    int64_t block = -1;
    for (int k = 0; k < step->in_count; k++) {
        const struct plan_value *v = &p->values[step->in[k]];
        size_t offset;
        if (v->shape.data || plan_root(p, step->in[k], &offset) != step->in[k] ||
            v->room != ROOM_ARENA || !v->layout || dnn_layout_type(v->layout) != DNN_F32)
            return false;
        int64_t here =
            dnn_layout_is_plain(v->layout) && block == 1 ? 1 : dnn_layout_block(v->layout);
        block = block < 0 ? here : block;
        if (!here || here != block || (here > 1 && (step->axis != 1 || v->shape.dims[1] % here)))
            return false;
        for (int j = 0; j < k; j++)
            if (step->in[j] == step->in[k])
                return false;
    }
    *ret = block > 1 ? dnn_layout_like(p->values[step->in[0]].layout, y->dims) : plan_plain(y);
    return *ret && dnn_layout_bytes(*ret) == tensor_bytes(y);
}

/* How input k is read. Gaps are fine where dnn_concat_reads_gaps(), which saves the copy of a
 * Split's part, but for oneDNN 2.6 on AVX2, whose reorder into blocks misses the later pictures of
 * such a source. */
static struct dnn_layout *concat_layout(const struct plan *p, const struct step *step, int k,
                                        bool integers)
{
    bool blocked = false;
    for (int j = 0; j < step->in_count; j++) {
        const struct dnn_layout *l = p->values[step->in[j]].layout;
        blocked = blocked || (l && dnn_layout_block(l) >= BLOCK_MIN);
    }
    LAYOUT l = compile_layout(p, step->in[k]);
    bool as_it_is = integers || (!blocked && l && dnn_layout_is_known(l));
    if (l && !(as_it_is && dnn_concat_reads_gaps())) {
        struct dnn_layout *settled = dnn_layout_settled(l);
        dnn_layout_free(l);
        l = settled;
    }
    if (!l || !integers)
        return STEAL(l);
    return dnn_layout_as(l, dnn_layout_type(p->values[step->in[k]].layout));
}

enum err_code compile_concat(struct plan *p, const struct steps *s, const struct step *step,
                             struct err *e)
{
    LAYOUT there = NULL;
    if (concat_in_place(p, s, step, &there)) {
        enum err_code r = plan_define(p, step->out, STEAL(there), e);
        size_t at = 0;
        for (int k = 0; k < step->in_count && !r; k++) {
            struct plan_value *v = &p->values[step->in[k]];
            v->parent = step->out;
            v->offset = at;
            at += tensor_bytes(&v->shape);
            p->values[step->out].uses_left += v->uses_left;
        }
        return r;
    }
    size_t count = (size_t)step->in_count;
    CLEANUP(cleanup_free) struct dnn_layout **layouts = calloc(count, sizeof *layouts);
    CLEANUP(cleanup_free) struct operand *ins = calloc(count, sizeof *ins);
    if (!layouts || !ins)
        return compile_no_memory(e);
    enum err_code r = ERR_OK;
    bool integers = compile_stays_integer(p, s, step);
    for (size_t k = 0; k < count && !r; k++) {
        layouts[k] = concat_layout(p, step, (int)k, integers);
        r = layouts[k] ? plan_fetch(p, step->in[k], layouts[k], false, &ins[k], e)
                       : compile_no_memory(e);
    }
    const struct tensor *y = &s->values[step->out];
    LAYOUT any =
        compile_any(y, integers ? dnn_layout_type(p->values[step->in[0]].layout) : DNN_F32);
    struct dnn_primitive *concat;
    struct instr *i = NULL;
    if (!r)
        r = any ? dnn_concat_new(p->engine, (const struct dnn_layout *const *)layouts,
                                 step->in_count, step->axis, any, &concat, e)
                : compile_no_memory(e);
    if (!r)
        r = plan_emit(p, concat, compile_name(s, step), &i, e);
    LAYOUT dst = r ? NULL : dnn_primitive_layout(concat, DNN_DST);
    for (size_t k = 0; k < count && !r; k++)
        r = plan_arg(p, i, DNN_SRC_FIRST + (int)k, ins[k], layouts[k], e);
    if (!r)
        r = plan_define(p, step->out, dst ? dnn_layout_copy(dst) : NULL, e);
    if (!r)
        r = plan_arg(p, i, DNN_DST, compile_at(step->out), dst, e);
    if (!r && step->axis == 1)
        r = split_concat(p, e);
    for (size_t k = 0; k < count; k++)
        dnn_layout_free(layouts[k]);
    return r;
}

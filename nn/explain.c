#include "nn/explain.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "nn/plan_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_US = 1000000 };

CLEANUP_DEFINE(struct plan_scratch, plan_scratch_free);

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory to explain a plan");
}

void explain_fini(struct explain *x)
{
    for (int i = 0; i < x->count; i++) {
        free(x->rows[i].name);
        free(x->rows[i].implementation);
    }
    free(x->rows);
    *x = (struct explain){ 0 };
}

static void write_dims(char ret[EXPLAIN_SHAPE], int rank, const int64_t *dims)
{
    size_t at = 0;
    for (int d = 0; d < rank && at < EXPLAIN_SHAPE; d++)
        at += (size_t)snprintf(ret + at, EXPLAIN_SHAPE - at, "%s%" PRId64, d ? "x" : "", dims[d]);
}

static void describe_arg(const struct plan *p, const struct instr *i, int k,
                         struct explain_row *row)
{
    const struct arg *a = &i->args[k];
    bool dnn = i->kind == INSTR_DNN;
    int inputs = i->node ? i->node->in_count : 1;
    bool is_output = dnn ? a->role == DNN_DST : k >= inputs;
    bool is_weight = dnn && a->role == DNN_WEIGHT;
    bool is_input = !is_output && !is_weight && !row->input[0] && a->of.value >= 0;
    char *text = is_output ? row->output : is_weight ? row->weight : is_input ? row->input : NULL;
    if (a->of.value < 0 && a->of.param < 0)
        return; /* left out */
    row->bytes += a->layout         ? dnn_layout_bytes(a->layout)
                  : a->of.value < 0 ? p->params[a->of.param].bytes
                                    : p->values[a->of.value].bytes;
    if (!text || text[0])
        return;
    if (a->layout) {
        int64_t dims[DNN_RANK_MAX];
        int rank = dnn_layout_dims(a->layout, dims);
        write_dims(text, rank, dims);
    } else if (a->of.value >= 0) {
        const struct tensor *t = &p->values[a->of.value].shape;
        write_dims(text, t->rank, t->dims);
    }
}

static enum err_code describe(const struct plan *p, const struct instr *i, struct explain_row *row,
                              struct err *e)
{
    row->primitive = i->kind == INSTR_DNN    ? dnn_primitive_kind(i->primitive)
                     : i->kind == INSTR_LOOP ? "loop"
                                             : "copy";
    row->implementation = strdup(i->kind == INSTR_DNN    ? dnn_primitive_text(i->primitive)
                                 : i->kind == INSTR_LOOP ? i->node->op->name
                                                         : "memcpy");
    row->name = strdup(i->name);
    row->lane = i->lane;
    if (!row->name || !row->implementation)
        return no_memory(e);
    for (int k = 0; k < i->arg_count; k++)
        describe_arg(p, i, k, row);
    return ERR_OK;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* times: [runs][instr_count] -> medians. */
static void take_medians(struct explain *x, const double *times, double *column)
{
    for (int i = 0; i < x->count; i++) {
        for (int k = 0; k < x->runs; k++)
            column[k] = times[(size_t)k * (size_t)x->count + (size_t)i];
        qsort(column, (size_t)x->runs, sizeof *column, by_size);
        x->rows[i].microseconds = column[x->runs / 2];
        x->microseconds += x->rows[i].microseconds;
    }
}

static enum err_code measure(const struct plan *p, int runs, struct explain *x, struct err *e)
{
    CLEANUP(plan_scratch_free_p) struct plan_scratch *scratch = NULL;
    enum err_code r = plan_scratch_new(p, &scratch, e);
    if (r)
        return r;
    size_t count = (size_t)p->instr_count;
    size_t batch =
        (size_t)(p->values[p->inputs[0]].shape.rank ? p->values[p->inputs[0]].shape.dims[0] : 1);
    CLEANUP(cleanup_free) float *input = calloc(p->input_size * batch + 1, sizeof *input);
    CLEANUP(cleanup_free) uint8_t *output = calloc(p->values[p->output].bytes + 1, 1);
    CLEANUP(cleanup_free) double *times = calloc(((size_t)runs + 1) * (count + 1), sizeof *times);
    CLEANUP(cleanup_free) double *column = calloc((size_t)runs + 1, sizeof *column);
    if (!input || !output || !times || !column)
        return no_memory(e);
    const void *in = input;
    int64_t start = clock_monotonic_us();
    /* The first run faults in the pages. */
    r = plan_execute_timed(p, scratch, &in, output, times, e);
    while (!r && x->runs < runs && (!x->runs || clock_monotonic_us() - start < LONGEST_US))
        r = plan_execute_timed(p, scratch, &in, output, times + count * (size_t)x->runs++, e);
    if (!r)
        take_medians(x, times, column);
    return r;
}

enum err_code plan_explain(const struct plan *p, int runs, struct explain *ret, struct err *e)
{
    struct explain x = { .repeat = p->repeat };
    x.rows = calloc((size_t)p->instr_count + 1, sizeof *x.rows);
    if (!x.rows)
        return no_memory(e);
    enum err_code r = ERR_OK;
    for (int i = 0; i < p->instr_count && !r; i++) {
        x.count = i + 1;
        r = describe(p, &p->instrs[i], &x.rows[i], e);
    }
    if (!r)
        r = measure(p, runs < 1 ? 1 : runs, &x, e);
    if (r) {
        explain_fini(&x);
        return r;
    }
    *ret = x;
    return ERR_OK;
}

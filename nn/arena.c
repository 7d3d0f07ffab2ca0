/* Memory planning: the largest room first, each at the lowest place where nothing that lives at the
 * same time stands (Pisarchyk & Lee 2020, "greedy by size"). */
#include "nn/plan_parts.h"

#include <stdlib.h>

int plan_root(const struct plan *p, int value, size_t *ret_offset)
{
    size_t offset = 0;
    while (p->values[value].parent != value) {
        offset += p->values[value].offset;
        value = p->values[value].parent;
    }
    *ret_offset = offset;
    return value;
}

static size_t round_up(size_t n)
{
    return (n + DNN_ALIGN - 1) / DNN_ALIGN * DNN_ALIGN;
}

/* A root lives from the first to the last instruction that touches any value in its room. */
static void spread_lifetimes(struct plan *p)
{
    for (int v = 0; v < p->value_count; v++) {
        size_t offset;
        struct plan_value *from = &p->values[v], *root = &p->values[plan_root(p, v, &offset)];
        if (from->first >= 0 && (root->first < 0 || from->first < root->first))
            root->first = from->first;
        if (from->last > root->last)
            root->last = from->last;
    }
}

struct item {
    struct plan_value *value;
    size_t size;
    int index;
};

static int by_size(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static bool meet(const struct plan_value *a, const struct plan_value *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* placed[] is in order of place. */
static size_t lowest_place(const struct item *placed, int count, const struct item *it)
{
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        if (!meet(placed[i].value, it->value))
            continue;
        if (at + it->size <= placed[i].value->at)
            break;
        size_t end = placed[i].value->at + placed[i].size;
        at = end > at ? end : at;
    }
    return at;
}

enum err_code plan_place(struct plan *p, size_t most, struct err *e)
{
    struct item *items = calloc((size_t)p->value_count + 1, sizeof *items);
    struct item *placed = calloc((size_t)p->value_count + 1, sizeof *placed);
    if (!items || !placed) {
        free(items);
        free(placed);
        return err_set(e, ERR_NOMEM, "no memory to place %d values", p->value_count);
    }
    spread_lifetimes(p);
    int count = 0;
    for (int v = 0; v < p->value_count; v++) {
        struct plan_value *x = &p->values[v];
        if (x->parent == v && x->room == ROOM_ARENA && x->first >= 0)
            items[count++] = (struct item){ x, round_up(x->bytes), v };
    }
    qsort(items, (size_t)count, sizeof *items, by_size);
    p->arena = 0;
    for (int i = 0; i < count; i++) {
        size_t at = lowest_place(placed, i, &items[i]);
        items[i].value->at = at;
        int k = i;
        for (; k > 0 && placed[k - 1].value->at > at; k--)
            placed[k] = placed[k - 1];
        placed[k] = items[i];
        if (at + items[i].size > p->arena)
            p->arena = at + items[i].size;
        if (p->arena > most)
            break;
    }
    free(items);
    free(placed);
    if (p->arena > most)
        return err_set(e, ERR_ONNX_LIMIT, "activations take more than %zu bytes", most);
    return ERR_OK;
}

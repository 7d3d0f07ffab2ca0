/* Where a plan's values stand. */
#include "nn/arena.h"
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

enum err_code plan_place(struct plan *p, size_t most, struct err *e)
{
    struct arena_item *items = calloc((size_t)p->value_count + 1, sizeof *items);
    int *values = calloc((size_t)p->value_count + 1, sizeof *values);
    enum err_code r = items && values
                          ? ERR_OK
                          : err_set(e, ERR_NOMEM, "no memory to place %d values", p->value_count);
    spread_lifetimes(p);
    int count = 0;
    for (int v = 0; v < p->value_count && !r; v++) {
        const struct plan_value *x = &p->values[v];
        if (x->parent != v || x->room != ROOM_ARENA || x->first < 0)
            continue;
        values[count] = v;
        items[count++] = (struct arena_item){ round_up(x->bytes), x->first, x->last, 0 };
    }
    if (!r)
        r = arena_place(items, count, &p->arena, e);
    for (int i = 0; i < count && !r; i++)
        p->values[values[i]].at = items[i].at;
    free(items);
    free(values);
    if (!r && p->arena > most)
        return err_set(e, ERR_ONNX_LIMIT, "activations take more than %zu bytes", most);
    return r;
}

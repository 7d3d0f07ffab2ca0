#include "nn/arena.h"

#include <stdlib.h>

struct placing {
    struct arena_item *item;
    int index;
};

static int by_size(const void *a, const void *b)
{
    const struct placing *x = a, *y = b;
    if (x->item->size != y->item->size)
        return x->item->size > y->item->size ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static bool meet(const struct arena_item *a, const struct arena_item *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* placed[] is in order of place. */
static size_t lowest_place(struct arena_item *const *placed, int count, const struct arena_item *it)
{
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        if (!meet(placed[i], it))
            continue;
        if (at + it->size <= placed[i]->at)
            break;
        size_t end = placed[i]->at + placed[i]->size;
        at = end > at ? end : at;
    }
    return at;
}

enum err_code arena_place(struct arena_item *items, int count, size_t *ret_bytes, struct err *e)
{
    struct placing *order = calloc((size_t)count + 1, sizeof *order);
    struct arena_item **placed = calloc((size_t)count + 1, sizeof *placed);
    if (!order || !placed) {
        free(order);
        free(placed);
        return err_set(e, ERR_NOMEM, "no memory to place %d values", count);
    }
    for (int i = 0; i < count; i++)
        order[i] = (struct placing){ &items[i], i };
    qsort(order, (size_t)count, sizeof *order, by_size);
    size_t bytes = 0;
    for (int i = 0; i < count; i++) {
        struct arena_item *it = order[i].item;
        it->at = lowest_place(placed, i, it);
        int k = i;
        for (; k > 0 && placed[k - 1]->at > it->at; k--)
            placed[k] = placed[k - 1];
        placed[k] = it;
        bytes = it->at + it->size > bytes ? it->at + it->size : bytes;
    }
    free(order);
    free(placed);
    *ret_bytes = bytes;
    return ERR_OK;
}

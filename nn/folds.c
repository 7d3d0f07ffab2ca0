#include "nn/folds.h"

#include "data/base/cleanup.h"
#include "data/random.h"

#include <assert.h>

/* One group: its class, and its rows as a range of an order. */
struct group {
    int class, first, count;
    uint64_t key; /* random: the order within the class */
};

struct row {
    int group, row;
};

static int compare_rows(const void *a, const void *b)
{
    const struct row *p = a, *q = b;
    if (p->group != q->group)
        return p->group < q->group ? -1 : 1;
    return (p->row > q->row) - (p->row < q->row);
}

static int compare_groups(const void *a, const void *b)
{
    const struct group *p = a, *q = b;
    if (p->class != q->class)
        return p->class < q->class ? -1 : 1;
    if (p->key != q->key)
        return p->key < q->key ? -1 : 1;
    return (p->first > q->first) - (p->first < q->first);
}

/* order is sorted by group, then row. */
static int find_groups(const struct row *order, int rows, const int *y, struct group *ret)
{
    int count = 0;
    for (int i = 0; i < rows; i++) {
        if (i > 0 && order[i].group == order[i - 1].group) {
            ret[count - 1].count++;
            continue;
        }
        ret[count++] = (struct group){ .class = y[order[i].row], .first = i, .count = 1 };
    }
    return count;
}

static enum err_code count_smallest(const struct group *groups, int count, int classes,
                                    int *ret_smallest, struct err *e)
{
    CLEANUP(cleanup_free) int *sizes = calloc((size_t)classes, sizeof *sizes);
    if (!sizes)
        return err_set(e, ERR_NOMEM, "no memory for folds");
    for (int i = 0; i < count; i++)
        sizes[groups[i].class]++;
    int smallest = sizes[0];
    for (int c = 0; c < classes; c++) {
        if (sizes[c] < 2)
            return err_set(e, ERR_CLASS_TOO_SMALL, "class %d has %d of the 2 pictures it needs", c,
                           sizes[c]);
        smallest = sizes[c] < smallest ? sizes[c] : smallest;
    }
    *ret_smallest = smallest;
    return ERR_OK;
}

enum err_code folds_deal(const int *y, const int *group, int rows, int classes, int wanted,
                         uint64_t seed, int *ret_fold, int *ret_folds, struct err *e)
{
    CLEANUP(cleanup_free) struct row *order = calloc((size_t)rows + 1, sizeof *order);
    CLEANUP(cleanup_free) struct group *groups = calloc((size_t)rows + 1, sizeof *groups);
    if (!order || !groups)
        return err_set(e, ERR_NOMEM, "no memory for folds");
    for (int i = 0; i < rows; i++)
        order[i] = (struct row){ .group = group ? group[i] : i, .row = i };
    qsort(order, (size_t)rows, sizeof *order, compare_rows);
    int count = find_groups(order, rows, y, groups), smallest = 0;
    enum err_code r = count_smallest(groups, count, classes, &smallest, e);
    if (r)
        return r;
    struct random random = { .state = seed };
    for (int i = 0; i < count; i++)
        groups[i].key = random_next(&random);
    qsort(groups, (size_t)count, sizeof *groups, compare_groups);
    int folds = wanted < smallest ? wanted : smallest;
    assert(folds >= 2); /* count_smallest() refuses less */
    for (int i = 0; i < count; i++)
        for (int j = 0; j < groups[i].count; j++)
            ret_fold[order[groups[i].first + j].row] = i % folds;
    *ret_folds = folds;
    return ERR_OK;
}

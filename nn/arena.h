/* arena.h -- rooms in one block of memory, shared by what does not live at the same time.
 *
 * The largest room first, each at the lowest place where nothing that lives at the same time stands
 * (Pisarchyk & Lee 2020, "greedy by size"). Threads: plain data. */
#ifndef KENNEL_ARENA_H
#define KENNEL_ARENA_H

#include "data/base/err.h"

struct arena_item {
    size_t size;     /* bytes; a multiple of the alignment that is wanted */
    int first, last; /* moments of its life, both included */
    size_t at;       /* set by arena_place() */
};

/* Sets `at` of each; items keep their order. ret_bytes: of the block. ERR_NOMEM. */
enum err_code arena_place(struct arena_item *items, int count, size_t *ret_bytes, struct err *e)
    MUST_USE;

#endif

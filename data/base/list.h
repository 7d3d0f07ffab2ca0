/* list.h -- a list that grows by doubling. Threads: one owner of the list. */
#ifndef KENNEL_LIST_H
#define KENNEL_LIST_H

#include "data/base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Makes *list, which has room for *max entries of that size and holds count, fit one more. Without
 * memory false, and the list is as it was. */
bool list_grow(void **list, int count, int *max, size_t size) MUST_USE;

#endif

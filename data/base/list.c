#include "data/base/list.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

enum { FIRST = 64 };

bool list_grow(void **list, int count, int *max, size_t size)
{
    if (count < *max)
        return true;
    if (*max > INT_MAX / 2)
        return false;
    int more = *max ? *max * 2 : FIRST;
    if (size > SIZE_MAX / (size_t)more)
        return false;
    void *grown = realloc(*list, (size_t)more * size);
    if (!grown)
        return false;
    *list = grown;
    *max = more;
    return true;
}

/* cleanup.h -- scope-bound release of what a function owns.
 *
 * CLEANUP(fn) on a local calls fn(&local) when the scope ends; STEAL(local)
 * hands the value on and leaves NULL behind, on the last line of a constructor.
 * CLEANUP_DEFINE(type, free_fn) makes the pointer-to-pointer form of a _free(). */
#ifndef KENNEL_CLEANUP_H
#define KENNEL_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

#define STEAL(p)                                                                                   \
    __extension__({                                                                                \
        __typeof__(p) steal_ = (p);                                                                \
        (p) = NULL;                                                                                \
        steal_;                                                                                    \
    })

#define CLEANUP_DEFINE(type, free_fn)                                                              \
    static inline void free_fn##_p(type **p)                                                       \
    {                                                                                              \
        if (*p)                                                                                    \
            free_fn(*p);                                                                           \
    }                                                                                              \
    struct cleanup_semicolon_

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

/* For `int fd = -1;` locals. */
static inline void cleanup_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_file(FILE **f)
{
    if (*f)
        fclose(*f);
}

#endif

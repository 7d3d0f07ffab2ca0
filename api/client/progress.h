/* progress.h -- how far a long work is, on standard error: a bar that redraws itself on a terminal,
 * a plain line now and then elsewhere. Standard output stays clean. */
#ifndef KENNEL_CLIENT_PROGRESS_H
#define KENNEL_CLIENT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool terminal;
    bool dirty; /* a line stands on the terminal without its end */
    char phase[32];
    int64_t began_us; /* of the phase */
    int64_t shown_us;
    int64_t first_done; /* when the phase was first seen */
};

void progress_init(struct progress *p);
/* done of total things; total 0: not known. NULL p is fine. */
void progress_show(struct progress *p, const char *phase, int64_t done, int64_t total);
/* The same in bytes. */
void progress_bytes(struct progress *p, const char *phase, int64_t done, int64_t total);
/* Clears the bar, so that the next line begins at the left. NULL is fine. */
void progress_end(struct progress *p);

#endif

/* follow_report.h -- the thread that tells the trainer what lies in a follower's spool.
 *
 * It sends when something was put there, and every FOLLOW_REPORT_SECONDS so that the trainer knows
 * of the follower; what is acknowledged goes. Without an answer it tries again after 0.25 s to 15
 * s, with jitter. Threads: follow_report_new() and _free() one. */
#ifndef KENNEL_FOLLOW_REPORT_H
#define KENNEL_FOLLOW_REPORT_H

#include "daemon/follow_link.h"
#include "daemon/state.h"

struct follow_report;

enum { FOLLOW_REPORT_SECONDS = 10 };

struct follow_report_parts {
    struct state *state; /* borrowed */
    /* The tag of what is served, "" when it is not the trainer's whole. Any thread. */
    void (*tag)(void *context, char ret[DIGEST_HEX + 1]);
    void *context;
    const char *program; /* static: its version */
};

enum err_code follow_report_new(const struct follow_options *o, const struct follow_report_parts *p,
                                struct follow_report **ret, struct err *e) MUST_USE;
/* What is left waits on the disk. NULL is fine. */
void follow_report_free(struct follow_report *r);

#endif

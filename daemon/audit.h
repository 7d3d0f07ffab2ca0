/* audit.h -- the log of every change: who, what, when, before and after.
 *
 * Lines are written by db_audit() in the transaction of the change and never altered.
 * Threads: any. */
#ifndef KENNEL_AUDIT_H
#define KENNEL_AUDIT_H

#include "daemon/state.h"

#include <jansson.h>

struct audit_query {
    const char *subject, *who, *what; /* equal to; NULL: any */
    int64_t before;                   /* lines older than the one with this id; 0: the newest */
    int64_t limit;
};

/* Newest first: [{"id", "at", "who", "what", "subject", "before", "after"}...]. */
enum err_code audit_list(struct state *s, const struct audit_query *q, json_t **ret, struct err *e)
    MUST_USE;

/* A line for what changes no row: a backup, a model that is unloaded. after: borrowed, may be
 * NULL. */
enum err_code audit_add(struct state *s, const char *who, const char *what, const char *subject,
                        const json_t *after, struct err *e) MUST_USE;

#endif

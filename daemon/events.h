/* events.h -- the log of what happened, for those who follow it: streams, webhooks, schedules.
 *
 * An event is written in the transaction of its change, so it is there exactly when the change is;
 * its number rises in the order of commits. Who has read up to a number asks for what came behind
 * it and so misses nothing, also over a restart. A commit with an event rings the database's
 * bell (daemon/db.h). The log keeps EVENTS_MAX events of the last EVENTS_DAYS days.
 * Threads: any; event_add() the transaction's. */
#ifndef KENNEL_EVENTS_H
#define KENNEL_EVENTS_H

#include "daemon/db.h"
#include "daemon/state.h"

enum { EVENTS_MAX = 100000, EVENTS_DAYS = 30, EVENT_PATTERN_MAX = 64, EVENT_PATTERNS_TEXT = 512 };

/* One more event. type: one of events.c's table; subject: "job/ID", "model/NAME". data (an object,
 * borrowed): what happened; its members "model" and "job", when they are texts, are what can be
 * filtered by. */
enum err_code event_add(struct db_tx *t, const char *type, const char *subject, const json_t *data,
                        struct err *e) MUST_USE;

/* A row; the texts are borrowed until the next one. */
struct event {
    int64_t id, at_ms;
    const char *type, *subject, *model, *data; /* model: NULL when it is about none; data: JSON */
};

/* NULL members let everything pass; at most one of model and job. */
struct event_filter {
    const char *model, *job;
    const char *types; /* patterns, as events_check_patterns() wants them */
};

/* Hands out what came behind event `after`, in order, at most limit rows of those that model and
 * job let pass. *ret_last: the number of the last row looked at (also when types kept it back), or
 * `after`. *ret_more: the limit was reached. An error of fn ends it and is returned. */
typedef enum err_code (*event_visit)(void *context, const struct event *event, struct err *e);
enum err_code events_read(struct db_tx *t, const struct event_filter *filter, int64_t after,
                          int limit, event_visit fn, void *context, int64_t *ret_last,
                          bool *ret_more, struct err *e) MUST_USE;

/* The numbers of the first and the last event; both 0 in an empty log. */
enum err_code events_bounds(struct db_tx *t, int64_t *ret_first, int64_t *ret_last, struct err *e)
    MUST_USE;

/* The number of the last event; 0 in an empty log. */
enum err_code events_latest(struct state *s, int64_t *ret, struct err *e) MUST_USE;

/* Patterns with commas between: "*", a type ("job.failed") or all of a kind ("job.*").
 * ERR_FIELD_RANGE for one that can fit no type there is. */
enum err_code events_check_patterns(const char *patterns, struct err *e) MUST_USE;
bool event_type_matches(const char *patterns, const char *type);

#endif

#include "daemon/events.h"

#include "data/base/clock.h"

#include <string.h>

static const char *const types[] = {
    "job.queued",       "job.started",      "job.succeeded",     "job.rejected",
    "job.failed",       "job.cancelled",    "version.created",   "gate.decided",
    "alias.changed",    "dataset.changed",  "rollout.started",   "rollout.step",
    "rollout.waiting",  "rollout.approved", "rollout.completed", "rollout.rolled_back",
    "rollout.rejected", "rollout.aborted",
};

static bool is_type(const char *type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i], type) == 0)
            return true;
    return false;
}

static const char *text_member(const json_t *data, const char *name)
{
    return json_string_value(json_object_get(data, name));
}

/* In the transaction of each event, so that it always is one row or none that goes. */
static enum err_code forget_oldest(struct db_tx *t, int64_t now, struct err *e)
{
    enum err_code r = db_exec(t, e, "DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?",
                              DB_INT(EVENTS_MAX));
    return r ? r
             : db_exec(t, e, "DELETE FROM event WHERE at_ms < ?",
                       DB_INT(now - EVENTS_DAYS * INT64_C(86400000)));
}

enum err_code event_add(struct db_tx *t, const char *type, const char *subject, const json_t *data,
                        struct err *e)
{
    if (!is_type(type))
        return err_set(e, ERR_INTERNAL, "there is no event type \"%s\"", type);
    CLEANUP(cleanup_free) char *text = NULL;
    int64_t now = clock_utc_ms();
    enum err_code r = db_json_column(data, &text, e);
    if (!r)
        r = db_exec(t, e,
                    "INSERT INTO event (at_ms, type, subject, model, job, data) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    DB_INT(now), DB_TEXT(type), DB_TEXT(subject),
                    DB_TEXT(text_member(data, "model")), DB_TEXT(text_member(data, "job")),
                    DB_TEXT(text));
    if (!r)
        r = forget_oldest(t, now, e);
    db_announce(t);
    return r;
}

/* --- reading ---------------------------------------------------------------------------------- */

#define SELECT_EVENT "SELECT id, at_ms, type, subject, data, model FROM event WHERE "

static enum err_code query(struct db_tx *t, const struct event_filter *filter, int64_t after,
                           int limit, struct db_rows **ret, struct err *e)
{
    if (filter->job)
        return db_query(t, ret, e, SELECT_EVENT "job = ? AND id > ? ORDER BY id LIMIT ?",
                        DB_TEXT(filter->job), DB_INT(after), DB_INT(limit));
    if (filter->model)
        return db_query(t, ret, e, SELECT_EVENT "model = ? AND id > ? ORDER BY id LIMIT ?",
                        DB_TEXT(filter->model), DB_INT(after), DB_INT(limit));
    return db_query(t, ret, e, SELECT_EVENT "id > ? ORDER BY id LIMIT ?", DB_INT(after),
                    DB_INT(limit));
}

enum err_code events_read(struct db_tx *t, const struct event_filter *filter, int64_t after,
                          int limit, event_visit fn, void *context, int64_t *ret_last,
                          bool *ret_more, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = query(t, filter, after, limit, &rows, e);
    bool more = false;
    int count = 0;
    int64_t last = after;
    while (!r && !(r = db_next(rows, &more, e)) && more) {
        const struct event event = { .id = db_int(rows, 0),
                                     .at_ms = db_int(rows, 1),
                                     .type = db_text(rows, 2),
                                     .subject = db_text(rows, 3),
                                     .data = db_text(rows, 4),
                                     .model = db_text(rows, 5) };
        if (!filter->types || event_type_matches(filter->types, event.type))
            r = fn(context, &event, e);
        last = event.id;
        count++;
    }
    if (r)
        return r;
    *ret_last = last;
    *ret_more = count == limit;
    return ERR_OK;
}

enum err_code events_bounds(struct db_tx *t, int64_t *ret_first, int64_t *ret_last, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e,
                             "SELECT (SELECT coalesce(min(id), 0) FROM event), "
                             "(SELECT coalesce(max(id), 0) FROM event)");
    if (r)
        return r;
    *ret_first = db_int(row, 0);
    *ret_last = db_int(row, 1);
    return ERR_OK;
}

enum err_code events_latest(struct state *s, int64_t *ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    int64_t first = 0;
    enum err_code r = db_read(state_db(s), &t, e);
    return r ? r : events_bounds(t, &first, ret, e);
}

/* --- patterns --------------------------------------------------------------------------------- */

static bool pattern_matches(const char *pattern, size_t len, const char *type)
{
    if (len == 1 && pattern[0] == '*')
        return true;
    bool kind = len > 2 && memcmp(pattern + len - 2, ".*", 2) == 0;
    if (kind)
        return strncmp(pattern, type, len - 1) == 0;
    return strlen(type) == len && memcmp(pattern, type, len) == 0;
}

bool event_type_matches(const char *patterns, const char *type)
{
    for (const char *at = patterns;; at++) {
        size_t len = strcspn(at, ",");
        if (pattern_matches(at, len, type))
            return true;
        at += len;
        if (!*at)
            return false;
    }
}

static bool matches_any(const char *pattern, size_t len)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (pattern_matches(pattern, len, types[i]))
            return true;
    return false;
}

enum err_code events_check_patterns(const char *patterns, struct err *e)
{
    if (strlen(patterns) > EVENT_PATTERNS_TEXT)
        return err_set(e, ERR_FIELD_RANGE,
                       "the types of events have %zu bytes, at most %d are taken", strlen(patterns),
                       EVENT_PATTERNS_TEXT);
    for (const char *at = patterns;; at++) {
        size_t len = strcspn(at, ",");
        if (!matches_any(at, len))
            return err_set(
                e, ERR_FIELD_RANGE,
                "\"%.*s\" is no type of event: a type as job.failed, a kind as job.*, or "
                "* for all",
                (int)(len < EVENT_PATTERN_MAX ? len : EVENT_PATTERN_MAX), at);
        at += len;
        if (!*at)
            return ERR_OK;
    }
}

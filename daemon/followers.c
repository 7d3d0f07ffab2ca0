#include "daemon/followers.h"

#include "daemon/db.h"
#include "daemon/traffic.h"
#include "data/base/clock.h"
#include "data/base/json.h"

#include <string.h>

#define DAY_MS INT64_C(86400000)
enum { HERE_MS = 60000, ID_MAX = 64 };

struct report {
    const struct followers_parts *parts;
    const char *id, *who, *name, *program, *catalog;
    int64_t spooled;
    const json_t *batches;

    int64_t last_seq; /* had before; then what is had now */
    int64_t refused;
    json_t *taken; /* items, owned: the analysis is told of them once they are committed */
    struct prediction_told *told; /* owned, of its feedback */
    size_t told_count;
};

static void report_fini(struct report *r)
{
    json_decref(r->taken);
    free(r->told);
}

/* -- items ---------------------------------------------------------------------------------------
 */

/* NULL when it is missing, or longer than max bytes. */
static const char *text(const json_t *item, const char *name, size_t max)
{
    const json_t *value = json_object_get(item, name);
    return json_is_string(value) && json_string_length(value) <= max ? json_string_value(value)
                                                                     : NULL;
}

static int64_t number(const json_t *item, const char *name)
{
    return json_integer_value(json_object_get(item, name));
}

static const char *id_of(const json_t *item)
{
    const char *id = text(item, "id", ID_MAX);
    return id && id[0] ? id : NULL;
}

static bool read_side(const json_t *side, struct traffic_side *ret)
{
    const char *code = text(side, "code", 64), *label = text(side, "label", LABEL_MAX);
    *ret = (struct traffic_side){ .version = number(side, "version"), .us = number(side, "us") };
    if (!code || !label || ret->version < 1 || ret->us < 0)
        return false;
    ret->code = err_from_slug(code);
    snprintf(ret->label, sizeof ret->label, "%s", label);
    return true;
}

static bool read_seen(const json_t *item, struct traffic_seen *ret)
{
    const char *id = text(item, "id", ID_MAX);
    *ret = (struct traffic_seen){ .rollout = number(item, "rollout") };
    if (!id || ret->rollout < 1 || !read_side(json_object_get(item, "first"), &ret->first))
        return false;
    snprintf(ret->id, sizeof ret->id, "%s", id);
    const json_t *second = json_object_get(item, "second");
    return !second || read_side(second, &ret->second);
}

static enum err_code tell(struct report *r, struct db_tx *t, const char *id, const char *label,
                          const char *who, struct err *e)
{
    CLEANUP(json_decref_p) json_t *shown = NULL;
    struct prediction_told *longer = reallocarray(r->told, r->told_count + 1, sizeof *longer);
    if (!longer)
        return err_set(e, ERR_NOMEM, "no memory for a feedback");
    r->told = longer;
    enum err_code code = prediction_rows_tell(t, id, label, who, &shown, &longer[r->told_count], e);
    r->told_count += !code;
    return code;
}

static enum err_code take_waiting(struct report *r, struct db_tx *t, const char *id, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code code =
        db_get(t, &row, e, "SELECT label, who FROM feedback_waiting WHERE id = ?", DB_TEXT(id));
    if (code || !row)
        return code;
    code = tell(r, t, id, db_text(row, 0), db_text(row, 1), e);
    if (code && code != ERR_PREDICTION_UNKNOWN)
        return code;
    return code ? ERR_OK : db_exec(t, e, "DELETE FROM feedback_waiting WHERE id = ?", DB_TEXT(id));
}

static enum err_code take_answer(struct report *r, struct db_tx *t, const json_t *item,
                                 struct err *e)
{
    const struct prediction_row row = { .id = id_of(item),
                                        .model = text(item, "model", ID_MAX),
                                        .label = text(item, "label", LABEL_MAX),
                                        .version = number(item, "version"),
                                        .at_ms = number(item, "at_ms"),
                                        .probability = json_number_value(
                                            json_object_get(item, "probability")) };
    if (!row.id || !row.model || !row.label)
        return err_set(e, ERR_FIELD_MISSING, "an answer that is none");
    enum err_code code = prediction_rows_add(t, &row, e);
    return code ? code : take_waiting(r, t, row.id, e);
}

static enum err_code take_feedback(struct report *r, struct db_tx *t, const json_t *item,
                                   struct err *e)
{
    const char *id = id_of(item), *label = text(item, "label", LABEL_MAX),
               *who = text(item, "who", ID_MAX);
    if (!id || !label || !who)
        return err_set(e, ERR_FIELD_MISSING, "a feedback that is none");
    enum err_code code = tell(r, t, id, label, who, e);
    if (code != ERR_PREDICTION_UNKNOWN)
        return code;
    return db_exec(t, e,
                   "INSERT OR REPLACE INTO feedback_waiting (id, label, who, at_ms) "
                   "VALUES (?, ?, ?, ?)",
                   DB_TEXT(id), DB_TEXT(label), DB_TEXT(who), DB_INT(clock_utc_ms()));
}

static enum err_code take_seen(struct report *r, struct db_tx *t, const json_t *item, struct err *e)
{
    struct traffic_seen seen;
    if (!read_seen(item, &seen))
        return err_set(e, ERR_FIELD_MISSING, "a sight that is none");
    if (json_array_append(r->taken, (json_t *)(uintptr_t)item) < 0)
        return err_set(e, ERR_NOMEM, "no memory for a report");
    if (!seen.second.version || !seen.id[0] || seen.first.code || seen.second.code)
        return ERR_OK;
    return prediction_rows_other(t, seen.id, seen.second.version, seen.second.label, e);
}

static enum err_code take_item(struct report *r, struct db_tx *t, const json_t *item, struct err *e)
{
    static const struct {
        const char *what;
        enum err_code (*take)(struct report *, struct db_tx *, const json_t *, struct err *);
    } kinds[] = {
        { "answer", take_answer },
        { "seen", take_seen },
        { "feedback", take_feedback },
    };
    const char *what = text(item, "what", ID_MAX);
    for (size_t i = 0; what && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(what, kinds[i].what) == 0)
            return kinds[i].take(r, t, item, e);
    return err_set(e, ERR_FIELD_UNKNOWN, "an item of no known kind");
}

/* -- a report ------------------------------------------------------------------------------------
 */

static enum err_code take_batches(struct report *r, struct db_tx *t, struct err *e)
{
    size_t i, n;
    json_t *batch, *item;
    json_array_foreach (r->batches, i, batch) {
        int64_t seq = number(batch, "seq");
        if (seq <= r->last_seq)
            continue;
        json_array_foreach (json_object_get(batch, "items"), n, item) {
            enum err_code code = take_item(r, t, item, e);
            if (code && err_is_fault(code))
                return code;
            r->refused += code != ERR_OK;
        }
        r->last_seq = seq;
    }
    return ERR_OK;
}

static enum err_code read_last(struct report *r, struct db_tx *t, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code code =
        db_get(t, &row, e, "SELECT last_seq FROM follower WHERE id = ?", DB_TEXT(r->id));
    if (!code)
        r->last_seq = row ? db_int(row, 0) : 0;
    return code;
}

static enum err_code trim(struct db_tx *t, int64_t now, struct err *e)
{
    enum err_code code = prediction_rows_trim(t, e);
    if (!code)
        code = db_exec(t, e,
                       "DELETE FROM feedback_waiting WHERE at_ms < ? OR at_ms < "
                       "(SELECT at_ms FROM feedback_waiting ORDER BY at_ms DESC LIMIT 1 OFFSET ?)",
                       DB_INT(now - FEEDBACK_WAITING_DAYS * DAY_MS), DB_INT(FEEDBACK_WAITING_MAX));
    return code ? code
                : db_exec(t, e, "DELETE FROM follower WHERE seen_ms < ?",
                          DB_INT(now - FOLLOWER_KEPT_DAYS * DAY_MS));
}

static enum err_code take_report(void *context, struct db_tx *t, struct err *e)
{
    struct report *r = context;
    int64_t now = clock_utc_ms();
    enum err_code code = read_last(r, t, e);
    if (!code)
        code = take_batches(r, t, e);
    if (!code)
        code = db_exec(t, e,
                       "INSERT OR REPLACE INTO follower (id, name, program, catalog, spooled, "
                       "last_seq, who, seen_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                       DB_TEXT(r->id), DB_TEXT(r->name), DB_TEXT(r->program), DB_TEXT(r->catalog),
                       DB_INT(r->spooled), DB_INT(r->last_seq), DB_TEXT(r->who), DB_INT(now));
    return code ? code : trim(t, now, e);
}

/* Its counts are in memory: what is committed and not counted when the daemon dies is of a step
 * that begins anew. */
static void tell_analysis(const struct report *r)
{
    size_t i;
    json_t *item;
    json_array_foreach (r->taken, i, item) {
        struct traffic_seen seen;
        if (read_seen(item, &seen))
            rollouts_seen(r->parts->rollouts, &seen);
    }
    for (i = 0; i < r->told_count; i++)
        rollouts_told(r->parts->rollouts, &r->told[i]);
}

enum err_code followers_report(const struct followers_parts *p, const char *id, const json_t *body,
                               const char *who, json_t **ret, struct err *e)
{
    CLEANUP(report_fini)
    struct report r = { .parts = p, .id = id, .who = who, .taken = json_array() };
    json_t *batches = NULL;
    const struct json_field fields[] = {
        { "name", JSON_KIND_STRING, true, &r.name, 1, 255 },
        { "program", JSON_KIND_STRING, true, &r.program, 1, 64 },
        { "catalog", JSON_KIND_STRING, false, &r.catalog, DIGEST_HEX, DIGEST_HEX },
        { "spooled", JSON_KIND_INT, true, &r.spooled, 0, 9e15 },
        { "batches", JSON_KIND_ARRAY, true, &batches, 0, 0 },
    };
    if (!r.taken)
        return err_set(e, ERR_NOMEM, "no memory for a report");
    if (!id[0] || strlen(id) > ID_MAX)
        return err_set(e, ERR_FIELD_RANGE, "a follower's id has 1 to %d bytes", ID_MAX);
    enum err_code code = json_take(body, "the report", fields, sizeof fields / sizeof *fields, e);
    if (code)
        return code;
    r.batches = batches;
    code = predictions_after(p->predictions, take_report, &r, e);
    if (code)
        return code;
    tell_analysis(&r);
    *ret = json_pack("{s:I, s:I}", "acknowledged", (json_int_t)r.last_seq, "refused",
                     (json_int_t)r.refused);
    return *ret ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for a report");
}

/* -- who they are --------------------------------------------------------------------------------
 */

static json_t *follower_json(struct db_rows *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", db_json_text(row, 0), "name",
                     db_json_text(row, 1), "program", db_json_text(row, 2), "catalog",
                     db_json_text(row, 3), "spooled", db_json_int(row, 4), "key",
                     db_json_text(row, 5), "seen", db_json_time(row, 6));
}

enum err_code followers_list(struct state *s, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_query(t, &rows, e,
                     "SELECT id, name, program, catalog, spooled, who, seen_ms FROM follower "
                     "ORDER BY seen_ms DESC, id");
    return r ? r : db_json_list(rows, follower_json, ret, e);
}

enum err_code followers_look(struct state *s, struct followers_figures *ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_get(t, &row, e,
                   "SELECT count(*) FILTER (WHERE seen_ms >= ?1), "
                   "count(*) FILTER (WHERE seen_ms < ?1), "
                   "(SELECT count(*) FROM feedback_waiting) FROM follower",
                   DB_INT(clock_utc_ms() - HERE_MS));
    if (!r)
        *ret = (struct followers_figures){ .here = db_int(row, 0),
                                           .away = db_int(row, 1),
                                           .waiting = db_int(row, 2) };
    return r;
}

#include "daemon/audit.h"

#include "daemon/db.h"

static json_t *line_json(struct db_rows *row)
{
    json_t *before = NULL, *after = NULL;
    if (db_json(row, 5, &before, NULL) || db_json(row, 6, &after, NULL)) {
        json_decref(before);
        return NULL;
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", db_json_int(row, 0), "at",
                     db_json_time(row, 1), "who", db_json_text(row, 2), "what",
                     db_json_text(row, 3), "subject", db_json_text(row, 4), "before", before,
                     "after", after);
}

enum err_code audit_list(struct state *s, const struct audit_query *q, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_query(t, &rows, e,
                     "SELECT id, at_ms, who, what, subject, before, after FROM audit"
                     " WHERE (?1 IS NULL OR subject = ?1) AND (?2 IS NULL OR who = ?2)"
                     " AND (?3 IS NULL OR what = ?3) AND (?4 IS NULL OR id < ?4)"
                     " ORDER BY id DESC LIMIT ?5",
                     DB_TEXT(q->subject), DB_TEXT(q->who), DB_TEXT(q->what),
                     DB_INT_OR_NULL(q->before), DB_INT(q->limit));
    return r ? r : db_json_list(rows, line_json, ret, e);
}

enum err_code audit_add(struct state *s, const char *who, const char *what, const char *subject,
                        const json_t *after, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = db_audit(t, who, what, subject, NULL, after, e);
    return r ? r : db_commit(&t, e);
}

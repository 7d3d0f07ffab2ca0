/* The part of db.h between columns and JSON, and the audit log: it stands on the rest of db.h. */
#include "daemon/db.h"

#include "data/base/clock.h"
#include "data/base/json.h"

enum err_code db_json(struct db_rows *rows, int column, json_t **ret, struct err *e)
{
    const char *text = db_text(rows, column);
    if (!text)
        text = "null";
    json_error_t error;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &error);
    if (!value && json_error_code(&error) == json_error_out_of_memory)
        return err_set(e, ERR_NOMEM, "no memory for JSON of the database");
    if (!value)
        return err_set(e, ERR_DATABASE, "column %d is no JSON: %s", column, error.text);
    *ret = value;
    return ERR_OK;
}

json_t *db_json_int(struct db_rows *rows, int column)
{
    return db_is_null(rows, column) ? json_null() : json_integer(db_int(rows, column));
}

json_t *db_json_real(struct db_rows *rows, int column)
{
    return db_is_null(rows, column) ? json_null() : json_real(db_real(rows, column));
}

json_t *db_json_text(struct db_rows *rows, int column)
{
    return db_is_null(rows, column) ? json_null() : json_string(db_text(rows, column));
}

json_t *db_json_time(struct db_rows *rows, int column)
{
    if (db_is_null(rows, column))
        return json_null();
    char text[CLOCK_TEXT];
    clock_text(db_int(rows, column), text);
    return json_string(text);
}

json_t *db_json_hex(struct db_rows *rows, int column)
{
    struct digest d;
    char hex[DIGEST_HEX + 1];
    if (db_digest(rows, column, &d, NULL))
        return json_null();
    digest_hex(&d, hex);
    return json_string(hex);
}

enum err_code db_json_list(struct db_rows *rows, json_t *(*element)(struct db_rows *), json_t **ret,
                           struct err *e)
{
    CLEANUP(json_decref_p) json_t *all = json_array();
    if (!all)
        return err_set(e, ERR_NOMEM, "no memory for a list");
    bool more = false;
    enum err_code r;
    while (!(r = db_next(rows, &more, e)) && more)
        if (json_array_append_new(all, element(rows)) < 0)
            return err_set(e, ERR_NOMEM, "no memory for a list");
    if (!r)
        *ret = STEAL(all);
    return r;
}

enum err_code db_json_column(const json_t *value, char **ret, struct err *e)
{
    struct buf text;
    buf_init(&text, SIZE_MAX);
    enum err_code r = json_write(value, &text, e);
    if (r) {
        buf_fini(&text);
        return r;
    }
    *ret = (char *)text.data;
    return ERR_OK;
}

enum err_code db_audit(struct db_tx *t, const char *who, const char *what, const char *subject,
                       const json_t *before, const json_t *after, struct err *e)
{
    CLEANUP(cleanup_free) char *before_text = NULL;
    CLEANUP(cleanup_free) char *after_text = NULL;
    enum err_code r = before ? db_json_column(before, &before_text, e) : ERR_OK;
    if (!r && after)
        r = db_json_column(after, &after_text, e);
    if (r)
        return r;
    return db_exec(t, e,
                   "INSERT INTO audit (at_ms, who, what, subject, before, after)"
                   " VALUES (?, ?, ?, ?, ?, ?)",
                   DB_INT(clock_utc_ms()), DB_TEXT(who), DB_TEXT(what), DB_TEXT(subject),
                   DB_TEXT(before_text), DB_TEXT(after_text));
}

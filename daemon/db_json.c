/* The part of db.h between columns and JSON, and the audit log: it stands on the rest of db.h. */
#include "daemon/db.h"

#include "data/base/clock.h"
#include "data/base/json.h"

#include <string.h>

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

/* -- whole rows ----------------------------------------------------------------------------------
 */

static json_t *column_json(struct db_rows *rows, int column)
{
    switch (db_column_kind(rows, column)) {
    case DB_KIND_INT:
        return db_json_int(rows, column);
    case DB_KIND_REAL:
        return db_json_real(rows, column);
    case DB_KIND_TEXT:
        return db_json_text(rows, column);
    case DB_KIND_BLOB:
        return db_json_hex(rows, column);
    case DB_KIND_NULL:
        break;
    }
    return json_null();
}

json_t *db_json_row(struct db_rows *rows)
{
    json_t *row = json_object();
    for (int i = 0; row && i < db_columns(rows); i++)
        if (json_object_set_new(row, db_column_name(rows, i), column_json(rows, i)) < 0) {
            json_decref(row);
            return NULL;
        }
    return row;
}

enum { ROW_COLUMNS = 64, ROW_SQL = 4096 };

struct row_values {
    struct db_value values[ROW_COLUMNS + 1]; /* the first one is db_exec()'s leading element */
    struct digest digests[ROW_COLUMNS];
    size_t count;
};

static enum err_code take_value(struct row_values *v, const char *column, bool is_blob,
                                const json_t *value, struct err *e)
{
    if (v->count == ROW_COLUMNS)
        return err_set(e, ERR_INTERNAL, "a row of more than %d columns", ROW_COLUMNS);
    struct db_value *to = &v->values[1 + v->count];
    struct digest *digest = &v->digests[v->count++];
    if (json_is_null(value))
        *to = DB_NULL;
    else if (json_is_integer(value))
        *to = DB_INT(json_integer_value(value));
    else if (json_is_real(value))
        *to = DB_REAL(json_real_value(value));
    else if (!json_is_string(value))
        return err_set(e, ERR_JSON_TYPE, "%.64s of a row is no plain value", column);
    else if (!is_blob)
        *to = DB_TEXT(json_string_value(value));
    else if (digest_parse(json_string_value(value), digest))
        *to = DB_DIGEST(digest);
    else
        return err_set(e, ERR_JSON_TYPE, "%.64s of a row is no digest", column);
    return ERR_OK;
}

enum err_code db_json_insert(struct db_tx *t, const char *table, const json_t *row, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *columns = NULL;
    CLEANUP(buf_fini) struct buf sql, places;
    buf_init(&sql, ROW_SQL);
    buf_init(&places, 3 * ROW_COLUMNS);
    struct row_values v = { .values = { DB_NULL } };
    enum err_code r = buf_printf(&sql, e, "INSERT OR REPLACE INTO %s (", table);
    if (!r)
        r = db_query(t, &columns, e, "SELECT name, type FROM pragma_table_info(?)", DB_TEXT(table));
    bool more = false;
    while (!r && !(r = db_next(columns, &more, e)) && more) {
        const char *name = db_text(columns, 0);
        const json_t *value = json_object_get(row, name);
        if (!value)
            continue;
        const char *comma = v.count ? ", " : "";
        r = take_value(&v, name, strcmp(db_text(columns, 1), "BLOB") == 0, value, e);
        if (!r)
            r = buf_printf(&sql, e, "%s%s", comma, name);
        if (!r)
            r = buf_printf(&places, e, "%s?", comma);
    }
    if (!r && !v.count)
        r = err_set(e, ERR_JSON_TYPE, "a row without any column of table %s", table);
    if (!r)
        r = buf_printf(&sql, e, ") VALUES (%s)", (const char *)places.data);
    return r ? r : db_exec_values(t, e, (const char *)sql.data, v.values, v.count + 1);
}

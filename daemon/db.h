/* db.h -- SQLite for the rest of the daemon: connections, transactions, statements.
 *
 * Nothing outside db.c uses SQLite's own names. SQL stands beside its caller as a
 * constant text; values are bound, never printed into it.
 *
 *   CLEANUP(db_end_p) struct db_tx *t = NULL;
 *   CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
 *   enum err_code r = db_write(db, &t, e);
 *   if (!r)
 *       r = db_get(t, &row, e, "SELECT id FROM model WHERE name = ?", DB_TEXT(name));
 *   if (!r && !row)
 *       r = err_set(e, ERR_MODEL_UNKNOWN, "no model \"%s\"", name);
 *   if (!r)
 *       r = db_exec(t, e, "UPDATE ... SET x = ? WHERE id = ?", DB_INT(x), DB_INT(db_int(row, 0)));
 *   return r ? r : db_commit(&t, e);
 *
 * Invariants: at most one write transaction at a time (a mutex, then BEGIN IMMEDIATE); a commit is
 * on the disk when db_commit() returns (WAL, synchronous = FULL); a read transaction sees
 * one moment and never waits for a writer; foreign keys are enforced.
 * Errors: ERR_DISK_FULL, ERR_NOMEM, ERR_IO, else ERR_DATABASE with SQLite's message.
 * Threads: a struct db any; a transaction and its rows stay on the thread that began it, which must
 * not begin a second one while it holds a write transaction. Lock order: the writer's mutex, then
 * the pool's; no callback is called under either. */
#ifndef KENNEL_DB_H
#define KENNEL_DB_H

#include "data/base/cleanup.h"
#include "data/base/digest.h"

#include <jansson.h>
#include <stdint.h>

struct bell;
struct db;
struct db_tx;
struct db_rows;

/* Opens or creates the file. Does not migrate (daemon/migrate.h). */
enum err_code db_open(const char *path, struct db **ret, struct err *e) MUST_USE;
/* After every transaction has ended. NULL is fine. */
void db_close(struct db *db);
/* From now on references may dangle: a follower has some of the rows only. While nobody else uses
 * the database. */
void db_allow_dangling(struct db *db);

enum err_code db_read(struct db *db, struct db_tx **ret, struct err *e) MUST_USE;
enum err_code db_write(struct db *db, struct db_tx **ret, struct err *e) MUST_USE;
/* Ends *t (sets it to NULL) whatever it returns; on failure nothing was written. */
enum err_code db_commit(struct db_tx **t, struct err *e) MUST_USE;
/* When the transaction commits, the database's bell (daemon/bell.h) rings right after it. */
void db_announce(struct db_tx *t);
struct bell *db_bell(struct db *db);
/* Rolls back, unless committed. NULL is fine. */
void db_end(struct db_tx *t);

/* A value to bind; made with the macros below. Pointers are borrowed: during db_exec(), until the
 * rows are freed with db_query() and db_get(). A NULL pointer is SQL's NULL. */
struct db_value {
    enum db_kind { DB_KIND_NULL, DB_KIND_INT, DB_KIND_REAL, DB_KIND_TEXT, DB_KIND_BLOB } kind;
    int64_t i;
    double d;
    const void *bytes;
    size_t len;
};
#define DB_NULL ((struct db_value){ .kind = DB_KIND_NULL })
#define DB_INT(x) ((struct db_value){ .kind = DB_KIND_INT, .i = (x) })
/* NULL when x is 0: for numbers that count from 1. */
#define DB_INT_OR_NULL(x) db_value_int_or_null(x)
#define DB_REAL(x) ((struct db_value){ .kind = DB_KIND_REAL, .d = (x) })
#define DB_TEXT(x) ((struct db_value){ .kind = DB_KIND_TEXT, .bytes = (const char *){ x } })
#define DB_BLOB(x, n) ((struct db_value){ .kind = DB_KIND_BLOB, .bytes = (x), .len = (n) })
#define DB_DIGEST(x)                                                                               \
    ((struct db_value){                                                                            \
        .kind = DB_KIND_BLOB, .bytes = (const struct digest *){ x }, .len = DIGEST_BYTES })

static inline struct db_value db_value_int_or_null(int64_t x)
{
    return x ? DB_INT(x) : DB_NULL;
}

/* The leading element, which is skipped, keeps the array from being empty. */
#define DB_VALUES_(...)                                                                            \
    (const struct db_value[]){ DB_NULL, ##__VA_ARGS__ },                                           \
        sizeof((const struct db_value[]){ DB_NULL, ##__VA_ARGS__ }) / sizeof(struct db_value)

/* db_exec(t, e, sql, values...): one statement, to its end; rows are ignored. */
#define db_exec(t, e, sql, ...) db_exec_values(t, e, sql, DB_VALUES_(__VA_ARGS__))
/* db_query(t, &rows, e, sql, values...): a statement to be stepped with db_next(). */
#define db_query(t, ret, e, sql, ...) db_query_values(t, ret, e, sql, DB_VALUES_(__VA_ARGS__))
/* db_get(t, &row, e, sql, values...): its first row, or *row = NULL when there is none. */
#define db_get(t, ret, e, sql, ...) db_get_values(t, ret, e, sql, DB_VALUES_(__VA_ARGS__))

enum err_code db_exec_values(struct db_tx *t, struct err *e, const char *sql,
                             const struct db_value *values, size_t count) MUST_USE;
enum err_code db_query_values(struct db_tx *t, struct db_rows **ret, struct err *e, const char *sql,
                              const struct db_value *values, size_t count) MUST_USE;
enum err_code db_get_values(struct db_tx *t, struct db_rows **ret, struct err *e, const char *sql,
                            const struct db_value *values, size_t count) MUST_USE;

/* Rows that the last db_exec() inserted, updated or deleted: 0 is a lost compare-and-set. */
int64_t db_changes(const struct db_tx *t);

/* *ret_more: false when there are no more rows. */
enum err_code db_next(struct db_rows *rows, bool *ret_more, struct err *e) MUST_USE;
void db_rows_free(struct db_rows *rows);

/* Columns of the present row, from 0. Text and blobs are borrowed until the next step. */
bool db_is_null(struct db_rows *rows, int column);
int64_t db_int(struct db_rows *rows, int column);
double db_real(struct db_rows *rows, int column);
const char *db_text(struct db_rows *rows, int column); /* NULL for NULL */
/* ERR_DATABASE when it is not 32 bytes. */
enum err_code db_digest(struct db_rows *rows, int column, struct digest *ret, struct err *e)
    MUST_USE;
/* A column of JSON text, parsed; JSON's null for NULL. The caller owns *ret. */
enum err_code db_json(struct db_rows *rows, int column, json_t **ret, struct err *e) MUST_USE;

/* What the statement gives: how many columns, what they are called and what is in one. */
int db_columns(struct db_rows *rows);
const char *db_column_name(struct db_rows *rows, int column);
enum db_kind db_column_kind(struct db_rows *rows, int column);

/* The row as {column: value}, its digests in hexadecimal. NULL without memory. */
json_t *db_json_row(struct db_rows *rows);
/* Writes such a row, over one with the same key. Columns that the table does not have are passed
 * over, those that the row does not have get their default. ERR_DATABASE for values that do not
 * fit. table: a constant. */
enum err_code db_json_insert(struct db_tx *t, const char *table, const json_t *row, struct err *e)
    MUST_USE;

/* New JSON values of a column, null for NULL, for replies: NULL without memory, which json_put()
 * and json_pack("{s:o}") notice. _time: integer milliseconds -> RFC 3339. _hex: a digest. */
json_t *db_json_int(struct db_rows *rows, int column);
json_t *db_json_real(struct db_rows *rows, int column);
json_t *db_json_text(struct db_rows *rows, int column);
json_t *db_json_time(struct db_rows *rows, int column);
json_t *db_json_hex(struct db_rows *rows, int column);

/* Every row that is left as one element of a new array; element returns NULL without memory. */
enum err_code db_json_list(struct db_rows *rows, json_t *(*element)(struct db_rows *), json_t **ret,
                           struct err *e) MUST_USE;

/* One line of the audit log, in the transaction of the change. before and after are borrowed, may
 * be NULL. what: "dataset.create"; subject: "dataset/dogs". */
enum err_code db_audit(struct db_tx *t, const char *who, const char *what, const char *subject,
                       const json_t *before, const json_t *after, struct err *e) MUST_USE;

/* A value as the compact text with sorted keys that JSON columns hold; the caller frees *ret. */
enum err_code db_json_column(const json_t *value, char **ret, struct err *e) MUST_USE;

/* Several statements without values, inside the transaction: for migrations and temporary
 * tables. */
enum err_code db_script(struct db_tx *t, const char *sql, struct err *e) MUST_USE;

/* A copy of one moment of the database into the file path (absent), without waiting for a writer or
 * keeping one waiting. What was deleted is not in it. On failure the file may be there, in part. */
enum err_code db_snapshot(struct db *db, const char *path, struct err *e) MUST_USE;

/* For work that prepares a large write without holding the writer's mutex: a connection with an
 * empty database attached as schema `scratch`, kept in the file `scratch_path` (absent or empty;
 * removed at the end). Until db_session_write(), which begins the write transaction on it, only
 * scratch tables may be written. db_commit() and db_end() as for any other. */
enum err_code db_session(struct db *db, const char *scratch_path, struct db_tx **ret, struct err *e)
    MUST_USE;
enum err_code db_session_write(struct db_tx *t, struct err *e) MUST_USE;

CLEANUP_DEFINE(struct db_tx, db_end);
CLEANUP_DEFINE(struct db_rows, db_rows_free);

#endif

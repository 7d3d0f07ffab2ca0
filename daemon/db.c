/* One file past 500 lines: nothing else may name SQLite. */
#include "daemon/db.h"

#include "daemon/bell.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

/* Lock order: write_mu, then pool_mu. SQLite's own work is done under write_mu (that is its
 * purpose), never under pool_mu. */

enum { IDLE_MAX = 8, STATEMENTS_MAX = 64, BUSY_MS = 10000 };

struct statement {
    sqlite3_stmt *stmt;
    bool in_use;
};

struct connection {
    sqlite3 *handle;
    struct statement cache[STATEMENTS_MAX];
    int next_victim;
};

struct db {
    char *path;
    bool dangling;            /* set before anybody else uses it */
    pthread_mutex_t write_mu; /* held from db_write() to the end of that transaction */
    pthread_mutex_t pool_mu;
    struct connection *idle[IDLE_MAX]; /* guarded by pool_mu */
    int idle_count;                    /* guarded by pool_mu */
    struct bell bell;
};

struct db_tx {
    struct db *db;
    struct connection *c;
    char *scratch; /* of a session */
    bool writer;   /* holds write_mu */
    bool announced;
};

struct db_rows {
    struct connection *c;
    sqlite3_stmt *stmt;
};

/* SQLite keeps the errno of most failures, but not of one in COMMIT: there the thread's own is
 * still that of the system call, as run() and step() set it to 0 before. */
static int failed_errno(sqlite3 *handle, int own)
{
    if (own == ENOSPC || own == EDQUOT || own == EFBIG)
        return own;
    int kept = sqlite3_system_errno(handle);
    return kept ? kept : EIO;
}

static enum err_code fail(sqlite3 *handle, const char *doing, struct err *e)
{
    int own = errno;
    int code = sqlite3_extended_errcode(handle);
    const char *text = sqlite3_errmsg(handle);
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return err_set(e, ERR_NOMEM, "no memory for the database (%s)", doing);
    case SQLITE_FULL:
        return err_set(e, ERR_DISK_FULL, "the disk is full: database (%s)", doing);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: {
        if (code == SQLITE_IOERR_NOMEM)
            return err_set(e, ERR_NOMEM, "no memory for the database (%s)", doing);
        return err_errno(e, failed_errno(handle, own), "database (%s): %s", doing, text);
    }
    default:
        return err_set(e, ERR_DATABASE, "database (%s): %s", doing, text);
    }
}

static enum err_code run(struct connection *c, const char *sql, struct err *e)
{
    errno = 0;
    int code = sqlite3_exec(c->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? ERR_OK : fail(c->handle, "script", e);
}

static int step(sqlite3_stmt *stmt)
{
    errno = 0;
    return sqlite3_step(stmt);
}

/* --- connections -------------------------------------------------------------------------- */

static void connection_free(struct connection *c)
{
    if (!c)
        return;
    for (int i = 0; i < STATEMENTS_MAX; i++)
        sqlite3_finalize(c->cache[i].stmt);
    sqlite3_close_v2(c->handle);
    free(c);
}

CLEANUP_DEFINE(struct connection, connection_free);

static enum err_code connection_new(const char *path, bool dangling, struct connection **ret,
                                    struct err *e)
{
    CLEANUP(connection_free_p) struct connection *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_NOMEM, "no memory for a database connection");
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &c->handle, flags, NULL) != SQLITE_OK)
        return c->handle ? fail(c->handle, path, e)
                         : err_set(e, ERR_NOMEM, "no memory for a database connection");
    sqlite3_extended_result_codes(c->handle, 1);
    sqlite3_busy_timeout(c->handle, BUSY_MS);
    sqlite3_db_config(c->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(c->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(c->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(c->handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(c->handle, SQLITE_DBCONFIG_ENABLE_FKEY, !dangling, NULL);
    enum err_code r = run(c,
                          "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                          "PRAGMA journal_size_limit = 67108864; PRAGMA cell_size_check = ON",
                          e);
    if (r)
        return r;
    *ret = STEAL(c);
    return ERR_OK;
}

static enum err_code take_connection(struct db *db, struct connection **ret, struct err *e)
{
    struct connection *c = NULL;
    pthread_mutex_lock(&db->pool_mu);
    if (db->idle_count)
        c = db->idle[--db->idle_count];
    pthread_mutex_unlock(&db->pool_mu);
    if (!c)
        return connection_new(db->path, db->dangling, ret, e);
    *ret = c;
    return ERR_OK;
}

static void give_connection(struct db *db, struct connection *c)
{
    pthread_mutex_lock(&db->pool_mu);
    if (db->idle_count < IDLE_MAX) {
        db->idle[db->idle_count++] = c;
        c = NULL;
    }
    pthread_mutex_unlock(&db->pool_mu);
    connection_free(c);
}

enum err_code db_open(const char *path, struct db **ret, struct err *e)
{
    struct connection *c = NULL;
    enum err_code r = connection_new(path, false, &c, e);
    if (r)
        return r;
    struct db *db = calloc(1, sizeof *db);
    char *copy = strdup(path);
    if (!db || !copy) {
        free(db);
        free(copy);
        connection_free(c);
        return err_set(e, ERR_NOMEM, "no memory for the database");
    }
    db->path = copy;
    pthread_mutex_init(&db->write_mu, NULL);
    pthread_mutex_init(&db->pool_mu, NULL);
    bell_init(&db->bell);
    db->idle[db->idle_count++] = c;
    *ret = db;
    return ERR_OK;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    while (db->idle_count)
        connection_free(db->idle[--db->idle_count]);
    pthread_mutex_destroy(&db->write_mu);
    pthread_mutex_destroy(&db->pool_mu);
    bell_fini(&db->bell);
    free(db->path);
    free(db);
}

void db_allow_dangling(struct db *db)
{
    db->dangling = true;
    while (db->idle_count)
        connection_free(db->idle[--db->idle_count]);
}

/* --- transactions ------------------------------------------------------------------------- */

static enum err_code begin(struct db *db, bool writer, struct db_tx **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NOMEM, "no memory for a transaction");
    t->db = db;
    if (writer)
        pthread_mutex_lock(&db->write_mu);
    t->writer = writer;
    enum err_code r = take_connection(db, &t->c, e);
    if (!r)
        r = db_exec(t, e, writer ? "BEGIN IMMEDIATE" : "BEGIN");
    if (r)
        return r;
    *ret = STEAL(t);
    return ERR_OK;
}

enum err_code db_read(struct db *db, struct db_tx **ret, struct err *e)
{
    return begin(db, false, ret, e);
}

enum err_code db_write(struct db *db, struct db_tx **ret, struct err *e)
{
    return begin(db, true, ret, e);
}

void db_end(struct db_tx *t)
{
    if (!t)
        return;
    bool sound = true;
    if (t->c && !sqlite3_get_autocommit(t->c->handle))
        sound = db_exec(t, NULL, "ROLLBACK") == ERR_OK;
    if (t->c && sound && !t->scratch)
        give_connection(t->db, t->c);
    else
        connection_free(t->c);
    if (t->writer)
        pthread_mutex_unlock(&t->db->write_mu);
    if (t->scratch)
        unlink(t->scratch);
    free(t->scratch);
    free(t);
}

enum err_code db_commit(struct db_tx **t, struct err *e)
{
    struct db_tx *ending = STEAL(*t);
    struct db *db = ending->db;
    bool announced = ending->announced;
    enum err_code r = db_exec(ending, e, "COMMIT");
    db_end(ending);
    if (!r && announced)
        bell_ring(&db->bell);
    return r;
}

void db_announce(struct db_tx *t)
{
    t->announced = true;
}

struct bell *db_bell(struct db *db)
{
    return &db->bell;
}

/* No transaction around it: VACUUM makes its own, a read of the source. */
enum err_code db_snapshot(struct db *db, const char *path, struct err *e)
{
    struct connection *c = NULL;
    char *sql = sqlite3_mprintf("VACUUM INTO %Q", path);
    if (!sql)
        return err_set(e, ERR_NOMEM, "no memory to copy the database");
    enum err_code r = take_connection(db, &c, e);
    if (!r) {
        r = run(c, sql, e);
        give_connection(db, c);
    }
    sqlite3_free(sql);
    return r;
}

enum err_code db_session(struct db *db, const char *scratch_path, struct db_tx **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = calloc(1, sizeof *t);
    if (t)
        t->scratch = strdup(scratch_path);
    if (!t || !t->scratch)
        return err_set(e, ERR_NOMEM, "no memory for a transaction");
    t->db = db;
    enum err_code r = connection_new(db->path, db->dangling, &t->c, e);
    if (!r)
        r = db_exec(t, e, "ATTACH ? AS scratch", DB_TEXT(scratch_path));
    /* Nobody reads the scratch file after a crash, so nothing is spent on its safety. */
    if (!r)
        r = run(t->c,
                "PRAGMA scratch.journal_mode = MEMORY; PRAGMA scratch.synchronous = OFF;"
                "PRAGMA scratch.locking_mode = EXCLUSIVE; PRAGMA scratch.cache_size = -16384;"
                "PRAGMA main.cache_size = -16384; BEGIN",
                e);
    if (r)
        return r;
    *ret = STEAL(t);
    return ERR_OK;
}

enum err_code db_session_write(struct db_tx *t, struct err *e)
{
    enum err_code r = db_exec(t, e, "COMMIT");
    if (r)
        return r;
    pthread_mutex_lock(&t->db->write_mu);
    t->writer = true;
    return db_exec(t, e, "BEGIN IMMEDIATE");
}

/* --- statements --------------------------------------------------------------------------- */

/* A cached statement that nobody is stepping, or a new one. */
static enum err_code take_statement(struct connection *c, const char *sql, sqlite3_stmt **ret,
                                    struct err *e)
{
    for (int i = 0; i < STATEMENTS_MAX; i++) {
        struct statement *s = &c->cache[i];
        if (s->stmt && !s->in_use && strcmp(sqlite3_sql(s->stmt), sql) == 0) {
            s->in_use = true;
            *ret = s->stmt;
            return ERR_OK;
        }
    }
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v3(c->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK)
        return fail(c->handle, sql, e);
    for (int tries = 0; tries < STATEMENTS_MAX; tries++) {
        struct statement *s = &c->cache[c->next_victim];
        c->next_victim = (c->next_victim + 1) % STATEMENTS_MAX;
        if (s->in_use)
            continue;
        sqlite3_finalize(s->stmt);
        *s = (struct statement){ .stmt = stmt, .in_use = true };
        break;
    }
    *ret = stmt;
    return ERR_OK;
}

static void give_statement(struct connection *c, sqlite3_stmt *stmt)
{
    for (int i = 0; i < STATEMENTS_MAX; i++) {
        if (c->cache[i].stmt == stmt) {
            sqlite3_reset(stmt);
            sqlite3_clear_bindings(stmt);
            c->cache[i].in_use = false;
            return;
        }
    }
    sqlite3_finalize(stmt);
}

static int bind(sqlite3_stmt *stmt, int at, const struct db_value *v)
{
    switch (v->kind) {
    case DB_KIND_NULL:
        break;
    case DB_KIND_INT:
        return sqlite3_bind_int64(stmt, at, v->i);
    case DB_KIND_REAL:
        return sqlite3_bind_double(stmt, at, v->d);
    case DB_KIND_TEXT:
        if (v->bytes)
            return sqlite3_bind_text(stmt, at, v->bytes, -1, SQLITE_STATIC);
        break;
    case DB_KIND_BLOB:
        if (v->bytes)
            return sqlite3_bind_blob64(stmt, at, v->bytes, v->len, SQLITE_STATIC);
        break;
    }
    return sqlite3_bind_null(stmt, at);
}

/* values[0] is the macros' leading element. */
static enum err_code prepare(struct db_tx *t, const char *sql, const struct db_value *values,
                             size_t count, sqlite3_stmt **ret, struct err *e)
{
    sqlite3_stmt *stmt = NULL;
    enum err_code r = take_statement(t->c, sql, &stmt, e);
    if (r)
        return r;
    int wanted = sqlite3_bind_parameter_count(stmt);
    if ((size_t)wanted != count - 1)
        r = err_set(e, ERR_INTERNAL, "%zu values for the %d of: %s", count - 1, wanted, sql);
    for (int i = 1; !r && i <= wanted; i++)
        if (bind(stmt, i, &values[i]) != SQLITE_OK)
            r = fail(t->c->handle, sql, e);
    /* Without the writer's mutex only the session's scratch database is written. */
    if (!r && !t->writer && !t->scratch && !sqlite3_stmt_readonly(stmt))
        r = err_set(e, ERR_INTERNAL, "a write in a read transaction: %s", sql);
    if (r) {
        give_statement(t->c, stmt);
        return r;
    }
    *ret = stmt;
    return ERR_OK;
}

enum err_code db_exec_values(struct db_tx *t, struct err *e, const char *sql,
                             const struct db_value *values, size_t count)
{
    sqlite3_stmt *stmt = NULL;
    enum err_code r = prepare(t, sql, values, count, &stmt, e);
    if (r)
        return r;
    int code;
    do
        code = step(stmt);
    while (code == SQLITE_ROW);
    if (code != SQLITE_DONE)
        r = fail(t->c->handle, sql, e);
    else if (!t->writer && sqlite3_txn_state(t->c->handle, "main") == SQLITE_TXN_WRITE)
        r = err_set(e, ERR_INTERNAL, "a session wrote before db_session_write(): %s", sql);
    give_statement(t->c, stmt);
    return r;
}

enum err_code db_query_values(struct db_tx *t, struct db_rows **ret, struct err *e, const char *sql,
                              const struct db_value *values, size_t count)
{
    struct db_rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        return err_set(e, ERR_NOMEM, "no memory for a query");
    rows->c = t->c;
    enum err_code r = prepare(t, sql, values, count, &rows->stmt, e);
    if (r) {
        free(rows);
        return r;
    }
    *ret = rows;
    return ERR_OK;
}

enum err_code db_get_values(struct db_tx *t, struct db_rows **ret, struct err *e, const char *sql,
                            const struct db_value *values, size_t count)
{
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    bool found = false;
    enum err_code r = db_query_values(t, &rows, e, sql, values, count);
    if (!r)
        r = db_next(rows, &found, e);
    if (r)
        return r;
    *ret = found ? STEAL(rows) : NULL;
    return ERR_OK;
}

int64_t db_changes(const struct db_tx *t)
{
    return sqlite3_changes64(t->c->handle);
}

enum err_code db_next(struct db_rows *rows, bool *ret_more, struct err *e)
{
    int code = step(rows->stmt);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return fail(rows->c->handle, sqlite3_sql(rows->stmt), e);
    *ret_more = code == SQLITE_ROW;
    return ERR_OK;
}

void db_rows_free(struct db_rows *rows)
{
    if (!rows)
        return;
    give_statement(rows->c, rows->stmt);
    free(rows);
}

enum err_code db_script(struct db_tx *t, const char *sql, struct err *e)
{
    return run(t->c, sql, e);
}

/* --- columns ------------------------------------------------------------------------------ */

bool db_is_null(struct db_rows *rows, int column)
{
    return sqlite3_column_type(rows->stmt, column) == SQLITE_NULL;
}

int64_t db_int(struct db_rows *rows, int column)
{
    return sqlite3_column_int64(rows->stmt, column);
}

double db_real(struct db_rows *rows, int column)
{
    return sqlite3_column_double(rows->stmt, column);
}

const char *db_text(struct db_rows *rows, int column)
{
    return (const char *)sqlite3_column_text(rows->stmt, column);
}

enum err_code db_digest(struct db_rows *rows, int column, struct digest *ret, struct err *e)
{
    const void *bytes = sqlite3_column_blob(rows->stmt, column);
    if (!bytes || sqlite3_column_bytes(rows->stmt, column) != DIGEST_BYTES)
        return err_set(e, ERR_DATABASE, "column %d is no digest: %s", column,
                       sqlite3_sql(rows->stmt));
    memcpy(ret->bytes, bytes, DIGEST_BYTES);
    return ERR_OK;
}

int db_columns(struct db_rows *rows)
{
    return sqlite3_column_count(rows->stmt);
}

const char *db_column_name(struct db_rows *rows, int column)
{
    return sqlite3_column_name(rows->stmt, column);
}

enum db_kind db_column_kind(struct db_rows *rows, int column)
{
    switch (sqlite3_column_type(rows->stmt, column)) {
    case SQLITE_INTEGER:
        return DB_KIND_INT;
    case SQLITE_FLOAT:
        return DB_KIND_REAL;
    case SQLITE_TEXT:
        return DB_KIND_TEXT;
    case SQLITE_BLOB:
        return DB_KIND_BLOB;
    default:
        return DB_KIND_NULL;
    }
}

#include "daemon/migrate.h"

#include <inttypes.h>
#include <stdio.h>

/* "KENL": tells our files from other people's. */
enum { APPLICATION_ID = 0x4b454e4c };

#define MIGRATION(number)                                                                          \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global migration_" number "\n"                                                       \
            "migration_" number ":\n"                                                              \
            ".incbin \"daemon/migrations/" number ".sql\"\n"                                       \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const char

MIGRATION("0001") migration_0001[];
MIGRATION("0002") migration_0002[];
MIGRATION("0003") migration_0003[];
MIGRATION("0004") migration_0004[];
MIGRATION("0005") migration_0005[];
MIGRATION("0006") migration_0006[];
MIGRATION("0007") migration_0007[];
MIGRATION("0008") migration_0008[];
MIGRATION("0009") migration_0009[];
MIGRATION("0010") migration_0010[];
MIGRATION("0011") migration_0011[];
MIGRATION("0012") migration_0012[];
MIGRATION("0013") migration_0013[];
MIGRATION("0014") migration_0014[];

static const char *const migrations[] = { migration_0001, migration_0002, migration_0003,
                                          migration_0004, migration_0005, migration_0006,
                                          migration_0007, migration_0008, migration_0009,
                                          migration_0010, migration_0011, migration_0012,
                                          migration_0013, migration_0014 };

int migrate_latest(void)
{
    return (int)(sizeof migrations / sizeof *migrations);
}

static enum err_code pragma(struct db_tx *t, const char *sql, int64_t *ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, sql);
    if (!r)
        *ret = row ? db_int(row, 0) : 0;
    return r;
}

static enum err_code check(struct db_tx *t, int64_t *ret_version, struct err *e)
{
    int64_t id = 0, version = 0, tables = 0;
    enum err_code r = pragma(t, "PRAGMA application_id", &id, e);
    if (!r)
        r = pragma(t, "PRAGMA user_version", &version, e);
    if (!r)
        r = pragma(t, "SELECT count(*) FROM sqlite_schema", &tables, e);
    if (r)
        return r;
    if (id != APPLICATION_ID && (id || version || tables))
        return err_set(e, ERR_DATABASE, "the database file is not one of Kennel's");
    if (version > migrate_latest())
        return err_set(e, ERR_DATABASE,
                       "the database has schema %" PRId64
                       ", this program knows up to %d: it was used by a newer one",
                       version, migrate_latest());
    *ret_version = version;
    return ERR_OK;
}

static enum err_code apply(struct db *db, int number, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_write(db, &t, e);
    if (!r)
        r = db_script(t, migrations[number - 1], e);
    char done[100];
    snprintf(done, sizeof done, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             APPLICATION_ID, number);
    if (!r)
        r = db_script(t, done, e);
    return r ? r : db_commit(&t, e);
}

enum err_code migrate_check(struct db *db, int64_t *ret_version, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_read(db, &t, e);
    return r ? r : check(t, ret_version, e);
}

enum err_code migrate(struct db *db, struct err *e)
{
    int64_t version = 0;
    enum err_code r = migrate_check(db, &version, e);
    if (r)
        return r;
    for (int number = (int)version + 1; number <= migrate_latest(); number++) {
        r = apply(db, number, e);
        if (r)
            return r;
    }
    return ERR_OK;
}

/* migrate.h -- brings a database to the schema of this program.
 *
 * migrations/NNNN.sql are numbered from 1 without gaps and never edited after a release; the
 * database's user_version is the number of the last one that was applied. Each runs in one
 * transaction with the change of user_version, so a crash leaves a whole schema, old or new.
 * Threads: one, before anybody else uses the database. */
#ifndef KENNEL_MIGRATE_H
#define KENNEL_MIGRATE_H

#include "daemon/db.h"

/* ERR_DATABASE naming both numbers when the database is newer than this program, or
 * belongs to another one. */
enum err_code migrate(struct db *db, struct err *e) MUST_USE;

/* The number that the database has; refuses what migrate() refuses. */
enum err_code migrate_check(struct db *db, int64_t *ret_version, struct err *e) MUST_USE;

/* The number that migrate() brings a database to. */
int migrate_latest(void);

#endif

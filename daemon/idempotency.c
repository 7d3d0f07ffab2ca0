#include "daemon/idempotency.h"

#include "data/base/clock.h"

#include <stdio.h>

static int64_t oldest_kept(void)
{
    return clock_utc_ms() - IDEMPOTENCY_DAYS * INT64_C(86400000);
}

enum err_code idempotency_find(struct db_tx *t, const struct idempotency *i, char ret[ULID_TEXT],
                               struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    struct digest before;
    enum err_code r = db_get(t, &row, e,
                             "SELECT request, job FROM idempotency "
                             "WHERE who = ? AND key = ? AND created_ms >= ?",
                             DB_TEXT(i->who), DB_TEXT(i->key), DB_INT(oldest_kept()));
    if (r)
        return r;
    if (!row) {
        ret[0] = 0;
        return ERR_OK;
    }
    r = db_digest(row, 0, &before, e);
    if (r)
        return r;
    if (digest_compare(&before, &i->request) != 0)
        return err_set(e, ERR_IDEMPOTENCY_REUSED,
                       "Idempotency-Key \"%.80s\" came with another request within the last %d "
                       "days: use a new key for a new request",
                       i->key, IDEMPOTENCY_DAYS);
    snprintf(ret, ULID_TEXT, "%s", db_text(row, 1));
    return ERR_OK;
}

enum err_code idempotency_add(struct db_tx *t, const struct idempotency *i, const char *job,
                              struct err *e)
{
    enum err_code r =
        db_exec(t, e, "DELETE FROM idempotency WHERE created_ms < ?", DB_INT(oldest_kept()));
    return r ? r
             : db_exec(t, e,
                       "INSERT INTO idempotency (who, key, request, job, created_ms) "
                       "VALUES (?, ?, ?, ?, ?)",
                       DB_TEXT(i->who), DB_TEXT(i->key), DB_DIGEST(&i->request), DB_TEXT(job),
                       DB_INT(clock_utc_ms()));
}

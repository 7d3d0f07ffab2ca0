#include "daemon/spool.h"

#include "data/base/buf.h"
#include "data/base/json.h"

#include <inttypes.h>

enum { BATCH_MAX = 2 * SPOOL_BATCH }; /* with its last item */

static enum err_code used(struct db_tx *t, uint64_t *ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, "SELECT coalesce(sum(bytes), 0) FROM spool");
    if (!r)
        *ret = (uint64_t)db_int(row, 0);
    return r;
}

/* Items from *at on, as many as make a batch. */
static enum err_code write_batch(struct db_tx *t, const json_t *items, size_t *at, struct err *e)
{
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, BATCH_MAX);
    enum err_code r = buf_append(&text, "[", 1, e);
    for (size_t n = 0; !r && *at < json_array_size(items) && text.len < SPOOL_BATCH; n++, ++*at) {
        if (n)
            r = buf_append(&text, ",", 1, e);
        if (!r)
            r = json_write(json_array_get(items, *at), &text, e);
    }
    if (!r)
        r = buf_append(&text, "]", 1, e);
    return r ? r
             : db_exec(t, e, "INSERT INTO spool (bytes, items) VALUES (?, ?)",
                       DB_INT((int64_t)text.len), DB_TEXT((const char *)text.data));
}

enum err_code spool_add(struct spool *s, struct db_tx *t, const json_t *items, bool feedback,
                        struct err *e)
{
    uint64_t bytes = 0, most = feedback ? s->max : s->max / 4 * 3;
    enum err_code r = used(t, &bytes, e);
    if (r || !json_array_size(items))
        return r;
    if (bytes >= most && feedback)
        return err_set(e, ERR_SPOOL_FULL,
                       "%" PRIu64 " bytes wait to be told to the trainer, which is away; the "
                       "limit is %" PRIu64,
                       bytes, s->max);
    if (bytes >= most) {
        atomic_fetch_add(&s->dropped, (int64_t)json_array_size(items));
        return ERR_OK;
    }
    for (size_t at = 0; !r && at < json_array_size(items);)
        r = write_batch(t, items, &at, e);
    db_announce(t);
    return r;
}

enum err_code spool_read(struct db *db, struct buf *ret, int *ret_count, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    int count = 0;
    bool more = false;
    enum err_code r = db_read(db, &t, e);
    if (!r)
        r = db_query(t, &rows, e, "SELECT seq, items FROM spool ORDER BY seq");
    if (!r)
        r = buf_append(ret, "[", 1, e);
    while (!r && ret->len < SPOOL_SEND && !(r = db_next(rows, &more, e)) && more)
        r = buf_printf(ret, e, "%s{\"seq\":%" PRId64 ",\"items\":%s}", count++ ? "," : "",
                       db_int(rows, 0), db_text(rows, 1));
    if (!r)
        r = buf_append(ret, "]", 1, e);
    if (!r)
        *ret_count = count;
    return r;
}

enum err_code spool_acknowledge(struct db *db, int64_t seq, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_write(db, &t, e);
    if (!r)
        r = db_exec(t, e, "DELETE FROM spool WHERE seq <= ?", DB_INT(seq));
    return r ? r : db_commit(&t, e);
}

enum err_code spool_look(struct db *db, struct spool_figures *ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_read(db, &t, e);
    if (!r)
        r = db_get(t, &row, e, "SELECT count(*), coalesce(sum(bytes), 0) FROM spool");
    if (!r)
        *ret = (struct spool_figures){ .batches = db_int(row, 0), .bytes = db_int(row, 1) };
    return r;
}

#include "daemon/fsck.h"

#include "daemon/db.h"
#include "daemon/named.h"
#include "daemon/state.h"
#include "data/base/file.h"
#include "data/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { PIECE = 256 * 1024 };

struct check {
    struct blobs *blobs;
    struct db *db;
    fsck_damage damage;
    void *context;
    int64_t checked, damaged;
    uint8_t piece[PIECE];
};

static void check_free(struct check *c)
{
    if (!c)
        return;
    blobs_close(c->blobs);
    db_close(c->db);
    free(c);
}

CLEANUP_DEFINE(struct check, check_free);
CLEANUP_DEFINE(struct digest_stream, digest_stream_free);

static void tell(struct check *c, const char *subject, const char *why)
{
    c->damaged++;
    c->damage(c->context, subject, why);
}

/* What is wrong with the file, or NULL. */
static enum err_code read_blob(struct check *c, const char *path, const struct digest *d,
                               const char **ret_why, struct err *e)
{
    CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        *ret_why = errno == ENOENT ? "missing" : "cannot be opened";
        return ERR_OK;
    }
    CLEANUP(digest_stream_free_p) struct digest_stream *stream = NULL;
    enum err_code r = digest_stream_new(&stream, e);
    ssize_t n = 0;
    while (!r && (n = read(fd, c->piece, sizeof c->piece)) > 0)
        r = digest_stream_add(stream, c->piece, (size_t)n, e);
    if (r)
        return r;
    struct digest got;
    digest_stream_end(stream, &got);
    if (n < 0)
        *ret_why = "cannot be read";
    else
        *ret_why = digest_compare(&got, d) != 0 ? "changed" : NULL;
    return ERR_OK;
}

static enum err_code check_blob(struct check *c, struct db_rows *row, struct err *e)
{
    struct digest d;
    const char *why = NULL;
    char hex[DIGEST_HEX + 1], subject[300];
    CLEANUP(cleanup_free) char *path = NULL;
    enum err_code r = db_digest(row, 0, &d, e);
    if (!r)
        r = blobs_path(c->blobs, &d, &path, e);
    if (!r)
        r = read_blob(c, path, &d, &why, e);
    if (r)
        return r;
    c->checked++;
    digest_hex(&d, hex);
    snprintf(subject, sizeof subject, "%s: blob %s", db_text(row, 1), hex);
    if (why)
        tell(c, subject, why);
    return ERR_OK;
}

static enum err_code check_blobs(struct check *c, struct db_tx *t, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = named_subjects(t, &rows, e);
    bool more = false;
    while (!r && !(r = db_next(rows, &more, e)) && more)
        r = check_blob(c, rows, e);
    return r;
}

static enum err_code check_rows(struct check *c, struct db_tx *t, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *sound = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *keys = NULL;
    bool more = false;
    enum err_code r = db_query(t, &sound, e, "PRAGMA integrity_check");
    while (!r && !(r = db_next(sound, &more, e)) && more)
        if (strcmp(db_text(sound, 0), "ok") != 0)
            tell(c, "kennel.db", db_text(sound, 0));
    if (!r)
        r = db_query(
            t, &keys, e,
            "SELECT \"table\" FROM pragma_foreign_key_check "
            "WHERE NOT EXISTS (SELECT 1 FROM replica)"); /* a follower has some rows only */
    while (!r && !(r = db_next(keys, &more, e)) && more) {
        char subject[200];
        snprintf(subject, sizeof subject, "kennel.db: table %s", db_text(keys, 0));
        tell(c, subject, "a row names one that is not there");
    }
    return r;
}

enum err_code fsck(const char *dir, fsck_damage damage, void *context, int64_t *ret_checked,
                   int64_t *ret_damaged, struct err *e)
{
    CLEANUP(cleanup_fd) int lock = -1;
    CLEANUP(check_free_p) struct check *c = calloc(1, sizeof *c);
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(cleanup_free) char *blobs = NULL;
    CLEANUP(cleanup_free) char *database = NULL;
    if (!c)
        return err_set(e, ERR_NOMEM, "no memory to check %s", dir);
    c->damage = damage;
    c->context = context;
    enum err_code r = state_lock(dir, false, &lock, e);
    if (!r)
        r = file_path(&blobs, e, "%s/blobs", dir);
    if (!r)
        r = file_path(&database, e, "%s/kennel.db", dir);
    if (!r && access(database, R_OK) < 0)
        r = err_errno(e, errno, "cannot read %s", database);
    if (!r)
        r = db_open(database, &c->db, e);
    if (!r)
        r = blobs_open(blobs, false, &c->blobs, e);
    if (!r)
        r = db_read(c->db, &t, e);
    if (!r)
        r = check_rows(c, t, e);
    if (!r)
        r = check_blobs(c, t, e);
    if (r)
        return r;
    *ret_checked = c->checked;
    *ret_damaged = c->damaged;
    return ERR_OK;
}

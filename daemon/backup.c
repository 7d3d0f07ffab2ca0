#include "daemon/backup.h"

#include "daemon/audit.h"
#include "daemon/db.h"
#include "daemon/migrate.h"
#include "daemon/named.h"
#include "data/base/clock.h"
#include "data/base/file.h"
#include "data/base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum { PIECE = 256 * 1024 };

struct backup {
    struct state *state;
    char *folder;  /* in staging, of this backup */
    char *path;    /* the database's copy in it */
    struct db *db; /* the copy */
    struct buf head;
    struct digest digest; /* of the copy */
    uint64_t database_bytes, blobs, blob_bytes, bytes;
    uint8_t piece[PIECE];
};

CLEANUP_DEFINE(struct backup, backup_end);
CLEANUP_DEFINE(struct digest_stream, digest_stream_free);

void backup_end(struct backup *b)
{
    if (!b)
        return;
    struct err e;
    db_close(b->db);
    if (b->folder)
        (void)!file_remove_tree(b->folder, &e); /* else the next start does */
    state_put_end(b->state, true);
    free(b->folder);
    free(b->path);
    buf_fini(&b->head);
    free(b);
}

uint64_t backup_bytes(const struct backup *b)
{
    return b->bytes;
}

/* --- what it will be ---------------------------------------------------------------------- */

static enum err_code make_folder(struct backup *b, struct err *e)
{
    CLEANUP(cleanup_free) char *folder = NULL;
    enum err_code r = file_path(&folder, e, "%s/staging/backup-XXXXXX", state_dir(b->state));
    if (r)
        return r;
    if (!mkdtemp(folder))
        return err_errno(e, errno, "cannot create %s", folder);
    b->folder = STEAL(folder);
    return file_path(&b->path, e, "%s/" BACKUP_DATABASE, b->folder);
}

/* Opening makes the copy a database in WAL mode, like the one that it will be; only then are its
 * bytes those that stay. */
static enum err_code copy_database(struct backup *b, struct err *e)
{
    int64_t version = 0;
    enum err_code r = db_snapshot(state_db(b->state), b->path, e);
    if (!r)
        r = db_open(b->path, &b->db, e);
    return r ? r : migrate_check(b->db, &version, e);
}

/* What a read of the whole file goes through. */
typedef enum err_code (*take_fn)(void *context, const void *bytes, size_t len, struct err *e);

static enum err_code read_file(struct backup *b, int fd, uint64_t size, const char *name,
                               take_fn take, void *context, struct digest *ret, struct err *e)
{
    CLEANUP(digest_stream_free_p) struct digest_stream *stream = NULL;
    enum err_code r = digest_stream_new(&stream, e);
    for (uint64_t left = size; !r && left;) {
        size_t wanted = left < sizeof b->piece ? (size_t)left : sizeof b->piece;
        ssize_t n = read(fd, b->piece, wanted);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "cannot read %s", name);
        if (n == 0)
            return err_set(e, ERR_BLOB_CORRUPT, "%s became shorter", name);
        r = digest_stream_add(stream, b->piece, (size_t)n, e);
        if (!r && take)
            r = take(context, b->piece, (size_t)n, e);
        left -= (uint64_t)n;
    }
    if (!r)
        digest_stream_end(stream, ret);
    return r;
}

static enum err_code open_database(struct backup *b, int *ret, uint64_t *ret_size, struct err *e)
{
    struct stat st;
    CLEANUP(cleanup_fd) int fd = open(b->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(e, errno, "cannot open %s", b->path);
    *ret_size = (uint64_t)st.st_size;
    *ret = fd;
    fd = -1;
    return ERR_OK;
}

static enum err_code measure_database(struct backup *b, struct err *e)
{
    CLEANUP(cleanup_fd) int fd = -1;
    enum err_code r = open_database(b, &fd, &b->database_bytes, e);
    return r ? r : read_file(b, fd, b->database_bytes, b->path, NULL, NULL, &b->digest, e);
}

typedef enum err_code (*blob_fn)(struct backup *b, const struct digest *d, int fd, uint64_t size,
                                 void *context, struct err *e);

static enum err_code each_blob(struct backup *b, blob_fn fn, void *context, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_read(b->db, &t, e);
    if (!r)
        r = named_digests(t, &rows, e);
    bool more = false;
    while (!r && !(r = db_next(rows, &more, e)) && more) {
        CLEANUP(cleanup_fd) int fd = -1;
        struct digest d;
        uint64_t size = 0;
        r = db_digest(rows, 0, &d, e);
        if (!r)
            r = blobs_open_one(state_blobs(b->state), &d, &fd, &size, e);
        if (!r)
            r = fn(b, &d, fd, size, context, e);
    }
    return r;
}

static enum err_code count_blob(struct backup *b, const struct digest *d, int fd, uint64_t size,
                                void *context, struct err *e)
{
    (void)d, (void)fd, (void)context, (void)e;
    b->blobs++;
    b->blob_bytes += size;
    b->bytes += pack_file_bytes(size);
    return ERR_OK;
}

static enum err_code make_head(struct backup *b, struct err *e)
{
    char created[CLOCK_TEXT], hex[DIGEST_HEX + 1];
    clock_text(clock_utc_ms(), created);
    digest_hex(&b->digest, hex);
    CLEANUP(json_decref_p)
    json_t *head = json_pack("{s:i, s:i, s:s, s:{s:I, s:s}, s:{s:I, s:I}}", "format", BACKUP_FORMAT,
                             "schema", migrate_latest(), "created", created, "database", "bytes",
                             (json_int_t)b->database_bytes, "digest", hex, "blobs", "count",
                             (json_int_t)b->blobs, "bytes", (json_int_t)b->blob_bytes);
    return head ? json_write(head, &b->head, e)
                : err_set(e, ERR_NOMEM, "no memory for a backup's head");
}

enum err_code backup_begin(struct state *s, const char *who, struct backup **ret, struct err *e)
{
    struct backup *made = calloc(1, sizeof *made);
    if (!made)
        return err_set(e, ERR_NOMEM, "no memory for a backup");
    made->state = s;
    buf_init(&made->head, BACKUP_HEAD_MAX);
    state_put_begin(s);
    CLEANUP(backup_end_p) struct backup *b = made;
    enum err_code r = audit_add(s, who, "backup.take", "state", NULL, e);
    if (!r)
        r = make_folder(b, e);
    if (!r)
        r = copy_database(b, e);
    if (!r)
        r = measure_database(b, e);
    if (!r)
        r = each_blob(b, count_blob, NULL, e);
    if (!r)
        r = make_head(b, e);
    if (r)
        return r;
    b->bytes += pack_file_bytes(b->head.len) + pack_file_bytes(b->database_bytes) + PACK_END_BYTES;
    *ret = STEAL(b);
    return ERR_OK;
}

/* --- the stream --------------------------------------------------------------------------- */

static enum err_code add_piece(void *context, const void *bytes, size_t len, struct err *e)
{
    return pack_add(context, bytes, len, e);
}

static enum err_code write_database(struct backup *b, struct pack_writer *w, struct err *e)
{
    CLEANUP(cleanup_fd) int fd = -1;
    uint64_t size = 0;
    struct digest d;
    enum err_code r = open_database(b, &fd, &size, e);
    if (!r)
        r = pack_file(w, BACKUP_DATABASE, size, e);
    if (!r)
        r = read_file(b, fd, size, b->path, add_piece, w, &d, e);
    if (!r && digest_compare(&d, &b->digest) != 0)
        r = err_set(e, ERR_INTERNAL, "the copy of the database has changed");
    return r;
}

static enum err_code write_blob(struct backup *b, const struct digest *d, int fd, uint64_t size,
                                void *context, struct err *e)
{
    struct pack_writer *w = context;
    struct digest found;
    char hex[DIGEST_HEX + 1], path[PACK_PATH_MAX];
    digest_hex(d, hex);
    snprintf(path, sizeof path, "blobs/sha256/%.2s/%s", hex, hex);
    enum err_code r = pack_file(w, path, size, e);
    if (!r)
        r = read_file(b, fd, size, path, add_piece, w, &found, e);
    if (!r && digest_compare(&found, d) != 0)
        r = err_set(e, ERR_BLOB_CORRUPT, "blob %s does not have its digest", hex);
    return r;
}

enum err_code backup_write(struct backup *b, pack_write_fn write, void *context, struct err *e)
{
    CLEANUP(pack_writer_free_p) struct pack_writer *w = NULL;
    enum err_code r = pack_writer_new(write, context, &w, e);
    if (!r)
        r = pack_file(w, BACKUP_HEAD, b->head.len, e);
    if (!r)
        r = pack_add(w, b->head.data, b->head.len, e);
    if (!r)
        r = write_database(b, w, e);
    if (!r)
        r = each_blob(b, write_blob, w, e);
    return r ? r : pack_end(w, e);
}

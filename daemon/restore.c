#include "daemon/restore.h"

#include "daemon/backup.h"
#include "daemon/db.h"
#include "daemon/migrate.h"
#include "daemon/named.h"
#include "daemon/state.h"
#include "data/base/file.h"
#include "data/base/json.h"
#include "data/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

enum { PIECE = 256 * 1024 };

struct head {
    int64_t schema, database_bytes, blobs, blob_bytes;
    struct digest database;
};

struct restoring {
    const char *dir;
    char *folder, *blobs_path, *database_path; /* below DIR/restoring */
    char *final_blobs_path, *final_database_path;
    struct pack_reader *in;
    struct blobs *blobs;
    struct db *db;
    struct head head;
    int64_t count, bytes;
    bool touched; /* DIR has something that goes after a failure */
    uint8_t piece[PIECE];
};

static void restoring_free(struct restoring *g)
{
    struct err e;
    if (!g)
        return;
    db_close(g->db);
    blobs_close(g->blobs);
    pack_reader_free(g->in);
    if (g->touched) {
        (void)!file_remove_tree(g->final_blobs_path, &e);
        (void)!file_remove_tree(g->folder, &e);
    }
    free(g->folder);
    free(g->blobs_path);
    free(g->database_path);
    free(g->final_blobs_path);
    free(g->final_database_path);
    free(g);
}

CLEANUP_DEFINE(struct restoring, restoring_free);
CLEANUP_DEFINE(struct digest_stream, digest_stream_free);

static void close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

/* --- the folder --------------------------------------------------------------------------- */

static bool is_one_of(const char *name, const char *const *names)
{
    while (*names && strcmp(name, *names) != 0)
        names++;
    return *names != NULL;
}

/* lost+found: of a file system of its own. */
static enum err_code check_empty(struct restoring *g, struct err *e)
{
    static const char *const nothing[] = { ".", "..", "lock", "lost+found", NULL };
    static const char *const broken_off[] = { STATE_RESTORING, "blobs", NULL };
    bool was_broken_off = access(g->folder, F_OK) == 0 && access(g->final_database_path, F_OK) != 0;
    CLEANUP(close_folder) DIR *folder = opendir(g->dir);
    if (!folder)
        return err_errno(e, errno, "cannot read folder %s", g->dir);
    for (const struct dirent *d = readdir(folder); d; d = readdir(folder))
        if (!is_one_of(d->d_name, nothing) && !(was_broken_off && is_one_of(d->d_name, broken_off)))
            return err_set(e, ERR_STATE_NOT_EMPTY,
                           "%s is not empty: there is %.80s; a backup is restored into an empty "
                           "folder",
                           g->dir, d->d_name);
    return ERR_OK;
}

static enum err_code make_paths(struct restoring *g, struct err *e)
{
    enum err_code r = file_path(&g->folder, e, "%s/" STATE_RESTORING, g->dir);
    if (!r)
        r = file_path(&g->blobs_path, e, "%s/blobs", g->folder);
    if (!r)
        r = file_path(&g->database_path, e, "%s/kennel.db", g->folder);
    if (!r)
        r = file_path(&g->final_blobs_path, e, "%s/blobs", g->dir);
    return r ? r : file_path(&g->final_database_path, e, "%s/kennel.db", g->dir);
}

static enum err_code make_folder(struct restoring *g, struct err *e)
{
    enum err_code r = check_empty(g, e);
    if (r)
        return r;
    g->touched = true;
    r = file_remove_tree(g->final_blobs_path, e);
    if (!r)
        r = file_remove_tree(g->folder, e);
    if (!r)
        r = file_mkdirs(g->folder, e);
    return r ? r : blobs_open(g->blobs_path, true, &g->blobs, e);
}

/* --- what comes --------------------------------------------------------------------------- */

static enum err_code read_head_text(struct restoring *g, struct buf *text, struct err *e)
{
    const char *path = NULL;
    uint64_t size = 0;
    enum err_code r = pack_next(g->in, &path, &size, e);
    if (r)
        return r;
    if (!path || strcmp(path, BACKUP_HEAD) != 0 || size > BACKUP_HEAD_MAX)
        return err_set(e, ERR_BACKUP_FORMAT,
                       "that is no backup of Kennel: it does not begin with " BACKUP_HEAD);
    size_t n = 0;
    do {
        r = pack_read(g->in, g->piece, sizeof g->piece, &n, e);
        if (!r && n)
            r = buf_append(text, g->piece, n, e);
    } while (!r && n);
    return r;
}

static enum err_code read_head(struct restoring *g, struct restored *ret, struct err *e)
{
    CLEANUP(buf_fini) struct buf text;
    CLEANUP(json_decref_p) json_t *value = NULL;
    buf_init(&text, BACKUP_HEAD_MAX);
    enum err_code r = read_head_text(g, &text, e);
    if (!r)
        r = json_read((const char *)text.data, text.len, &value, e);
    if (r)
        return r;
    json_int_t format = 0, schema = 0, bytes = 0, count = 0, blob_bytes = 0;
    const char *created = NULL, *digest = NULL;
    if (json_unpack(value, "{s:I, s:I, s:s, s:{s:I, s:s}, s:{s:I, s:I}}", "format", &format,
                    "schema", &schema, "created", &created, "database", "bytes", &bytes, "digest",
                    &digest, "blobs", "count", &count, "bytes", &blob_bytes) < 0 ||
        !digest_parse(digest, &g->head.database))
        return err_set(e, ERR_BACKUP_FORMAT, "that is no backup of Kennel: its head is unreadable");
    if (format != BACKUP_FORMAT || schema > migrate_latest())
        return err_set(e, ERR_BACKUP_FORMAT,
                       "the backup has format %" PRId64 " and schema %" PRId64
                       ", this program knows format %d and schemas up to %d: it was made by a "
                       "newer one",
                       (int64_t)format, (int64_t)schema, BACKUP_FORMAT, migrate_latest());
    g->head.schema = schema;
    g->head.database_bytes = bytes;
    g->head.blobs = count;
    g->head.blob_bytes = blob_bytes;
    snprintf(ret->created, sizeof ret->created, "%s", created);
    return ERR_OK;
}

static enum err_code next_file(struct restoring *g, const char **ret_path, uint64_t *ret_size,
                               struct err *e)
{
    enum err_code r = pack_next(g->in, ret_path, ret_size, e);
    if (!r && !*ret_path)
        r = err_set(e, ERR_ARCHIVE_TRUNCATED,
                    "the backup is cut off: %" PRId64 " of its %" PRId64 " blobs are there",
                    g->count, g->head.blobs);
    return r;
}

static enum err_code write_database(struct restoring *g, struct err *e)
{
    CLEANUP(digest_stream_free_p) struct digest_stream *stream = NULL;
    CLEANUP(cleanup_fd)
    int fd = open(g->database_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, errno, "cannot create %s", g->database_path);
    enum err_code r = digest_stream_new(&stream, e);
    for (size_t n = 1; !r && n;) {
        r = pack_read(g->in, g->piece, sizeof g->piece, &n, e);
        if (!r)
            r = file_write_all(fd, g->piece, n, g->database_path, e);
        if (!r)
            r = digest_stream_add(stream, g->piece, n, e);
    }
    if (r)
        return r;
    struct digest found;
    digest_stream_end(stream, &found);
    if (digest_compare(&found, &g->head.database) != 0)
        return err_set(e, ERR_BLOB_CORRUPT, "the backup's database does not have its digest");
    return ERR_OK;
}

static enum err_code take_database(struct restoring *g, struct err *e)
{
    const char *path = NULL;
    uint64_t size = 0;
    int64_t schema = 0;
    enum err_code r = next_file(g, &path, &size, e);
    if (r)
        return r;
    if (strcmp(path, BACKUP_DATABASE) != 0 || size != (uint64_t)g->head.database_bytes)
        return err_set(e, ERR_BACKUP_FORMAT, "the backup's database is not where it belongs");
    r = write_database(g, e);
    if (!r)
        r = db_open(g->database_path, &g->db, e);
    if (!r)
        r = migrate_check(g->db, &schema, e);
    if (!r && schema != g->head.schema)
        r = err_set(e, ERR_BACKUP_FORMAT,
                    "the backup's database has schema %" PRId64 ", its head says %" PRId64, schema,
                    g->head.schema);
    return r;
}

/* "blobs/sha256/ab/abcd..." */
static bool parse_name(const char *path, struct digest *ret)
{
    static const char prefix[] = "blobs/sha256/";
    const size_t len = sizeof prefix - 1;
    return strncmp(path, prefix, len) == 0 && strlen(path) == len + 3 + DIGEST_HEX &&
           path[len + 2] == '/' && digest_parse(path + len + 3, ret) &&
           strncmp(path + len, path + len + 3, 2) == 0;
}

static enum err_code write_blob(struct restoring *g, struct digest *ret, struct err *e)
{
    struct blob_writer *out = NULL;
    enum err_code r = blob_writer_new(g->blobs, &out, e);
    for (size_t n = 1; !r && n;) {
        r = pack_read(g->in, g->piece, sizeof g->piece, &n, e);
        if (!r && n)
            r = blob_writer_add(out, g->piece, n, e);
        if (!r)
            g->bytes += (int64_t)n;
    }
    if (!r)
        return blob_writer_end(out, ret, e);
    blob_writer_abort(out);
    return r;
}

static enum err_code take_blob(struct restoring *g, struct err *e)
{
    const char *path = NULL;
    uint64_t size = 0;
    struct digest named, found;
    enum err_code r = next_file(g, &path, &size, e);
    if (r)
        return r;
    if (!parse_name(path, &named))
        return err_set(e, ERR_BACKUP_FORMAT, "%.100s does not belong into a backup", path);
    r = write_blob(g, &found, e);
    if (!r && digest_compare(&named, &found) != 0) {
        char hex[DIGEST_HEX + 1];
        digest_hex(&named, hex);
        r = err_set(e, ERR_BLOB_CORRUPT, "the backup is damaged: blob %s does not have its digest",
                    hex);
    }
    g->count++;
    return r;
}

static enum err_code take_end(struct restoring *g, struct err *e)
{
    const char *path = NULL;
    uint64_t size = 0;
    enum err_code r = pack_next(g->in, &path, &size, e);
    if (!r && path)
        r = err_set(e, ERR_BACKUP_FORMAT, "%.100s does not belong into a backup", path);
    if (!r && g->bytes != g->head.blob_bytes)
        r = err_set(e, ERR_ARCHIVE_CORRUPT,
                    "the backup has %" PRId64 " bytes of blobs, its head says %" PRId64, g->bytes,
                    g->head.blob_bytes);
    return r;
}

static enum err_code check_named(struct restoring *g, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_read(g->db, &t, e);
    if (!r)
        r = named_subjects(t, &rows, e);
    bool more = false;
    while (!r && !(r = db_next(rows, &more, e)) && more) {
        struct digest d;
        r = db_digest(rows, 0, &d, e);
        if (!r && !blobs_has(g->blobs, &d))
            r = err_set(e, ERR_BLOB_MISSING, "the backup lacks the blob of %.120s",
                        db_text(rows, 1));
    }
    return r;
}

/* --- to its place ------------------------------------------------------------------------- */

static enum err_code move(const char *from, const char *to, const char *dir, struct err *e)
{
    if (rename(from, to) < 0)
        return err_errno(e, errno, "cannot rename %s to %s", from, to);
    return file_sync_dir(dir, e);
}

static enum err_code publish(struct restoring *g, struct err *e)
{
    /* Its last close writes what SQLite kept beside it. */
    db_close(STEAL(g->db));
    enum err_code r = blobs_sync(g->blobs, e);
    if (!r)
        r = move(g->blobs_path, g->final_blobs_path, g->dir, e);
    if (!r && rename(g->database_path, g->final_database_path) < 0)
        r = err_errno(e, errno, "cannot rename %s", g->database_path);
    if (r)
        return r;
    /* From here on it is a state folder; the next start removes what is left. */
    g->touched = false;
    r = file_sync_dir(g->dir, e);
    return r ? r : file_remove_tree(g->folder, e);
}

enum err_code restore(const char *dir, archive_read_fn read, void *context, struct restored *ret,
                      struct err *e)
{
    CLEANUP(cleanup_fd) int lock = -1;
    struct restored done = { 0 };
    CLEANUP(restoring_free_p) struct restoring *g = calloc(1, sizeof *g);
    if (!g)
        return err_set(e, ERR_NOMEM, "no memory to restore a backup");
    g->dir = dir;
    enum err_code r = make_paths(g, e);
    if (!r)
        r = pack_reader_new(read, context, &g->in, e);
    if (!r)
        r = read_head(g, &done, e);
    if (!r)
        r = file_mkdirs(dir, e);
    if (!r)
        r = state_lock(dir, true, &lock, e);
    if (!r)
        r = make_folder(g, e);
    if (!r)
        r = take_database(g, e);
    while (!r && g->count < g->head.blobs)
        r = take_blob(g, e);
    if (!r)
        r = take_end(g, e);
    if (!r)
        r = check_named(g, e);
    if (!r)
        r = publish(g, e);
    if (r)
        return r;
    done.schema = g->head.schema;
    done.blobs = g->count;
    done.bytes = g->bytes;
    *ret = done;
    return ERR_OK;
}

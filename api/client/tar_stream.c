#include "api/client/tar_stream.h"

#include "data/base/buf.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 256 * 1024, PENDING_MAX = 8 << 20, HEADER = 512 };

struct tar_stream {
    FTS *walk;
    size_t prefix; /* of a found path: the folder and its slash */
    struct archive *out;
    struct buf pending; /* written by libarchive, not yet read */
    size_t taken;
    int fd; /* of the file that is being sent, or -1 */
    int64_t left;
    const char *name; /* of it, for messages; borrowed from walk */
    bool ended;
    int64_t size, files;
    char *folder; /* owned */
    uint8_t piece[PIECE];
};

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static FTS *open_walk(const char *folder)
{
    char *paths[] = { (char *)folder, NULL };
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (!walk)
        fprintf(stderr, "kennel: %s: %s\n", folder, strerror(errno));
    return walk;
}

/* The next regular file, or NULL at the end or, with *ret_bad set, after a message. */
static FTSENT *next_file(FTS *walk, bool *ret_bad)
{
    for (FTSENT *f; (f = fts_read(walk));) {
        bool hidden = f->fts_level > 0 && f->fts_name[0] == '.';
        switch (f->fts_info) {
        case FTS_D:
            if (hidden)
                fts_set(walk, f, FTS_SKIP);
            break;
        case FTS_F:
            if (!hidden)
                return f;
            break;
        case FTS_DNR:
        case FTS_ERR:
        case FTS_NS:
            fprintf(stderr, "kennel: %s: %s\n", f->fts_path, strerror(f->fts_errno));
            *ret_bad = true;
            return NULL;
        default:
            break;
        }
    }
    return NULL;
}

static bool measure(struct tar_stream *t)
{
    bool bad = false;
    FTS *walk = open_walk(t->folder);
    if (!walk)
        return false;
    for (FTSENT *f; (f = next_file(walk, &bad));) {
        t->files++;
        t->size += (f->fts_statp->st_size + HEADER - 1) / HEADER * HEADER + HEADER;
    }
    fts_close(walk);
    return !bad;
}

static la_ssize_t on_write(struct archive *a, void *context, const void *bytes, size_t len)
{
    struct tar_stream *t = context;
    if (buf_append(&t->pending, bytes, len, NULL) == ERR_OK)
        return (la_ssize_t)len;
    archive_set_error(a, ENOMEM, "out of memory");
    return -1;
}

static bool begin(struct tar_stream *t)
{
    t->walk = open_walk(t->folder);
    if (!t->walk)
        return false;
    t->out = archive_write_new();
    if (t->out && archive_write_set_format_pax_restricted(t->out) == ARCHIVE_OK &&
        archive_write_set_bytes_per_block(t->out, 0) == ARCHIVE_OK &&
        archive_write_open(t->out, t, NULL, on_write, NULL) == ARCHIVE_OK)
        return true;
    fprintf(stderr, "kennel: %s: out of memory\n", t->folder);
    return false;
}

struct tar_stream *tar_stream_new(const char *folder)
{
    struct tar_stream *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->fd = -1;
    buf_init(&t->pending, PENDING_MAX);
    t->folder = strdup(folder);
    size_t len = t->folder ? strlen(t->folder) : 0;
    while (len > 1 && t->folder[len - 1] == '/')
        t->folder[--len] = 0;
    t->prefix = len + 1;
    if (t->folder && measure(t))
        return t;
    tar_stream_free(t);
    return NULL;
}

void tar_stream_free(struct tar_stream *t)
{
    if (!t)
        return;
    if (t->fd >= 0)
        close(t->fd);
    if (t->walk)
        fts_close(t->walk);
    if (t->out) {
        archive_write_fail(t->out);
        archive_write_free(t->out);
    }
    buf_fini(&t->pending);
    free(t->folder);
    free(t);
}

int64_t tar_stream_size(const struct tar_stream *t)
{
    return t->size;
}

int64_t tar_stream_files(const struct tar_stream *t)
{
    return t->files;
}

static bool complain(const char *name, const char *why)
{
    fprintf(stderr, "kennel: %s: %s\n", name, why);
    return false;
}

static bool begin_file(struct tar_stream *t, FTSENT *f)
{
    t->name = f->fts_path;
    t->fd = open(f->fts_accpath, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (t->fd < 0)
        return complain(t->name, strerror(errno));
    struct archive_entry *entry = archive_entry_new();
    if (!entry)
        return complain(t->name, "out of memory");
    t->left = f->fts_statp->st_size;
    archive_entry_set_pathname(entry, f->fts_path + t->prefix);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, t->left);
    int r = archive_write_header(t->out, entry);
    archive_entry_free(entry);
    return r >= ARCHIVE_WARN ? true : complain(t->name, archive_error_string(t->out));
}

/* A file that has become shorter meanwhile would make a wrong archive. */
static bool send_piece(struct tar_stream *t)
{
    if (!t->left) {
        close(t->fd);
        t->fd = -1;
        return true;
    }
    ssize_t n = read(t->fd, t->piece, t->left < PIECE ? (size_t)t->left : PIECE);
    if (n <= 0)
        return complain(t->name, n ? strerror(errno) : "became shorter while it was sent");
    t->left -= n;
    return archive_write_data(t->out, t->piece, (size_t)n) == n
               ? true
               : complain(t->name, archive_error_string(t->out));
}

static bool step(struct tar_stream *t)
{
    if (t->fd >= 0)
        return send_piece(t);
    bool bad = false;
    FTSENT *f = next_file(t->walk, &bad);
    if (f)
        return begin_file(t, f);
    if (bad)
        return false;
    t->ended = true;
    return archive_write_close(t->out) == ARCHIVE_OK
               ? true
               : complain(t->folder, archive_error_string(t->out));
}

ssize_t tar_stream_read(void *stream, void *bytes, size_t len)
{
    struct tar_stream *t = stream;
    if (t->taken == t->pending.len) {
        buf_reset(&t->pending);
        t->taken = 0;
    }
    if (!t->walk && !begin(t))
        return -1;
    while (!t->pending.len && !t->ended)
        if (!step(t))
            return -1;
    size_t n = t->pending.len - t->taken;
    if (n > len)
        n = len;
    if (n)
        memcpy(bytes, t->pending.data + t->taken, n);
    t->taken += n;
    return (ssize_t)n;
}

#include "data/blob.h"

#include "data/base/cleanup.h"
#include "data/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

/* Crash consistency: a rename that was not synced can come back from a power cut as an empty or
 * short file under its final name. No row names it (rows follow blobs_sync()), and the
 * daemon sweeps it at start; a put never trusts it, because its size is wrong. After a sync
 * that failed the kernel may have dropped pages of files whose size looks right, so from then on
 * a put writes anew what it cannot be sure of. */
struct blobs {
    char *root;         /* ROOT */
    int root_fd;        /* ROOT; syncfs() on it reports what went wrong since it was opened */
    int names_fd;       /* ROOT/sha256 */
    int temporaries_fd; /* ROOT/tmp */
    atomic_uint_fast64_t next_temporary;
    atomic_bool sync_failed;
};

enum { NAME_BYTES = sizeof "ab/" + DIGEST_HEX, TEMPORARY_BYTES = 48 };

struct blob_writer {
    struct blobs *b; /* borrowed */
    struct digest_stream *stream;
    uint64_t len;
    int fd;
    bool is_broken;             /* an add failed */
    char name[TEMPORARY_BYTES]; /* below ROOT/tmp; "" once it is gone */
};

CLEANUP_DEFINE(struct blobs, blobs_close);
CLEANUP_DEFINE(struct blob_writer, blob_writer_abort);
CLEANUP_DEFINE(DIR, closedir);

static void blob_name(const struct digest *d, char ret[NAME_BYTES])
{
    char hex[DIGEST_HEX + 1];
    digest_hex(d, hex);
    snprintf(ret, NAME_BYTES, "%.2s/%s", hex, hex);
}

static enum err_code open_folder(const struct blobs *b, const char *name, int *ret, struct err *e)
{
    if (mkdirat(b->root_fd, name, 0700) < 0 && errno != EEXIST)
        return err_errno(e, errno, "cannot create folder %s/%s", b->root, name);
    int fd = openat(b->root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, errno, "cannot open folder %s/%s", b->root, name);
    *ret = fd;
    return ERR_OK;
}

/* A listing of its own: fdopendir() takes the descriptor, and reading moves its position. */
static DIR *list_folder(int fd, const char *name)
{
    int own = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    if (!dir && own >= 0)
        close(own);
    return dir;
}

static enum err_code sweep_temporaries(struct blobs *b, struct err *e)
{
    CLEANUP(closedir_p) DIR *dir = list_folder(b->temporaries_fd, ".");
    if (!dir)
        return err_errno(e, errno, "cannot list %s/tmp", b->root);
    for (struct dirent *d = readdir(dir); d; d = readdir(dir))
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 &&
            unlinkat(b->temporaries_fd, d->d_name, 0) < 0 && errno != ENOENT)
            return err_errno(e, errno, "cannot remove %s/tmp/%s", b->root, d->d_name);
    return ERR_OK;
}

enum err_code blobs_open(const char *root, bool sweep, struct blobs **ret, struct err *e)
{
    CLEANUP(blobs_close_p) struct blobs *b = calloc(1, sizeof *b);
    if (!b)
        return err_set(e, ERR_NOMEM, "no memory for the blob store %s", root);
    b->root_fd = b->names_fd = b->temporaries_fd = -1;
    enum err_code r = file_path(&b->root, e, "%s", root);
    if (!r)
        r = file_mkdirs(root, e);
    if (r)
        return r;
    b->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->root_fd < 0)
        return err_errno(e, errno, "cannot open folder %s", root);
    r = open_folder(b, "sha256", &b->names_fd, e);
    if (!r)
        r = open_folder(b, "tmp", &b->temporaries_fd, e);
    if (!r && sweep)
        r = sweep_temporaries(b, e);
    if (r)
        return r;
    *ret = STEAL(b);
    return ERR_OK;
}

void blobs_close(struct blobs *b)
{
    if (!b)
        return;
    cleanup_fd(&b->temporaries_fd);
    cleanup_fd(&b->names_fd);
    cleanup_fd(&b->root_fd);
    free(b->root);
    free(b);
}

/* Whether the final name holds len bytes that a put need not write again. */
static bool is_there(struct blobs *b, const char *name, uint64_t len)
{
    struct stat st;
    return !atomic_load(&b->sync_failed) && fstatat(b->names_fd, name, &st, 0) == 0 &&
           S_ISREG(st.st_mode) && (uint64_t)st.st_size == len;
}

static enum err_code create_temporary(struct blobs *b, char ret_name[TEMPORARY_BYTES], int *ret,
                                      struct err *e)
{
    for (;;) {
        uint64_t number = atomic_fetch_add(&b->next_temporary, 1);
        snprintf(ret_name, TEMPORARY_BYTES, "%ld-%" PRIu64, (long)getpid(), number);
        int fd = openat(b->temporaries_fd, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0) {
            *ret = fd;
            return ERR_OK;
        }
        /* Left by an earlier process of that number, or another store on the same folder. */
        if (errno != EEXIST && errno != EINTR)
            return err_errno(e, errno, "cannot create %s/tmp/%s", b->root, ret_name);
    }
}

static enum err_code publish(struct blobs *b, const char *temporary, const char *name,
                             struct err *e)
{
    if (renameat(b->temporaries_fd, temporary, b->names_fd, name) == 0)
        return ERR_OK;
    if (errno != ENOENT)
        return err_errno(e, errno, "cannot rename to %s/sha256/%s", b->root, name);
    char folder[3] = { name[0], name[1], 0 };
    if (mkdirat(b->names_fd, folder, 0700) < 0 && errno != EEXIST)
        return err_errno(e, errno, "cannot create folder %s/sha256/%s", b->root, folder);
    if (renameat(b->temporaries_fd, temporary, b->names_fd, name) < 0)
        return err_errno(e, errno, "cannot rename to %s/sha256/%s", b->root, name);
    return ERR_OK;
}

enum err_code blobs_put(struct blobs *b, const void *bytes, size_t len, struct digest *ret,
                        struct err *e)
{
    struct digest d;
    enum err_code r = digest_of(bytes, len, &d, e);
    if (r)
        return r;
    char name[NAME_BYTES];
    blob_name(&d, name);
    if (!is_there(b, name, len)) {
        CLEANUP(cleanup_fd) int fd = -1;
        char temporary[TEMPORARY_BYTES];
        r = create_temporary(b, temporary, &fd, e);
        if (r)
            return r;
        r = file_write_all(fd, bytes, len, b->root, e);
        if (!r)
            r = publish(b, temporary, name, e);
        if (r) {
            unlinkat(b->temporaries_fd, temporary, 0);
            return r;
        }
    }
    *ret = d;
    return ERR_OK;
}

enum err_code blobs_sync(struct blobs *b, struct err *e)
{
    if (syncfs(b->root_fd) == 0)
        return ERR_OK;
    int error = errno;
    atomic_store(&b->sync_failed, true);
    return err_errno(e, error, "cannot sync %s", b->root);
}

enum err_code blob_writer_new(struct blobs *b, struct blob_writer **ret, struct err *e)
{
    CLEANUP(blob_writer_abort_p) struct blob_writer *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ERR_NOMEM, "no memory to write a blob");
    w->b = b;
    w->fd = -1;
    enum err_code r = digest_stream_new(&w->stream, e);
    if (r)
        return r;
    char name[TEMPORARY_BYTES];
    r = create_temporary(b, name, &w->fd, e);
    if (r)
        return r;
    memcpy(w->name, name, sizeof name);
    *ret = STEAL(w);
    return ERR_OK;
}

enum err_code blob_writer_add(struct blob_writer *w, const void *bytes, size_t len, struct err *e)
{
    enum err_code r = digest_stream_add(w->stream, bytes, len, e);
    if (!r)
        r = file_write_all(w->fd, bytes, len, w->b->root, e);
    if (r)
        w->is_broken = true;
    else
        w->len += len;
    return r;
}

static enum err_code finish(struct blob_writer *w, struct digest *ret, struct err *e)
{
    if (w->is_broken)
        return err_set(e, ERR_IO, "a blob below %s was not written whole", w->b->root);
    struct digest d;
    digest_stream_end(w->stream, &d);
    char name[NAME_BYTES];
    blob_name(&d, name);
    if (!is_there(w->b, name, w->len)) {
        enum err_code r = publish(w->b, w->name, name, e);
        if (r)
            return r;
        w->name[0] = 0;
    }
    *ret = d;
    return ERR_OK;
}

enum err_code blob_writer_end(struct blob_writer *w, struct digest *ret, struct err *e)
{
    enum err_code r = finish(w, ret, e);
    blob_writer_abort(w);
    return r;
}

void blob_writer_abort(struct blob_writer *w)
{
    if (!w)
        return;
    cleanup_fd(&w->fd);
    if (w->name[0])
        unlinkat(w->b->temporaries_fd, w->name, 0);
    digest_stream_free(w->stream);
    free(w);
}

static enum err_code read_all(int fd, uint64_t len, const char *name, struct buf *ret,
                              struct err *e)
{
    if (len > ret->max - ret->len)
        return err_set(e, ERR_BODY_TOO_LARGE, "blob %.64s of %" PRIu64 " bytes is over %zu bytes",
                       name, len, ret->max);
    enum err_code r = buf_reserve(ret, (size_t)len, e);
    if (r)
        return r;
    for (uint64_t got = 0; got < len;) {
        ssize_t n = read(fd, ret->data + ret->len + got, (size_t)(len - got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "cannot read blob %.64s", name);
        if (n == 0)
            return err_set(e, ERR_BLOB_CORRUPT, "blob %.64s became shorter", name);
        got += (uint64_t)n;
    }
    return ERR_OK;
}

static enum err_code get_open(int fd, uint64_t size, const struct digest *d, bool verify,
                              struct buf *ret, struct err *e)
{
    size_t len = (size_t)size;
    char hex[DIGEST_HEX + 1];
    digest_hex(d, hex);
    enum err_code r = read_all(fd, size, hex, ret, e);
    struct digest found;
    if (!r && verify)
        r = digest_of(ret->data + ret->len, len, &found, e);
    if (!r && verify && digest_compare(&found, d) != 0)
        r = err_set(e, ERR_BLOB_CORRUPT, "blob %s does not have its digest", hex);
    ret->len += r ? 0 : len;
    if (ret->data)
        buf_terminate(ret);
    return r;
}

enum err_code blobs_open_one(struct blobs *b, const struct digest *d, int *ret, uint64_t *ret_size,
                             struct err *e)
{
    char name[NAME_BYTES];
    blob_name(d, name);
    const char *hex = name + 3;
    CLEANUP(cleanup_fd) int fd = openat(b->names_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(e, ERR_BLOB_MISSING, "blob %s is missing", hex);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(e, errno, "cannot open blob %s", hex);
    *ret_size = (uint64_t)st.st_size;
    *ret = fd;
    fd = -1;
    return ERR_OK;
}

enum err_code blobs_get(struct blobs *b, const struct digest *d, bool verify, struct buf *ret,
                        struct err *e)
{
    CLEANUP(cleanup_fd) int fd = -1;
    uint64_t size = 0;
    enum err_code r = blobs_open_one(b, d, &fd, &size, e);
    return r ? r : get_open(fd, size, d, verify, ret, e);
}

bool blobs_has(struct blobs *b, const struct digest *d)
{
    char name[NAME_BYTES];
    blob_name(d, name);
    struct stat st;
    return fstatat(b->names_fd, name, &st, 0) == 0 && S_ISREG(st.st_mode);
}

enum err_code blobs_path(struct blobs *b, const struct digest *d, char **ret, struct err *e)
{
    char name[NAME_BYTES];
    blob_name(d, name);
    return file_path(ret, e, "%s/sha256/%s", b->root, name);
}

enum err_code blobs_remove(struct blobs *b, const struct digest *d, struct err *e)
{
    char name[NAME_BYTES];
    blob_name(d, name);
    if (unlinkat(b->names_fd, name, 0) < 0 && errno != ENOENT)
        return err_errno(e, errno, "cannot remove blob %s", name + 3);
    return ERR_OK;
}

static enum err_code walk_folder(struct blobs *b, const char *folder, blob_visit fn, void *context,
                                 struct err *e)
{
    CLEANUP(closedir_p) DIR *dir = list_folder(b->names_fd, folder);
    if (!dir)
        return err_errno(e, errno, "cannot list %s/sha256/%s", b->root, folder);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        struct digest d;
        if (strncmp(entry->d_name, folder, 2) != 0 || !digest_parse(entry->d_name, &d))
            continue;
        enum err_code r = fn(context, &d, e);
        if (r)
            return r;
    }
    return ERR_OK;
}

enum err_code blobs_walk(struct blobs *b, blob_visit fn, void *context, struct err *e)
{
    for (int i = 0; i < 256; i++) {
        char folder[3];
        snprintf(folder, sizeof folder, "%02x", (unsigned)i & 0xff);
        if (faccessat(b->names_fd, folder, F_OK, 0) < 0 && errno == ENOENT)
            continue;
        enum err_code r = walk_folder(b, folder, fn, context, e);
        if (r)
            return r;
    }
    return ERR_OK;
}

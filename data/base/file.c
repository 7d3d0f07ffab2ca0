#include "data/base/file.h"

#include "data/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

enum err_code file_path(char **ret, struct err *e, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    char *text = NULL;
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    if (n < 0)
        return err_set(e, ERR_NOMEM, "no memory for a path");
    *ret = text;
    return ERR_OK;
}

enum err_code file_write_all(int fd, const void *bytes, size_t len, const char *what, struct err *e)
{
    const char *at = bytes;
    while (len) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "cannot write %s", what);
        at += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

enum err_code file_sync_dir(const char *path, struct err *e)
{
    CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_errno(e, errno, "cannot sync folder %s", path);
    return ERR_OK;
}

static enum err_code write_temporary(int fd, const char *temporary, const char *path,
                                     const void *bytes, size_t len, struct err *e)
{
    enum err_code r = file_write_all(fd, bytes, len, path, e);
    if (r)
        return r;
    if (fsync(fd) < 0)
        return err_errno(e, errno, "cannot sync %s", path);
    if (rename(temporary, path) < 0)
        return err_errno(e, errno, "cannot rename to %s", path);
    return ERR_OK;
}

enum err_code file_write_atomic(const char *path, const void *bytes, size_t len, struct err *e)
{
    CLEANUP(cleanup_free) char *temporary = NULL;
    CLEANUP(cleanup_free) char *copy = NULL;
    enum err_code r = file_path(&temporary, e, "%s.XXXXXX", path);
    if (!r)
        r = file_path(&copy, e, "%s", path);
    if (r)
        return r;
    /* Opened first: once the file is renamed only the sync itself can fail. */
    const char *folder = dirname(copy);
    CLEANUP(cleanup_fd) int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0)
        return err_errno(e, errno, "cannot open folder %s", folder);

    CLEANUP(cleanup_fd) int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, errno, "cannot create %s", temporary);
    r = write_temporary(fd, temporary, path, bytes, len, e);
    if (r) {
        unlink(temporary);
        return r;
    }
    if (fsync(folder_fd) < 0)
        return err_errno(e, errno, "cannot sync folder %s", folder);
    return ERR_OK;
}

static enum err_code append_rest(int fd, const char *path, struct buf *ret, struct err *e)
{
    for (;;) {
        /* At the limit one byte more is read only to tell "full" from "too long". */
        bool is_full = ret->len == ret->max;
        enum err_code r = ret->len == ret->cap ? buf_reserve(ret, !is_full, e) : ERR_OK;
        if (r)
            return r;
        uint8_t extra;
        ssize_t n =
            is_full ? read(fd, &extra, 1) : read(fd, ret->data + ret->len, ret->cap - ret->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "cannot read %s", path);
        if (n > 0 && is_full)
            return err_set(e, ERR_BODY_TOO_LARGE, "%s is larger than %zu bytes", path, ret->max);
        ret->len += (size_t)n;
        if (n == 0)
            return ERR_OK;
    }
}

enum err_code file_read(const char *path, struct buf *ret, struct err *e)
{
    CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(e, errno, "cannot open %s", path);
    if (st.st_size > 0 && (uintmax_t)st.st_size > ret->max - ret->len)
        return err_set(e, ERR_BODY_TOO_LARGE, "%s is larger than %zu bytes", path, ret->max);
    size_t left = ret->max - ret->len;
    size_t expected = st.st_size > 0 ? (size_t)st.st_size + 1 : 1;
    enum err_code r = buf_reserve(ret, expected < left ? expected : left, e);
    if (r)
        return r;

    size_t before = ret->len;
    r = append_rest(fd, path, ret, e);
    if (r)
        ret->len = before;
    buf_terminate(ret);
    return r;
}

enum err_code file_mkdirs(const char *path, struct err *e)
{
    CLEANUP(cleanup_free) char *copy = NULL;
    enum err_code r = file_path(&copy, e, "%s", path);
    if (r)
        return r;
    for (char *slash = copy; slash;) {
        slash = *slash ? strchr(slash + 1, '/') : NULL;
        if (slash)
            *slash = 0;
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            return err_errno(e, errno, "cannot create folder %s", path);
        if (slash)
            *slash = '/';
    }
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_errno(e, ENOTDIR, "cannot create folder %s", path);
    return ERR_OK;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

enum err_code file_remove_tree(const char *path, struct err *e)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
        return err_errno(e, errno, "cannot remove %s", path);
    return ERR_OK;
}

/* archive_walk_folder(): the walk of archive.h over a folder.
 *
 * Everything is opened relative to the folder above it and never through a link, so that a name
 * swapped while the walk runs leads nowhere else. */
#include "data/archive.h"
#include "data/archive_path.h"
#include "data/base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 32 };

struct folder_walk {
    const struct archive_limits *limits;
    archive_file_fn on_file;
    void *file_context;
    uint64_t entries;
    uint64_t unpacked;
    struct buf member;
};

struct names {
    char **list; /* owned */
    size_t count, cap;
};

static void names_fini(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->list[i]);
    free(n->list);
}

static void folder_walk_fini(struct folder_walk *w)
{
    buf_fini(&w->member);
}

CLEANUP_DEFINE(DIR, closedir);

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum err_code add_name(struct names *n, const char *name, struct err *e)
{
    if (n->count == n->cap) {
        size_t cap = n->cap ? n->cap * 2 : 64;
        char **list = reallocarray(n->list, cap, sizeof *list);
        if (!list)
            return err_set(e, ERR_NOMEM, "no memory to list a folder");
        n->list = list;
        n->cap = cap;
    }
    n->list[n->count] = strdup(name);
    if (!n->list[n->count])
        return err_set(e, ERR_NOMEM, "no memory to list a folder");
    n->count++;
    return ERR_OK;
}

/* Sorted, because a folder has no order of its own and a walk must be repeatable. */
static enum err_code list_names(struct folder_walk *w, int fd, const char *path, struct names *ret,
                                struct err *e)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(closedir_p) DIR *dir = own < 0 ? NULL : fdopendir(own);
    if (!dir) {
        int error = errno;
        if (own >= 0)
            close(own);
        return err_errno(e, error, "cannot list folder %s", path);
    }
    for (;;) {
        errno = 0;
        struct dirent *d = readdir(dir);
        if (!d && errno)
            return err_errno(e, errno, "cannot list folder %s", path);
        if (!d)
            break;
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        if (++w->entries > w->limits->max_entries)
            return err_set(e, ERR_ARCHIVE_ENTRIES, "the folder has more than %" PRIu64 " members",
                           w->limits->max_entries);
        enum err_code r = add_name(ret, d->d_name, e);
        if (r)
            return r;
    }
    if (ret->count)
        qsort(ret->list, ret->count, sizeof *ret->list, compare_names);
    return ERR_OK;
}

static enum err_code check_kind(mode_t mode, const char *path, struct err *e)
{
    if (S_ISREG(mode) || S_ISDIR(mode))
        return ERR_OK;
    if (S_ISLNK(mode))
        return err_set(e, ERR_ARCHIVE_LINK, "%.300s: symbolic links are not followed", path);
    return err_set(e, ERR_ARCHIVE_DEVICE, "%.300s: devices, fifos and sockets are not allowed",
                   path);
}

static enum err_code read_file(int fd, const char *path, struct buf *ret, struct err *e)
{
    buf_reset(ret);
    for (;;) {
        bool is_full = ret->len == ret->max;
        enum err_code r = ret->len == ret->cap && !is_full ? buf_reserve(ret, 1, e) : ERR_OK;
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
            return err_set(e, ERR_IO, "%.300s grew while it was read", path);
        if (n == 0)
            return ERR_OK;
        ret->len += (size_t)n;
        buf_terminate(ret);
    }
}

static enum err_code take_file(struct folder_walk *w, int fd, const struct stat *st,
                               const char *path, struct err *e)
{
    uint64_t len = (uint64_t)st->st_size;
    bool fits = len <= w->limits->max_member;
    if (len > w->limits->max_unpacked - w->unpacked)
        return err_set(e, ERR_ARCHIVE_BOMB, "%.300s: the folder holds more than %" PRIu64 " bytes",
                       path, w->limits->max_unpacked);
    w->unpacked += len;
    if (fits) {
        enum err_code r = read_file(fd, path, &w->member, e);
        if (r)
            return r;
        len = w->member.len;
    }
    const uint8_t *bytes = w->member.data ? w->member.data : (const uint8_t *)"";
    return w->on_file(w->file_context, path, fits ? bytes : NULL, (size_t)len, e);
}

static enum err_code walk_below(struct folder_walk *w, int fd, const char *path, int depth,
                                struct err *e);

static enum err_code take_name(struct folder_walk *w, int folder_fd, const char *folder,
                               const char *name, int depth, struct err *e)
{
    struct buf path;
    buf_init(&path, ARCHIVE_PATH_MAX);
    CLEANUP(buf_fini) struct buf clean;
    buf_init(&clean, ARCHIVE_PATH_MAX);
    enum err_code r = buf_printf(&path, e, "%s%s%s", folder, *folder ? "/" : "", name);
    if (!r)
        r = archive_path_clean((const char *)path.data, &clean, e);
    buf_fini(&path);
    if (r)
        return r == ERR_BODY_TOO_LARGE
                   ? err_set(e, ERR_ARCHIVE_PATH, "%.300s...: a path of more than %d bytes", folder,
                             ARCHIVE_PATH_MAX)
                   : r;
    const char *shown = (const char *)clean.data;

    /* Looked at before it is opened: opening a device can do things. */
    struct stat st;
    if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(e, errno, "cannot read %s", shown);
    r = check_kind(st.st_mode, shown, e);
    if (r)
        return r;
    CLEANUP(cleanup_fd)
    int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ELOOP)
        return check_kind(S_IFLNK, shown, e);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(e, errno, "cannot open %s", shown);
    r = check_kind(st.st_mode, shown, e);
    if (r)
        return r;
    return S_ISDIR(st.st_mode) ? walk_below(w, fd, shown, depth + 1, e)
                               : take_file(w, fd, &st, shown, e);
}

static enum err_code walk_below(struct folder_walk *w, int fd, const char *path, int depth,
                                struct err *e)
{
    if (depth > DEPTH_MAX)
        return err_set(e, ERR_ARCHIVE_PATH, "%.300s: folders deeper than %d levels", path,
                       DEPTH_MAX);
    CLEANUP(names_fini) struct names names = { 0 };
    enum err_code r = list_names(w, fd, path, &names, e);
    for (size_t i = 0; i < names.count && !r; i++)
        r = take_name(w, fd, path, names.list[i], depth, e);
    return r;
}

enum err_code archive_walk_folder(const char *folder, const struct archive_limits *limits,
                                  archive_file_fn on_file, void *file_context, struct err *e)
{
    CLEANUP(folder_walk_fini)
    struct folder_walk w = { .limits = limits, .on_file = on_file, .file_context = file_context };
    buf_init(&w.member, limits->max_member < SIZE_MAX ? (size_t)limits->max_member : SIZE_MAX);
    CLEANUP(cleanup_fd)
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP) && lstat(folder, &st) == 0 &&
        S_ISLNK(st.st_mode))
        return check_kind(S_IFLNK, folder, e);
    if (fd < 0)
        return err_errno(e, errno, "cannot open folder %s", folder);
    return walk_below(&w, fd, "", 0, e);
}

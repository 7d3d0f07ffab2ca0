#include "data/feature_folder.h"

#include "data/base/cleanup.h"
#include "data/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

struct entry {
    char name[NAME_MAX + 1];
    int64_t bytes;
    struct timespec used;
};

struct entries {
    struct entry *of;
    size_t count, cap;
};

static void entries_fini(struct entries *x)
{
    free(x->of);
}

static void close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

/* A file that goes meanwhile is none. */
static enum err_code add(struct entries *x, int folder, const char *name, struct err *e)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        return ERR_OK;
    if (x->count == x->cap) {
        size_t cap = x->cap ? 2 * x->cap : 64;
        struct entry *of = reallocarray(x->of, cap, sizeof *of);
        if (!of)
            return err_set(e, ERR_NOMEM, "no memory to look at %zu feature caches", x->count);
        x->of = of;
        x->cap = cap;
    }
    struct entry *one = &x->of[x->count++];
    *one = (struct entry){ .bytes = st.st_size, .used = st.st_mtim };
    snprintf(one->name, sizeof one->name, "%s", name);
    return ERR_OK;
}

static enum err_code list(DIR *folder, const char *path, struct entries *ret, struct err *e)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry)
            return errno ? err_errno(e, errno, "cannot read folder %s", path) : ERR_OK;
        enum err_code r = add(ret, dirfd(folder), entry->d_name, e);
        if (r)
            return r;
    }
}

static int by_use(const void *a, const void *b)
{
    const struct timespec *x = &((const struct entry *)a)->used;
    const struct timespec *y = &((const struct entry *)b)->used;
    if (x->tv_sec != y->tv_sec)
        return (x->tv_sec > y->tv_sec) - (x->tv_sec < y->tv_sec);
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* False when somebody writes it. */
static bool remove_one(int folder, const char *name, bool dry_run)
{
    CLEANUP(cleanup_fd) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return false;
    return dry_run || unlinkat(folder, name, 0) == 0;
}

enum err_code feature_folder_trim(const char *folder, uint64_t max_bytes, bool dry_run,
                                  struct feature_folder *ret, struct err *e)
{
    CLEANUP(entries_fini) struct entries x = { 0 };
    CLEANUP(close_folder) DIR *dir = opendir(folder);
    struct feature_folder done = { 0 };
    if (!dir && errno != ENOENT)
        return err_errno(e, errno, "cannot read folder %s", folder);
    enum err_code r = dir ? list(dir, folder, &x, e) : ERR_OK;
    if (r)
        return r;
    for (size_t i = 0; i < x.count; i++)
        done.bytes += x.of[i].bytes;
    done.files = (int64_t)x.count;
    if (x.count)
        qsort(x.of, x.count, sizeof *x.of, by_use);
    for (size_t i = 0; i < x.count && (uint64_t)done.bytes > max_bytes; i++) {
        if (!remove_one(dirfd(dir), x.of[i].name, dry_run))
            continue;
        done.files--;
        done.bytes -= x.of[i].bytes;
        done.removed_files++;
        done.removed_bytes += x.of[i].bytes;
    }
    *ret = done;
    return ERR_OK;
}

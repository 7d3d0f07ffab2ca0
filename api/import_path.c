#include "api/import_path.h"

#include "data/base/cleanup.h"
#include "data/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static bool is_below(const char *root, const char *path)
{
    size_t len = strlen(root);
    if (len == 1) /* "/" */
        return true;
    return strncmp(root, path, len) == 0 && (path[len] == 0 || path[len] == '/');
}

static enum err_code forbidden(const char *path, struct err *e)
{
    return err_set(e, ERR_PATH_FORBIDDEN,
                   "%.200s is no folder or archive below the allowed import root", path);
}

enum err_code import_path_open(const char *root, const char *path, struct import_path *ret,
                               struct err *e)
{
    if (!root)
        return err_set(e, ERR_PATH_FORBIDDEN,
                       "imports by path are off: the server was started without --import-root");
    CLEANUP(cleanup_free) char *wanted = NULL;
    enum err_code code = path[0] == '/' ? file_path(&wanted, e, "%s", path)
                                        : file_path(&wanted, e, "%s/%s", root, path);
    if (code)
        return code;
    CLEANUP(cleanup_free) char *resolved = realpath(wanted, NULL);
    if (!resolved || !is_below(root, resolved))
        return forbidden(path, e);
    int fd = open(resolved, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    bool usable = fd >= 0 && fstat(fd, &st) == 0;
    if (usable && S_ISREG(st.st_mode)) {
        *ret = (struct import_path){ .fd = fd };
        return ERR_OK;
    }
    if (fd >= 0)
        close(fd);
    if (!usable || !S_ISDIR(st.st_mode))
        return forbidden(path, e);
    *ret = (struct import_path){ .folder = STEAL(resolved), .fd = -1 };
    return ERR_OK;
}

void import_path_close(struct import_path *p)
{
    free(p->folder);
    if (p->fd >= 0)
        close(p->fd);
}

ssize_t import_path_read(void *context, void *bytes, size_t len, struct err *e)
{
    const struct import_path *p = context;
    ssize_t n;
    do
        n = read(p->fd, bytes, len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        err_errno(e, errno, "cannot read the archive");
    return n;
}

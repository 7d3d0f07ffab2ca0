/* import_path.h -- a folder or archive that the server reads itself: only below the import root.
 *
 * Invariant: what is opened lies below the root after every symbolic link is resolved; the walk
 * itself follows none. What is outside and what does not exist get the same answer.
 * Threads: any. */
#ifndef KENNEL_IMPORT_PATH_H
#define KENNEL_IMPORT_PATH_H

#include "data/base/err.h"

#include <sys/types.h>

struct import_path {
    char *folder; /* owned; NULL: it is a file */
    int fd;       /* owned; -1: it is a folder */
};

/* root: resolved, or NULL when nothing is allowed. path: absolute, or relative to the root.
 * ERR_PATH_FORBIDDEN. */
enum err_code import_path_open(const char *root, const char *path, struct import_path *ret,
                               struct err *e) MUST_USE;
void import_path_close(struct import_path *p);

/* An archive_read_fn; context is the struct import_path of a file. */
ssize_t import_path_read(void *context, void *bytes, size_t len, struct err *e);

#endif

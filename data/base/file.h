/* file.h -- files that are either whole and durable or not there.
 *
 * A file is written under a temporary name in the same folder, synced, renamed,
 * and its folder synced; a reader can never see half of one. ENOSPC comes back as
 * ERR_DISK_FULL. Threads: any. */
#ifndef KENNEL_FILE_H
#define KENNEL_FILE_H

#include "data/base/buf.h"

#include <sys/types.h>

/* Replaces path by the bytes, durably. On failure path is as it was; only when the last step, the
 * sync of the folder, fails may it already be the new file, whole. */
enum err_code file_write_atomic(const char *path, const void *bytes, size_t len, struct err *e)
    MUST_USE;

/* Appends the whole file to ret; ERR_BODY_TOO_LARGE past ret->max. A missing file
 * is ERR_IO. */
enum err_code file_read(const char *path, struct buf *ret, struct err *e) MUST_USE;

/* write(2) until all is written. what names the file in the error. */
enum err_code file_write_all(int fd, const void *bytes, size_t len, const char *what, struct err *e)
    MUST_USE;

/* mkdir -p with mode 0700 for what is new. */
enum err_code file_mkdirs(const char *path, struct err *e) MUST_USE;

/* fsync of a folder, after a rename or unlink in it. */
enum err_code file_sync_dir(const char *path, struct err *e) MUST_USE;

/* rm -r. A missing path is no error. */
enum err_code file_remove_tree(const char *path, struct err *e) MUST_USE;

/* asprintf with an err; the caller owns *ret. */
enum err_code file_path(char **ret, struct err *e, const char *format, ...) MUST_USE
    __attribute__((format(printf, 3, 4)));

#endif

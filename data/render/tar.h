/* tar.h -- files written as a tar, one after the other, the same bytes for the same files.
 *
 * Format ustar; owner 0, mode 0644, time 0. Threads: one owner. */
#ifndef KENNEL_RENDER_TAR_H
#define KENNEL_RENDER_TAR_H

#include "data/base/err.h"

struct tar;

/* Borrows fd. what names it in errors. */
enum err_code tar_new(int fd, const char *what, struct tar **ret, struct err *e) MUST_USE;
enum err_code tar_add(struct tar *t, const char *path, const void *bytes, size_t len, struct err *e)
    MUST_USE;
/* The end of the archive; takes nothing. Without it what was written is no whole archive. */
enum err_code tar_finish(struct tar *t, struct err *e) MUST_USE;
void tar_free(struct tar *t);

#endif

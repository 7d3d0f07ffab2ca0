/* archive.h -- a stream of tar, tar.gz or zip to its files, one at a time.
 *
 * Constant memory: one member is held at once, capped. A hostile or broken archive is
 * refused as a whole, naming the member and the rule: absolute path or `..`
 * (ERR_ARCHIVE_PATH), symbolic or hard link (ERR_ARCHIVE_LINK), device, fifo or socket
 * (ERR_ARCHIVE_DEVICE), too many members (ERR_ARCHIVE_ENTRIES), unpacked size out of all
 * proportion (ERR_ARCHIVE_BOMB), a damaged (ERR_ARCHIVE_CORRUPT) or cut-off stream
 * (ERR_ARCHIVE_TRUNCATED), neither tar nor zip (ERR_ARCHIVE_FORMAT). A member larger than
 * max_member is told to on_file with bytes NULL, and the walk goes on. The source is always read to
 * its end before a walk succeeds.
 * Threads: any; a walk runs on its caller's. */
#ifndef KENNEL_ARCHIVE_H
#define KENNEL_ARCHIVE_H

#include "data/base/err.h"

#include <stdint.h>
#include <sys/types.h>

struct archive_limits {
    uint64_t max_entries;  /* members, folders included */
    uint64_t max_member;   /* bytes of one file */
    uint64_t max_unpacked; /* bytes of all files together */
};

/* Up to len bytes into bytes; 0 at the end; on failure sets *e and returns -1 (that error
 * is then the walk's). */
typedef ssize_t (*archive_read_fn)(void *context, void *bytes, size_t len, struct err *e);

/* One regular file. path is relative, without "./", UTF-8 (a byte that is not is shown as U+FFFD);
 * bytes are borrowed for the call, NULL when the member is over max_member (len is then its size).
 * An error stops the walk. */
typedef enum err_code (*archive_file_fn)(void *context, const char *path, const uint8_t *bytes,
                                         size_t len, struct err *e);

enum err_code archive_walk(archive_read_fn read, void *read_context,
                           const struct archive_limits *limits, archive_file_fn on_file,
                           void *file_context, struct err *e) MUST_USE;

/* The same over a folder, in byte order of names. Symbolic links are refused and never followed,
 * the folder itself included (resolve it first). */
enum err_code archive_walk_folder(const char *folder, const struct archive_limits *limits,
                                  archive_file_fn on_file, void *file_context, struct err *e)
    MUST_USE;

#endif

/* restore.h -- a backup (daemon/backup.h) to a state folder.
 *
 * Everything is written below DIR/restoring and every byte compared with its digest; then the blobs
 * and, last, the database are renamed to their places. So a daemon finds all of it or nothing:
 *
 *   DIR/restoring alone, or with DIR/blobs    broken off: no daemon starts, a restore begins anew
 *   DIR/restoring and DIR/kennel.db           whole: what is left is removed by the next start
 *
 * Threads: one, with the folder's lock held: no daemon runs on it. */
#ifndef KENNEL_RESTORE_H
#define KENNEL_RESTORE_H

#include "data/archive.h"
#include "data/base/clock.h"

struct restored {
    char created[CLOCK_TEXT]; /* when the backup was made */
    int64_t schema, blobs, bytes;
};

/* dir is made where it is not there; else it must be empty (ERR_STATE_NOT_EMPTY).
 * ERR_STATE_LOCKED; ERR_BACKUP_FORMAT for what is no backup or one of a newer program;
 * ERR_ARCHIVE_TRUNCATED, ERR_ARCHIVE_CORRUPT, ERR_BLOB_CORRUPT, ERR_BLOB_MISSING for a damaged one;
 * ERR_DISK_FULL. After an error dir is as empty as it was. */
enum err_code restore(const char *dir, archive_read_fn read, void *context, struct restored *ret,
                      struct err *e) MUST_USE;

#endif

/* backup.h -- everything that is kept, as one stream, while the daemon works on.
 *
 *   kennel-backup.json   {"format": 1, "schema", "created", "database": {"bytes", "digest"},
 *                        "blobs": {"count", "bytes"}}
 *   kennel.db            the database of one moment
 *   blobs/sha256/ab/...  every blob that it names, in the order of their digests
 *
 * as a tar archive (data/pack.h). Blobs never change, so those of the moment are copied after it;
 * from begin to end none is swept. Of the state folder the feature cache and the jobs' checkpoints
 * are not in it: both are made again.
 * Threads: begin, write and end on one. Beside everything else. */
#ifndef KENNEL_BACKUP_H
#define KENNEL_BACKUP_H

#include "daemon/state.h"
#include "data/pack.h"

#define BACKUP_HEAD "kennel-backup.json"
#define BACKUP_DATABASE "kennel.db"
enum { BACKUP_FORMAT = 1, BACKUP_HEAD_MAX = 64 * 1024 };

struct backup;

/* Copies the database into DIR/staging and sees that every blob is there. ERR_BLOB_MISSING naming
 * one, ERR_DISK_FULL. The audit line is written. */
enum err_code backup_begin(struct state *s, const char *who, struct backup **ret, struct err *e)
    MUST_USE;
/* All that backup_write() will write. */
uint64_t backup_bytes(const struct backup *b);
/* ERR_BLOB_CORRUPT when a blob does not have its digest. */
enum err_code backup_write(struct backup *b, pack_write_fn write, void *context, struct err *e)
    MUST_USE;
/* NULL is fine. */
void backup_end(struct backup *b);

#endif

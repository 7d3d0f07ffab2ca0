/* named.h -- the blobs that the database names: what is kept by a sweep, copied by a backup and
 * checked by fsck is asked for here, so that the three cannot differ.
 * Threads: the transaction's. */
#ifndef KENNEL_NAMED_H
#define KENNEL_NAMED_H

#include "daemon/db.h"

/* Rows of one digest, each once, ascending. */
enum err_code named_digests(struct db_tx *t, struct db_rows **ret, struct err *e) MUST_USE;
/* Rows of a digest and the thing that it belongs to ("picture/...", "model/NAME/versions/N"): one
 * for each time that it is named. */
enum err_code named_subjects(struct db_tx *t, struct db_rows **ret, struct err *e) MUST_USE;

#endif

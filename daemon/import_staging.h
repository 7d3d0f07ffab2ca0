/* import_staging.h -- what an import has found so far, and how it becomes a dataset version.
 *
 * Items are kept in a scratch database beside the registry (db_session()), so neither memory nor
 * the write lock is held while an upload is slow. The merge goes by an item's place in the upload:
 * the first occurrence of a picture wins.
 * Threads: one owner. */
#ifndef KENNEL_IMPORT_STAGING_H
#define KENNEL_IMPORT_STAGING_H

#include "daemon/members.h"

struct import_staging;

enum err_code import_staging_new(struct state *s, struct import_staging **ret, struct err *e)
    MUST_USE;
/* Forgets everything that was not committed. NULL is fine. */
void import_staging_free(struct import_staging *g);

/* split may be SPLIT_AUTO. */
enum err_code import_staging_add(struct import_staging *g, int64_t sequence, const char *path,
                                 const struct members_picture *p, const char *label,
                                 enum split split, struct err *e) MUST_USE;
enum err_code import_staging_reject(struct import_staging *g, int64_t sequence, const char *path,
                                    const struct err *reason, struct err *e) MUST_USE;

/* Makes the version in one transaction (none when nothing is new); the blobs must be durable.
 * Once only. *ret: the reply of import_run(). */
enum err_code import_staging_merge(struct import_staging *g, const char *dataset, const char *who,
                                   json_t **ret, struct err *e) MUST_USE;

#endif

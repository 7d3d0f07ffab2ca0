/* feature_folder.h -- the folder of the feature caches (data/feature_cache.h), kept below a bound.
 *
 * Whole files go, those first that were opened or written the longest time ago; never one whose
 * writer's lock is held. Who has given that lock up goes on reading what it has open, and who waits
 * for it opens the file anew: what is gone is computed again, and nothing else happens.
 * Threads: any; one trim at a time is enough. */
#ifndef KENNEL_FEATURE_FOLDER_H
#define KENNEL_FEATURE_FOLDER_H

#include "data/base/err.h"

#include <stdint.h>

struct feature_folder {
    int64_t files, bytes; /* that are left */
    int64_t removed_files, removed_bytes;
};

/* dry_run: says what would go. No such folder is an empty one. ERR_IO, ERR_NOMEM. */
enum err_code feature_folder_trim(const char *folder, uint64_t max_bytes, bool dry_run,
                                  struct feature_folder *ret, struct err *e) MUST_USE;

#endif

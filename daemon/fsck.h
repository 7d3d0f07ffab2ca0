/* fsck.h -- is everything there that the database names, and is it what it was?
 *
 * Reads only, with the state folder's lock held: no daemon changes anything meanwhile, and nothing
 * that is damaged is swept away before it was seen. Constant memory, every blob is read once.
 * Threads: one. */
#ifndef KENNEL_FSCK_H
#define KENNEL_FSCK_H

#include "data/base/err.h"

#include <stdint.h>

/* Called for each thing that is wrong: what is named, and why. */
typedef void (*fsck_damage)(void *context, const char *subject, const char *why);

/* *ret_checked: blobs that were read; *ret_damaged: calls of damage. ERR_STATE_LOCKED while a
 * daemon runs; ERR_IO when there is no state folder. */
enum err_code fsck(const char *dir, fsck_damage damage, void *context, int64_t *ret_checked,
                   int64_t *ret_damaged, struct err *e) MUST_USE;

#endif

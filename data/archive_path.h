/* archive_path.h -- the rules for a member's name, before anything of it is read.
 *
 * Private to archive.c and archive_folder.c. Threads: any. */
#ifndef KENNEL_ARCHIVE_PATH_H
#define KENNEL_ARCHIVE_PATH_H

#include "data/base/buf.h"

enum { ARCHIVE_PATH_MAX = 4096 }; /* bytes, after cleaning */

/* Replaces what is in ret (whose max is ARCHIVE_PATH_MAX) by the relative path without "." and
 * empty parts, as UTF-8: each byte that is not becomes U+FFFD. "" for "./". ERR_ARCHIVE_PATH for an
 * absolute path, a `..` part (also behind a backslash) and one that is too long. */
enum err_code archive_path_clean(const char *name, struct buf *ret, struct err *e) MUST_USE;

#endif

/* key_file.h -- keys that the operator lays down as a file, for instance a Kubernetes Secret.
 *
 * One key a line, "NAME ROLE KEY [RATE]" between blanks; RATE in requests a second. Empty lines and
 * those that begin with # count for nothing. KEY is 32 to 128 letters, digits and -_.+/=. Messages
 * name the line, never the key.
 * Threads: any. */
#ifndef KENNEL_KEY_FILE_H
#define KENNEL_KEY_FILE_H

#include "daemon/key_ring.h"

/* Appends the file's keys. ERR_FIELD_RANGE or ERR_NAME_SYNTAX naming the line, ERR_IO when there is
 * no such file. On failure the ring may hold some of them. */
enum err_code key_file_read(const char *path, struct key_ring *ret, struct err *e) MUST_USE;

#endif

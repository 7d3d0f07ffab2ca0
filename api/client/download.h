/* download.h -- a reply's body to a file. */
#ifndef KENNEL_CLIENT_DOWNLOAD_H
#define KENNEL_CLIENT_DOWNLOAD_H

#include "api/client/command.h"

#include <sys/types.h>

/* Writes FILE.part, with that mode less the umask, and renames it when it is whole and on the disk,
 * so that FILE is whole or what it was; prints its name. "-": standard output. path as for
 * http_call(). */
enum outcome download_to(struct client *c, const char *file, mode_t mode, const char *path, ...)
    __attribute__((format(printf, 4, 5)));

#endif

/* upload.h -- a file or a folder on its way to the server. */
#ifndef KENNEL_CLIENT_UPLOAD_H
#define KENNEL_CLIENT_UPLOAD_H

#include "api/client/http.h"
#include "api/client/progress.h"

struct upload {
    struct http_body body; /* to be given to http_call() */
    struct progress progress;
    FILE *file;             /* owned, or NULL */
    struct tar_stream *tar; /* owned, or NULL */
};

/* "-" is standard input; a folder becomes a tar. FAILED after a message; upload_fini() in any case.
 */
enum outcome upload_open(const char *path, struct upload *ret);
void upload_fini(struct upload *u);

/* A whole file of at most 1 GiB in memory; "-": standard input. FAILED after a message. */
enum outcome upload_read_all(const char *path, struct buf *ret);

#endif

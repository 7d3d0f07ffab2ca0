/* gzip_source.h -- a stream of bytes, unpacked on the way when it is gzip (RFC 1952).
 *
 * libarchive's own gzip filter looks at neither the checksum nor the length, so damage would go
 * into pictures unnoticed. Several members one after the other are one stream; what follows the
 * last one (tapes are padded) is passed over. Private to archive.c. Threads: one owner. */
#ifndef KENNEL_GZIP_SOURCE_H
#define KENNEL_GZIP_SOURCE_H

#include "data/archive.h"

#include <zlib.h>

enum { GZIP_INPUT_BYTES = 64 * 1024 };

struct gzip_source {
    archive_read_fn read;
    void *context;
    uint64_t taken; /* bytes read, before unpacking */
    enum { GZIP_UNDECIDED, GZIP_NO, GZIP_MEMBER, GZIP_BETWEEN, GZIP_TAIL } state;
    bool ended; /* the source told its end */
    z_stream z; /* its next_in and avail_in are what of input is left, in every state */
    uint8_t input[GZIP_INPUT_BYTES];
};

void gzip_source_init(struct gzip_source *g, archive_read_fn read, void *context);
void gzip_source_fini(struct gzip_source *g);

/* An archive_read_fn; the context is a struct gzip_source. Adds ERR_ARCHIVE_TRUNCATED,
 * ERR_ARCHIVE_CORRUPT, ERR_NOMEM to the source's own errors. */
ssize_t gzip_source_read(void *context, void *bytes, size_t len, struct err *e);
bool gzip_source_is_gzip(const struct gzip_source *g);

#endif

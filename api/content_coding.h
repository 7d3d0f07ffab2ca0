/* content_coding.h -- bodies packed with gzip or deflate (RFC 9110, 8.4.1), both ways.
 *
 * "deflate" is zlib's format, as the RFC says; not the bare stream that some old clients sent.
 * Threads: any; pure functions. */
#ifndef KENNEL_CONTENT_CODING_H
#define KENNEL_CONTENT_CODING_H

#include "data/base/buf.h"

enum content_coding { CODING_NONE, CODING_GZIP, CODING_DEFLATE };

/* A Content-Encoding header; "" and "identity" are none. ERR_MEDIA_TYPE. */
enum err_code content_coding_read(const char *header, enum content_coding *ret, struct err *e)
    MUST_USE;
/* The first one of an Accept-Encoding header that is known and not refused with q=0. */
enum content_coding content_coding_accepted(const char *header);
const char *content_coding_name(enum content_coding coding);

/* Appends what `packed` holds: as much as ret->max allows, past which ERR_BODY_BOMB.
 * ERR_BODY_CODING for what is damaged, cut off or followed by something. */
enum err_code content_unpack(enum content_coding coding, const void *packed, size_t len,
                             struct buf *ret, struct err *e) MUST_USE;
enum err_code content_pack(enum content_coding coding, const void *bytes, size_t len,
                           struct buf *ret, struct err *e) MUST_USE;

#endif

/* download.h -- a bounded ring from the task that makes a reply of any size to the HTTP thread that
 * sends it: body_stream.h the other way round.
 *
 * The task waits while the ring is full, the connection sleeps while it is empty; so a reply takes
 * the ring's memory however long it is and however slow its reader. Ownership: two references, the
 * task's and that of the reply; the task's counts as a working request, so that no connection is
 * suspended once nothing works (core.h).
 * Lock order: libmicrohttpd's response lock, download.mu, libmicrohttpd's own.
 * Threads: one task (_new, _write, _end), the HTTP thread through the reply's source. */
#ifndef KENNEL_DOWNLOAD_H
#define KENNEL_DOWNLOAD_H

#include "api/core.h"
#include "api/reply.h"

struct download;

/* size: all the bytes that will be written. Fills *ret_source for the reply. ERR_BUSY when the
 * server stops. */
enum err_code download_new(struct server *s, uint64_t size, struct download **ret,
                           struct reply_source *ret_source, struct err *e) MUST_USE;
/* A pack_write_fn (data/pack.h). ERR_CLIENT_GONE, also for one that reads slower than 16 KiB/s for
 * the idle time of connections; ERR_CANCELLED when the server stops. */
enum err_code download_write(void *download, const void *bytes, size_t len, struct err *e) MUST_USE;
/* Ends the task's part, once. Not whole: the connection is closed before its last byte, so that the
 * client sees it. */
void download_end(struct download *d, bool whole);

#endif

/* event_stream.h -- events to one reader, as server-sent events (HTML Standard, 9.2), without a
 * thread.
 *
 * A stream is parked. Each time the bell rings it reads from the log what came behind its cursor
 * into a small buffer, which the HTTP thread sends; while that is full nothing is read, so a slow
 * reader costs one buffer and misses nothing, as the log keeps the events. An event has its number
 * as id, with which a reader resumes. Progress of a job and heartbeats have none: they are not
 * kept. Ownership: two references, the park's and that of the reply; the park's counts as a working
 * request, so that no connection is suspended once nothing works (core.h).
 * Lock order: libmicrohttpd's response lock, stream.mu, libmicrohttpd's own; the park's lock apart.
 */
#ifndef KENNEL_EVENT_STREAM_H
#define KENNEL_EVENT_STREAM_H

#include "api/core.h"
#include "api/reply.h"

#define EVENT_STREAM_KEY "events" /* of the park: of streams that are not of one job */

struct event_stream_options {  /* copied */
    const char *job;           /* its events and progress, until it has ended; or NULL */
    const char *model, *types; /* daemon/events.h; or NULL */
    int64_t after;             /* the last event that the reader has */
    bool follow;               /* false: ends where the log ends */
};

/* *ret is to be given to a reply. ERR_BUSY when there are as many as there may be, or the server
 * stops. */
enum err_code event_stream_new(struct server *s, const struct event_stream_options *o,
                               struct reply_source *ret, struct err *e) MUST_USE;

#endif

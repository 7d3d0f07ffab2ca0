/* dispatch.h -- libmicrohttpd's callbacks: a request's way through its states.
 *
 *             refused: rest of the body thrown away, problem as reply
 *            /
 *   HEADERS -+-> BODY -> ENDED -> REPLIED
 *       \        |  \      \
 *        \       |   \      suspended while a task, the scorer or the park has it
 *         \      |    suspended while an upload's ring is full
 *          suspended until an upload's task reads or has refused (so that a client that asked with
 *          "Expect: 100-continue" learns of the refusal before it sends)
 *
 * Threads: libmicrohttpd's own. */
#ifndef KENNEL_DISPATCH_H
#define KENNEL_DISPATCH_H

#include <microhttpd.h>

/* cls of all: struct server. */

/* What *request begins with: a path's "%2F" is not to be taken for a "/" once it is unescaped. */
void *dispatch_uri(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result dispatch_request(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *size, void **request);
void dispatch_completed(void *cls, struct MHD_Connection *connection, void **request,
                        enum MHD_RequestTerminationCode code);
/* %XX in place, but for %00, which stays as it is so that no name can be cut short by it. */
size_t dispatch_unescape(void *cls, struct MHD_Connection *connection, char *text);

#endif

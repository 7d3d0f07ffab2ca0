/* core.h -- the inside of struct server, for the files of this folder alone.
 *
 * An open stream of events (event_stream.h) works until it ends. A request is *working* from the
 * moment a task, the scorer or the park has it until it is finished; only a working request's
 * connection is ever suspended, so that none is once working is 0. It is *answering* from its reply
 * being queued until that is sent. Lock order: request.mu before core.mu before libmicrohttpd's
 * own. */
#ifndef KENNEL_CORE_H
#define KENNEL_CORE_H

#include "api/access_log.h"
#include "api/park.h"
#include "api/router.h"
#include "api/server.h"
#include "api/tasks.h"
#include "api/tls.h"
#include "daemon/state.h"

#include <pthread.h>
#include <stdatomic.h>

struct MHD_Daemon;

/* Bytes. */
enum {
    CORE_JSON_MAX = 1 << 20,   /* a JSON body, but for pictures in base64 */
    CORE_DRAIN_MAX = 64 << 20, /* of a refused body: read to its end, so that the sender sees why */
    CORE_RING = 1 << 20,       /* between the HTTP thread and an upload's task */
    CORE_CONNECTION_MEMORY = 64 << 10, /* headers and the piece of a body that is being read */
    CORE_SCORE_INLINE_MAX = 1 << 20,   /* a score body that the HTTP thread decodes itself */
};
/* Bodies held in memory, all together. */
#define CORE_BUFFERED_MAX ((size_t)512 << 20)

struct server {
    struct server_options options; /* its strings are not kept, but for import_root: owned */
    struct server_parts parts;
    struct limits limits;
    struct tasks *tasks;
    struct park *park;
    struct tls *tls; /* NULL: plain HTTP */
    struct MHD_Daemon *daemon;
    const struct route *const *routes;
    struct contract *contract; /* owned: what requests must be like */
    char *import_root;         /* owned, resolved; NULL: imports by path are refused */
    uint16_t port;
    struct meters *meters; /* owned; api/http_meters.h */
    int64_t started_ms;    /* UTC */
    bool is_loopback;      /* what it listens on */
    struct log_queue *log; /* owned: for the threads that must not wait */
    struct access_log access_log;
    struct spans *spans; /* owned; NULL without --otlp-endpoint */
    atomic_size_t buffered;
    atomic_int streams; /* of events, open */
    atomic_int backups; /* that are sent */

    pthread_mutex_t mu;
    pthread_cond_t idle;

    /* guarded by mu */
    bool stopping;
    int working, answering;
    struct request *uploads; /* those whose body is a stream and that are working */
};

/* False once the server stops: then nothing new may begin. */
bool core_work_begin(struct server *s);
void core_work_end(struct server *s);
void core_answer_begin(struct server *s);
void core_answer_end(struct server *s);
bool core_stopping(struct server *s);
/* It serves all that it is to serve, and does not stop. */
bool core_ready(struct server *s);

#endif

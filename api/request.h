/* request.h -- one request, from its headers to its reply.
 *
 * A handler sees what is below "for handlers"; it never sees libmicrohttpd. Everything it may ask
 * for was copied when the headers came, so that it stays valid on any thread, even after the client
 * has gone. A handler that returns ERR_OK has set the reply or deferred: then request_finish() is
 * called later, once, from any thread. A handler that returns an error has set nothing and deferred
 * nothing. States: HEADERS -> BODY -> ENDED -> REPLIED; a refusal while the body comes only marks
 * the request, the rest of the body is read and thrown away, and the refusal is the reply. Threads:
 * one at a time, handed over by the lock; two references (the connection's, the worker's). */
#ifndef KENNEL_REQUEST_H
#define KENNEL_REQUEST_H

#include "api/body_stream.h"
#include "api/core.h"
#include "api/ident.h"
#include "api/reply.h"
#include "api/router.h"
#include "api/trace.h"
#include "daemon/role.h"
#include "daemon/scorer.h"

struct MHD_Connection;

enum { REQUEST_QUERY = 16, REQUEST_TEXT = 256 };

enum request_stage { REQUEST_HEADERS, REQUEST_BODY, REQUEST_ENDED, REQUEST_REPLIED };

struct request_pair {
    char *name, *value; /* owned; one allocation each */
};

/* What the scorer said, for meters, log and trace. */
struct request_score {
    char model[SERVE_NAME]; /* "" when none was chosen */
    int64_t version;
    struct score_times times;
};

struct request {
    /* for handlers */
    struct server *server;
    struct route_match match;
    char id[IDENT_MAX + 1];
    char who[IDENT_MAX + 1];
    enum role role;                  /* of who; on a public route the least */
    char content_type[REQUEST_TEXT]; /* lower case, without parameters; "" when none */
    char if_none_match[REQUEST_TEXT];
    char idempotency_key[REQUEST_TEXT]; /* "" when none */
    char last_event_id[REQUEST_TEXT];   /* "" when none */
    char wanted_version[REQUEST_TEXT];  /* X-Kennel-Version; "" when none */
    char client[REQUEST_TEXT];          /* X-Kennel-Client; "" when none */
    char timeout[16];                   /* X-Kennel-Timeout-Ms; "" when none */
    struct request_score scored;
    char prediction_id[IDENT_TEXT + 1]; /* "" when it has none */
    bool is_routed; /* the version was not asked for: whoever is in production, or its canary */
    struct trace trace;
    struct request_pair query[REQUEST_QUERY];
    int query_count;
    char content_encoding[REQUEST_TEXT]; /* as sent; "" when none */
    char accept_encoding[REQUEST_TEXT];
    char inference_header_length[REQUEST_TEXT]; /* of tensors' bodies (api/oip_request.h) */
    struct buf body;
    struct body_stream *stream; /* NULL unless the route streams */
    struct buf picture;         /* a score request's, decoded from body, or empty: body is it */
    struct reply reply;
    const char *problem_name; /* an extra member of a problem that the handler is about to return */
    json_t *problem_extra;    /* owned */
    bool deferred;
    bool on_http_thread; /* the handler must not touch the disk */

    /* the dispatcher's */
    char method[16];
    enum request_stage stage;
    int retry_after; /* seconds; of ERR_RATE */
    bool has_body, expects_continue, endless, streams, refused, counted_answer;
    struct err refusal;
    uint64_t declared; /* Content-Length; UINT64_MAX when chunked */
    uint64_t limit;    /* bytes of body */
    uint64_t received;
    int64_t begun_us, received_us; /* clock_monotonic_us(): its headers, its last byte */
    uint64_t reply_bytes;
    bool wants_task;
    size_t buffered;                               /* part of server->buffered */
    struct request *next_upload, *previous_upload; /* guarded by server->mu */

    pthread_mutex_t mu;
    /* guarded by mu */
    struct MHD_Connection *connection; /* NULL once it has gone */
    bool suspended, done;
    int refs;
};

struct request *request_new(struct server *s, struct MHD_Connection *connection);
void request_ref(struct request *r);
void request_unref(struct request *r);

/* for handlers */
const char *request_param(const struct request *r, const char *name); /* of the path; never NULL */
const char *request_query(const struct request *r, const char *name); /* or NULL */
/* What the description of the API calls an integer: absent leaves *ret as it is. */
void request_query_int(const struct request *r, const char *name, int64_t *ret);
/* The body as JSON that fits the description; an empty one counts as {} where it is optional.
 * Caller owns. The errors of json_read() and contract_check_body(). */
enum err_code request_json(const struct request *r, json_t **ret, struct err *e) MUST_USE;
/* ?limit=, else 100, and ?before=. */
struct state_page request_page(const struct request *r);
/* A version number in the path. ERR_VERSION_UNKNOWN for what cannot be one. */
enum err_code request_version(const struct request *r, int64_t *ret, struct err *e) MUST_USE;

/* A number in the path. False for what cannot be one. */
bool request_number(const struct request *r, const char *name, int64_t *ret);
/* When nobody waits for a score any more, clock_monotonic_us(): what X-Kennel-Timeout-Ms says, or
 * the server's own. */
int64_t request_deadline(const struct request *r);
/* The handler returns ERR_OK after this, with nothing set, and is called again on a task thread. */
void request_to_task(struct request *r);
/* The version that is to answer, which the meters know whatever becomes of the request. */
void request_chosen(struct request *r, const struct serve_ref *ref);
/* Every done() of a score says so. */
void request_scored(struct request *r, const struct score_result *result);
/* The client has closed its connection (or its half of it): nobody reads the reply. Asked while the
 * request works. */
bool request_client_gone(void *request);

/* The reply is complete: it goes out. Drops the worker's reference. */
void request_finish(struct request *r);
/* Makes err the reply. */
void request_fail(struct request *r, const struct err *err);

#endif

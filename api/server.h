/* server.h -- the HTTP surface over the daemon's parts.
 *
 * HTTP threads (libmicrohttpd, epoll) parse and reply and never wait: scoring goes to the scorer's
 * queue, waiting for a job is parked until the job changes or the wait is over, everything that may
 * touch the disk runs on a small pool of task threads; meanwhile the connection is suspended.
 * Threads: server_new() and server_free() from one thread. */
#ifndef KENNEL_SERVER_H
#define KENNEL_SERVER_H

#include "data/base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct server;
struct state;
struct jobs;
struct meters;
struct predictions;
struct rollouts;
struct follow;
struct traffic;
struct serve;
struct score_stats;
struct scorer;
struct keys;
struct webhook_sender;

enum { SERVER_TIMEOUT_MAX_MS = 600000 };

struct server_options {
    const char *listen;      /* "127.0.0.1:5001", "[::1]:5001"; port 0: any free one */
    int listen_fd;           /* a socket that listens already, instead; taken; -1: none */
    int http_threads;        /* default 2 */
    int task_threads;        /* default 8 */
    const char *import_root; /* folder below which {"path": ...} imports are allowed, or NULL */
    uint64_t max_upload;     /* bytes of an archive, default 64 GiB */
    int max_connections;     /* default 4096 */
    int idle_seconds;        /* default 60 */
    int max_streams;         /* of events, open at once; default 64 */
    int import_threads;
    bool allow_remote;              /* listen beyond loopback although there are no keys */
    const char *tls_cert, *tls_key; /* PEM files; both or neither */
    int score_timeout_ms;           /* of a score that does not say: default 30000 */
    int access_log_rate;            /* lines a second for requests that did not fail; default 100 */
    const char *otlp_endpoint;      /* where spans go, or NULL */
};
void server_options_default(struct server_options *o);

struct server_parts { /* borrowed; they outlive the server */
    struct state *state;
    struct jobs *jobs;
    struct serve *serve;
    struct scorer *scorer;
    struct keys *keys;
    struct meters *meters; /* of the parts: daemon/score_meters.h */
    struct score_stats *stats;
    struct webhook_sender *webhooks;
    struct predictions *predictions;
    struct rollouts *rollouts;
    struct traffic *traffic;
    struct follow *follow; /* a follower's; NULL: a trainer. A follower has no jobs, webhooks and
                              rollouts. */
};

enum err_code server_new(const struct server_options *o, const struct server_parts *parts,
                         struct server **ret, struct err *e) MUST_USE;
/* Stops accepting, lets requests in flight end (parked waits are answered at once), closes. */
void server_free(struct server *s);

/* Reads the certificate again; connections that there are keep theirs. On failure the old one stays
 * in force. */
enum err_code server_reload(struct server *s, struct err *e) MUST_USE;

/* Its lock can be had: nothing hangs that every request needs. */
bool server_alive(struct server *s);

/* It listens on loopback alone, or was told with allow_remote that others may come without keys. */
bool server_may_open(const struct server *s);

/* The port that it listens on. */
uint16_t server_port(const struct server *s);

#endif

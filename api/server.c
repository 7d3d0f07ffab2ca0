#include "api/server.h"

#include "api/contract.h"
#include "api/core.h"
#include "api/dispatch.h"
#include "api/event_stream.h"
#include "api/http_meters.h"
#include "api/listen.h"
#include "api/openapi.h"
#include "api/request.h"
#include "api/spans.h"
#include "daemon/bell.h"
#include "daemon/db.h"
#include "daemon/follow.h"
#include "daemon/jobs.h"
#include "daemon/keys.h"
#include "data/base/clock.h"
#include "data/base/log_queue.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How long a stopping server waits for replies that are being sent. */
enum { ANSWER_SECONDS = 5 };

void server_options_default(struct server_options *o)
{
    *o = (struct server_options){ .listen = "127.0.0.1:5001",
                                  .listen_fd = -1,
                                  .http_threads = 2,
                                  .task_threads = 8,
                                  .max_upload = (uint64_t)64 << 30,
                                  .max_connections = 4096,
                                  .idle_seconds = 60,
                                  .max_streams = 64,
                                  .import_threads = 2,
                                  .access_log_rate = 100,
                                  .score_timeout_ms = 30000 };
}

/* -- what is going on ---------------------------------------------------------------------------
 */

bool core_stopping(struct server *s)
{
    pthread_mutex_lock(&s->mu);
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->mu);
    return stopping;
}

bool core_ready(struct server *s)
{
    struct follow *follow = s->parts.follow;
    return serve_ready(s->parts.serve) && (!follow || follow_ready(follow)) && !core_stopping(s);
}

bool core_work_begin(struct server *s)
{
    pthread_mutex_lock(&s->mu);
    bool ok = !s->stopping;
    s->working += ok;
    pthread_mutex_unlock(&s->mu);
    return ok;
}

void core_work_end(struct server *s)
{
    pthread_mutex_lock(&s->mu);
    s->working--;
    pthread_cond_broadcast(&s->idle);
    pthread_mutex_unlock(&s->mu);
}

void core_answer_begin(struct server *s)
{
    pthread_mutex_lock(&s->mu);
    s->answering++;
    pthread_mutex_unlock(&s->mu);
}

void core_answer_end(struct server *s)
{
    pthread_mutex_lock(&s->mu);
    s->answering--;
    pthread_cond_broadcast(&s->idle);
    pthread_mutex_unlock(&s->mu);
}

/* -- start --------------------------------------------------------------------------------------
 */

static void on_job_change(void *context, const char *id)
{
    struct server *s = context;
    park_notify(s->park, id);
}

static void on_event(void *context)
{
    struct server *s = context;
    park_notify(s->park, EVENT_STREAM_KEY);
}

static void log_mhd(void *cls, const char *format, va_list ap)
{
    struct server *s = cls;
    char text[256];
    vsnprintf(text, sizeof text, format, ap);
    text[strcspn(text, "\n")] = 0;
    log_queue_event(s->log, "debug", "http", "detail", text, NULL);
}

/* Before the handshake, so that a certificate that was replaced meanwhile is used. */
static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    (void)context;
    struct server *s = cls;
    if (!s->tls || code != MHD_CONNECTION_NOTIFY_STARTED)
        return;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (info)
        tls_apply(s->tls, info->tls_session);
}

static enum err_code start_tls(struct server *s, struct err *e)
{
    const struct server_options *o = &s->options;
    if (!o->tls_cert && !o->tls_key)
        return ERR_OK;
    if (!o->tls_cert || !o->tls_key)
        return err_set(e, ERR_FIELD_MISSING, "--tls-cert and --tls-key belong together");
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return err_set(e, ERR_FIELD_RANGE, "this libmicrohttpd knows no TLS");
    return tls_new(o->tls_cert, o->tls_key, &s->tls, e);
}

enum err_code server_reload(struct server *s, struct err *e)
{
    return s->tls ? tls_reload(s->tls, e) : ERR_OK;
}

/* libmicrohttpd takes text that it does not change as void *. */
static void *text_option(const char *text)
{
    return (void *)(uintptr_t)text;
}

static enum err_code open_socket(struct server *s, int *ret, struct err *e)
{
    const struct server_options *o = &s->options;
    bool remote = o->allow_remote || keys_required(s->parts.keys);
    if (o->listen_fd < 0)
        return listen_open(o->listen, remote, ret, &s->port, e);
    enum err_code code = listen_adopt(o->listen_fd, remote, &s->port, e);
    if (!code)
        *ret = o->listen_fd;
    return code;
}

static enum err_code start_daemon(struct server *s, struct err *e)
{
    const struct server_options *o = &s->options;
    int fd = -1;
    enum err_code code = start_tls(s, e);
    if (!code)
        code = open_socket(s, &fd, e);
    if (code)
        return code;
    s->is_loopback = listen_is_loopback(fd);
    int threads = o->http_threads < 1 ? 1 : o->http_threads;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (s->tls)
        flags |= MHD_USE_TLS;
    struct MHD_OptionItem options[] = {
        { MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)log_mhd, s },
        { MHD_OPTION_LISTEN_SOCKET, fd, NULL },
        { MHD_OPTION_CONNECTION_LIMIT, o->max_connections, NULL },
        { MHD_OPTION_CONNECTION_TIMEOUT, o->idle_seconds, NULL },
        { MHD_OPTION_CONNECTION_MEMORY_LIMIT, CORE_CONNECTION_MEMORY, NULL },
        { MHD_OPTION_CONNECTION_MEMORY_INCREMENT, CORE_CONNECTION_MEMORY / 4, NULL },
        { MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)dispatch_uri, s },
        { MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)dispatch_completed, s },
        { MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)dispatch_unescape, s },
        { MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, s },
        { MHD_OPTION_END, 0, NULL },
        { MHD_OPTION_END, 0, NULL },
        { MHD_OPTION_END, 0, NULL },
        { MHD_OPTION_END, 0, NULL },
        { MHD_OPTION_END, 0, NULL },
    };
    size_t last = sizeof options / sizeof *options - 5;
    if (threads > 1)
        options[last++] = (struct MHD_OptionItem){ MHD_OPTION_THREAD_POOL_SIZE, threads, NULL };
    if (s->tls) {
        options[last++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0,
                                                   text_option(tls_priorities()) };
        options[last++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0,
                                                   text_option(tls_cert_text(s->tls)) };
        options[last++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0,
                                                   text_option(tls_key_text(s->tls)) };
    }
    s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, dispatch_request, s, MHD_OPTION_ARRAY,
                                 options, MHD_OPTION_END);
    if (s->daemon)
        return ERR_OK;
    close(fd);
    return err_set(e, ERR_IO, "cannot start the HTTP threads for %s", o->listen);
}

static enum err_code resolve_import_root(struct server *s, struct err *e)
{
    if (!s->options.import_root)
        return ERR_OK;
    s->import_root = realpath(s->options.import_root, NULL);
    if (!s->import_root)
        return err_errno(e, errno, "import root %s", s->options.import_root);
    return ERR_OK;
}

static enum err_code start_parts(struct server *s, struct err *e)
{
    enum err_code code = resolve_import_root(s, e);
    if (!code)
        code = contract_new(openapi_json, (size_t)(openapi_json_end - openapi_json), s->routes,
                            &s->contract, e);
    if (!code)
        code = http_meters_new(&s->meters, e);
    if (!code)
        code = log_queue_new(&s->log, e);
    if (!code && s->options.otlp_endpoint)
        code = spans_new(s->options.otlp_endpoint, s->meters, &s->spans, e);
    if (!code)
        code = tasks_new(s->options.task_threads, &s->tasks, e);
    if (!code)
        code = park_new(&s->park, e);
    if (code)
        return code;
    if (s->parts.jobs)
        jobs_listen(s->parts.jobs, on_job_change, s);
    code = bell_add(db_bell(state_db(s->parts.state)), on_event, s, e);
    return code ? code : start_daemon(s, e);
}

enum err_code server_new(const struct server_options *o, const struct server_parts *parts,
                         struct server **ret, struct err *e)
{
    struct server *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for the HTTP server");
    s->options = *o;
    s->parts = *parts;
    s->limits = *state_limits(parts->state);
    s->routes = routes();
    s->started_ms = clock_utc_ms();
    s->access_log.rate = o->access_log_rate;
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->idle, NULL);
    enum err_code code = start_parts(s, e);
    if (code) {
        server_free(s);
        return code;
    }
    *ret = s;
    return ERR_OK;
}

/* -- stop ---------------------------------------------------------------------------------------
 */

static void abort_uploads(struct server *s)
{
    struct err e;
    err_set(&e, ERR_CANCELLED, "the server is stopping");
    pthread_mutex_lock(&s->mu);
    s->stopping = true;
    for (struct request *r = s->uploads; r; r = r->next_upload)
        body_stream_abort(r->stream, &e);
    pthread_mutex_unlock(&s->mu);
}

/* Whoever works will finish; a client that does not read its reply is not waited for long. */
static void wait_idle(struct server *s)
{
    int64_t until = clock_monotonic_us() + ANSWER_SECONDS * INT64_C(1000000);
    pthread_mutex_lock(&s->mu);
    while (s->working)
        pthread_cond_wait(&s->idle, &s->mu);
    while (s->answering && clock_wait(&s->idle, &s->mu, until))
        continue;
    pthread_mutex_unlock(&s->mu);
}

/* Who comes meanwhile is told that the server is stopping. MHD_quiesce_daemon() would keep them
 * out, but its removal of the listening socket races with that of its own threads, and it then
 * aborts. */
static void stop(struct server *s)
{
    abort_uploads(s);
    park_stop(s->park);
    wait_idle(s);
    MHD_stop_daemon(s->daemon);
}

void server_free(struct server *s)
{
    if (!s)
        return;
    if (s->daemon)
        stop(s);
    if (s->parts.jobs && s->park)
        jobs_listen(s->parts.jobs, NULL, NULL);
    bell_remove(db_bell(state_db(s->parts.state)), on_event, s);
    tasks_free(s->tasks);
    park_free(s->park);
    tls_free(s->tls);
    spans_free(s->spans);
    log_queue_free(s->log);
    meters_free(s->meters);
    contract_free(s->contract);
    free(s->import_root);
    pthread_cond_destroy(&s->idle);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

bool server_alive(struct server *s)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    if (pthread_mutex_timedlock(&s->mu, &until) != 0)
        return false;
    pthread_mutex_unlock(&s->mu);
    return true;
}

bool server_may_open(const struct server *s)
{
    return s->is_loopback || s->options.allow_remote;
}

uint16_t server_port(const struct server *s)
{
    return s->port;
}

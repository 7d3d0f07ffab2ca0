#include "api/dispatch.h"

#include "api/account.h"
#include "api/answer.h"
#include "api/authorise.h"
#include "api/contract.h"
#include "api/media.h"
#include "api/request.h"
#include "daemon/follow.h"
#include "data/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t body_limit(const struct server *s, enum route_body body)
{
    switch (body) {
    case BODY_NONE:
        return CORE_DRAIN_MAX;
    case BODY_JSON:
    case BODY_JSON_OPTIONAL:
        return CORE_JSON_MAX;
    case BODY_SCORE:
    case BODY_SCORE_JSON:
    case BODY_TENSORS:
        /* Base64 takes 4 bytes for 3, and line breaks; the JSON around it is small. */
        return s->limits.max_picture_bytes / 10 * 14 + 4096;
    case BODY_PICTURE:
        return s->limits.max_picture_bytes;
    case BODY_BACKBONE:
        return s->limits.max_backbone_bytes;
    case BODY_IMPORT:
        return s->options.max_upload;
    }
    return 0;
}

/* Answers if the reply is there; else the connection sleeps until request_finish(). */
static enum MHD_Result settle(struct request *r)
{
    pthread_mutex_lock(&r->mu);
    bool done = r->done;
    if (!done) {
        r->suspended = true;
        MHD_suspend_connection(r->connection);
    }
    pthread_mutex_unlock(&r->mu);
    return done ? answer(r) : MHD_YES;
}

/* -- handing over to a handler ------------------------------------------------------------------
 */

static void uploads_add(struct request *r)
{
    struct server *s = r->server;
    pthread_mutex_lock(&s->mu);
    r->next_upload = s->uploads;
    if (s->uploads)
        s->uploads->previous_upload = r;
    s->uploads = r;
    pthread_mutex_unlock(&s->mu);
}

static void uploads_remove(struct request *r)
{
    struct server *s = r->server;
    pthread_mutex_lock(&s->mu);
    if (r->previous_upload)
        r->previous_upload->next_upload = r->next_upload;
    else
        s->uploads = r->next_upload;
    if (r->next_upload)
        r->next_upload->previous_upload = r->previous_upload;
    pthread_mutex_unlock(&s->mu);
}

/* The handler may defer and the reply be sent before it returns: hence the reference. */
static void run_handler(void *context)
{
    struct request *r = context;
    struct err e = { 0 };
    request_ref(r);
    enum err_code code = r->match.route->handler(r, &e);
    if (!code && r->wants_task) {
        r->wants_task = r->on_http_thread = false;
        code = tasks_submit(r->server->tasks, TASK_CONTROL, run_handler, r, &e);
        if (!code) {
            request_unref(r);
            return;
        }
    }
    if (r->streams) {
        uploads_remove(r);
        body_stream_close(r->stream);
    }
    if (r->match.route->run == RUN_UPLOAD)
        tasks_upload_end(r->server->tasks);
    if (code)
        request_fail(r, &e);
    if (code || !r->deferred)
        request_finish(r);
    request_unref(r);
}

/* On success the handler has run, or runs, or waits for a thread; it owns a reference. */
static enum err_code start(struct request *r, struct err *e)
{
    enum route_run run = r->match.route->run;
    /* What is packed may be large once it is unpacked. */
    if (run == RUN_SCORE)
        run =
            r->body.len <= CORE_SCORE_INLINE_MAX && !r->content_encoding[0] ? RUN_INLINE : RUN_TASK;
    if (!core_work_begin(r->server))
        return err_set(e, ERR_BUSY, "the server is stopping");
    request_ref(r);
    if (run == RUN_INLINE) {
        r->on_http_thread = true;
        run_handler(r);
        return ERR_OK;
    }
    enum task_kind kind = run == RUN_UPLOAD ? TASK_UPLOAD : TASK_CONTROL;
    enum err_code code = tasks_submit(r->server->tasks, kind, run_handler, r, e);
    if (code) {
        request_unref(r);
        core_work_end(r->server);
    }
    return code;
}

/* -- HEADERS ------------------------------------------------------------------------------------
 */

/* An answer before the body's end costs the connection, and the sender may lose it with the reset.
 * So it is given only to one who asked before sending, or who would send more than we care to read.
 */
static bool may_answer_early(const struct request *r)
{
    bool endless = r->endless || (r->declared != UINT64_MAX && r->declared > CORE_DRAIN_MAX);
    return r->has_body && (r->expects_continue || endless);
}

static enum MHD_Result refuse(struct request *r)
{
    r->refused = true;
    if (may_answer_early(r))
        return answer_refusal(r);
    r->stage = REQUEST_BODY;
    return MHD_YES;
}

/* The ring has room, or the task reads or is done: go on. */
static void wake(void *context)
{
    struct request *r = context;
    pthread_mutex_lock(&r->mu);
    if (r->suspended) {
        r->suspended = false;
        MHD_resume_connection(r->connection);
    }
    pthread_mutex_unlock(&r->mu);
}

/* While the connection is suspended its bytes are left where they are: the client may wait for us.
 */
static bool sender_gone(void *context)
{
    struct request *r = context;
    pthread_mutex_lock(&r->mu);
    bool suspended = r->suspended;
    pthread_mutex_unlock(&r->mu);
    return !suspended && request_client_gone(r);
}

static enum MHD_Result after_stream_start(struct request *r)
{
    pthread_mutex_lock(&r->mu);
    bool done = r->done;
    bool wait = !done && !body_stream_wanted(r->stream);
    if (wait) {
        r->suspended = true;
        MHD_suspend_connection(r->connection);
    }
    pthread_mutex_unlock(&r->mu);
    if (wait)
        return MHD_YES;
    if (done && r->has_body && r->expects_continue)
        return answer(r);
    r->stage = REQUEST_BODY;
    return MHD_YES;
}

static enum MHD_Result begin_stream(struct request *r)
{
    r->streams = true;
    if (body_stream_new(CORE_RING, wake, sender_gone, r, &r->stream, &r->refusal)) {
        r->streams = false;
        return refuse(r);
    }
    uploads_add(r);
    if (start(r, &r->refusal)) {
        uploads_remove(r);
        r->streams = false;
        return refuse(r);
    }
    return after_stream_start(r);
}

static const char *header(void *context, const char *name)
{
    return MHD_lookup_connection_value(context, MHD_HEADER_KIND, name);
}

static enum err_code check_contract(const struct request *r, struct err *e)
{
    const struct contract *c = r->server->contract;
    enum err_code code = contract_check_query(c, r->match.route, r->query, r->query_count, e);
    return code ? code : contract_check_headers(c, r->match.route, header, r->connection, e);
}

/* A follower changes nothing, and knows no more than what it serves. */
static enum err_code check_home(const struct request *r, struct err *e)
{
    struct follow *follow = r->server->parts.follow;
    if (follow && r->match.route->access < ACCESS_SCORE)
        return err_set(e, ERR_FOLLOWER,
                       "this is a follower, which only serves: ask its trainer, %s",
                       follow_trainer(follow));
    return ERR_OK;
}

static enum err_code check_headers(struct request *r, const char *method, const char *url,
                                   struct err *e)
{
    enum err_code code = router_find(r->server->routes, method, url, &r->match, e);
    if (code)
        return code;
    if (r->refused) {
        *e = r->refusal;
        return r->refusal.code;
    }
    const struct route *route = r->match.route;
    code = authorise(r, e);
    if (!code)
        code = check_home(r, e);
    if (!code)
        code = check_contract(r, e);
    if (!code && r->has_body)
        code = media_check(route->body, r->content_type, e);
    if (code)
        return code;
    r->limit = body_limit(r->server, route->body);
    if (route->body == BODY_IMPORT && media_is_json(r->content_type))
        r->limit = CORE_JSON_MAX;
    if (r->declared != UINT64_MAX && r->declared > r->limit)
        return err_set(e, ERR_BODY_TOO_LARGE,
                       "a body of %" PRIu64 " bytes is more than the limit of %" PRIu64,
                       r->declared, r->limit);
    if (core_stopping(r->server))
        return err_set(e, ERR_BUSY, "the server is stopping");
    return ERR_OK;
}

static enum MHD_Result begin(struct request *r, const char *method, const char *url)
{
    snprintf(r->method, sizeof r->method, "%s", method);
    if (check_headers(r, method, url, &r->refusal))
        return refuse(r);
    enum route_body body = r->match.route->body;
    if (body == BODY_BACKBONE || (body == BODY_IMPORT && !media_is_json(r->content_type)))
        return begin_stream(r);
    r->stage = REQUEST_BODY;
    return MHD_YES;
}

/* -- BODY ---------------------------------------------------------------------------------------
 */

static enum err_code collect(struct request *r, const char *data, size_t size, struct err *e)
{
    if (r->received > r->limit)
        return err_set(e, ERR_BODY_TOO_LARGE,
                       "the body is more than the limit of %" PRIu64 " bytes", r->limit);
    if (r->match.route->body == BODY_NONE)
        return ERR_OK;
    if (atomic_fetch_add(&r->server->buffered, size) > CORE_BUFFERED_MAX) {
        atomic_fetch_sub(&r->server->buffered, size);
        return err_set(e, ERR_BUSY, "too many bodies are held in memory already");
    }
    r->buffered += size;
    return buf_append(&r->body, data, size, e);
}

static enum MHD_Result take_streamed(struct request *r, const char *data, size_t *size)
{
    size_t taken;
    if (r->received > r->limit + CORE_DRAIN_MAX)
        return MHD_NO;
    if (r->received + *size > r->limit) {
        struct err e;
        err_set(&e, ERR_BODY_TOO_LARGE, "the body is more than the limit of %" PRIu64 " bytes",
                r->limit);
        body_stream_abort(r->stream, &e);
    }
    pthread_mutex_lock(&r->mu);
    taken = body_stream_write(r->stream, data, *size);
    if (taken < *size) {
        r->suspended = true;
        MHD_suspend_connection(r->connection);
    }
    pthread_mutex_unlock(&r->mu);
    r->received += taken;
    *size -= taken;
    return MHD_YES;
}

static enum MHD_Result take_body(struct request *r, const char *data, size_t *size)
{
    if (r->streams && !r->refused)
        return take_streamed(r, data, size);
    r->received += *size;
    if (!r->refused && collect(r, data, *size, &r->refusal)) {
        r->refused = true;
        r->received = *size;
        buf_fini(&r->body);
    }
    *size = 0;
    /* Somebody who goes on sending what nobody wants is cut off. */
    return r->refused && r->received > CORE_DRAIN_MAX ? MHD_NO : MHD_YES;
}

static enum MHD_Result end_body(struct request *r)
{
    r->stage = REQUEST_ENDED;
    r->received_us = clock_monotonic_us();
    if (r->refused)
        return answer_refusal(r);
    if (r->streams)
        body_stream_end(r->stream);
    else if (start(r, &r->refusal))
        return answer_refusal(r);
    return settle(r);
}

/* Stands for a request until there is one: libmicrohttpd shows the path as it was sent only once,
 * before the headers. */
static char slash_encoded;

void *dispatch_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    (void)cls, (void)connection;
    const char *end = uri + strcspn(uri, "?");
    for (const char *c = uri; (c = strchr(c, '%')) && c < end; c++)
        if (strncasecmp(c, "%2f", 3) == 0)
            return &slash_encoded;
    return NULL;
}

/* No name has a slash, so an encoded one can only be meant to get past somebody's rule. */
static void refuse_slash(struct request *r)
{
    r->refused = true;
    err_set(&r->refusal, ERR_ROUTE_UNKNOWN, "no such path: it has an encoded slash");
}

enum MHD_Result dispatch_request(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *size, void **request)
{
    (void)version;
    struct request *r = *request;
    if (!r || *request == &slash_encoded) {
        bool slash = r != NULL;
        *request = r = request_new(cls, connection);
        if (!r)
            return MHD_NO;
        if (slash)
            refuse_slash(r);
        return begin(r, method, url);
    }
    switch (r->stage) {
    case REQUEST_HEADERS:
        return after_stream_start(r);
    case REQUEST_BODY:
        return *size ? take_body(r, data, size) : end_body(r);
    case REQUEST_ENDED:
        return settle(r);
    case REQUEST_REPLIED:
        *size = 0;
        return MHD_YES;
    }
    return MHD_NO;
}

void dispatch_completed(void *cls, struct MHD_Connection *connection, void **request,
                        enum MHD_RequestTerminationCode code)
{
    (void)cls, (void)connection;
    struct request *r = *request == &slash_encoded ? NULL : *request;
    *request = NULL;
    if (!r)
        return;
    pthread_mutex_lock(&r->mu);
    r->connection = NULL;
    r->suspended = false;
    pthread_mutex_unlock(&r->mu);
    if (r->streams) {
        struct err e;
        err_set(&e, ERR_BODY_INCOMPLETE, "the client went away after %" PRIu64 " bytes of the body",
                r->received);
        body_stream_abort(r->stream, &e);
    }
    if (r->counted_answer)
        core_answer_end(r->server);
    account_request(r, r->stage == REQUEST_REPLIED && code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    request_unref(r);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

size_t dispatch_unescape(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls, (void)connection;
    char *to = text;
    for (const char *from = text; *from;) {
        int high = *from == '%' ? hex(from[1]) : -1;
        int low = high < 0 ? -1 : hex(from[2]);
        if (low >= 0 && (high || low)) {
            *to++ = (char)(high << 4 | low);
            from += 3;
        } else {
            *to++ = *from++;
        }
    }
    *to = 0;
    return (size_t)(to - text);
}

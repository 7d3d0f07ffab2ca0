#include "api/request.h"

#include "api/contract.h"
#include "api/http_meters.h"
#include "api/problem.h"
#include "api/tls.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { PAGE_DEFAULT = 100 };

static void copy_header(struct MHD_Connection *c, const char *name, char *ret, size_t size)
{
    const char *value = MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
    if (value && strlen(value) < size)
        snprintf(ret, size, "%s", value);
}

/* What has no room is cut and marked, so that it is refused as no number, not overlooked. */
static void copy_number(struct MHD_Connection *c, const char *name, char *ret, size_t size)
{
    const char *value = MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
    if (value && strlen(value) >= size)
        snprintf(ret, size, "%.*s...", (int)size - 4, value);
    else if (value)
        snprintf(ret, size, "%s", value);
}

/* "Image/JPEG; q=1" -> "image/jpeg" */
static void plain_type(char *type)
{
    type[strcspn(type, "; \t")] = 0;
    for (char *c = type; *c; c++)
        *c = (char)tolower((unsigned char)*c);
}

/* A coding that is not known has no end but the connection's: nobody waits for that. */
static void refuse_coding(struct request *r, const char *coding)
{
    r->endless = r->refused = true;
    err_set(&r->refusal, ERR_MEDIA_TYPE, "transfer coding \"%.80s\" is not taken; send chunked",
            coding);
}

static void read_length(struct request *r)
{
    const char *length =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Content-Length");
    const char *coding =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Transfer-Encoding");
    r->declared = coding ? UINT64_MAX : length ? strtoull(length, NULL, 10) : 0;
    r->has_body = r->declared > 0;
    if (coding && strcasecmp(coding, "chunked") != 0)
        refuse_coding(r, coding);
    char expect[REQUEST_TEXT] = "";
    copy_header(r->connection, "Expect", expect, sizeof expect);
    r->expects_continue = strcasecmp(expect, "100-continue") == 0;
}

static enum MHD_Result add_query(void *context, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    (void)kind;
    struct request *r = context;
    if (r->query_count == REQUEST_QUERY) {
        r->refused = true;
        err_set(&r->refusal, ERR_FIELD_UNKNOWN, "more than %d query parameters", REQUEST_QUERY);
        return MHD_NO;
    }
    struct request_pair *pair = &r->query[r->query_count++];
    pair->name = strdup(name);
    pair->value = strdup(value ? value : "");
    if (pair->name && pair->value)
        return MHD_YES;
    r->refused = true;
    err_set(&r->refusal, ERR_NOMEM, "no memory for a query");
    return MHD_NO;
}

struct request *request_new(struct server *s, struct MHD_Connection *connection)
{
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->server = s;
    r->connection = connection;
    r->refs = 1;
    r->begun_us = r->received_us = clock_monotonic_us();
    pthread_mutex_init(&r->mu, NULL);
    reply_init(&r->reply);
    buf_init(&r->body, SIZE_MAX / 2);
    buf_init(&r->picture, SIZE_MAX / 2);
    copy_header(connection, "Content-Encoding", r->content_encoding, sizeof r->content_encoding);
    copy_header(connection, "Accept-Encoding", r->accept_encoding, sizeof r->accept_encoding);
    copy_number(connection, "Inference-Header-Content-Length", r->inference_header_length,
                sizeof r->inference_header_length);

    copy_header(connection, "X-Request-Id", r->id, sizeof r->id);
    if (!ident_is_sane(r->id) && ident_random(r->id, NULL) != ERR_OK)
        snprintf(r->id, sizeof r->id, "none");
    copy_header(connection, "X-Requested-By", r->who, sizeof r->who);
    if (!ident_is_sane(r->who))
        snprintf(r->who, sizeof r->who, "anonymous");
    copy_header(connection, "Content-Type", r->content_type, sizeof r->content_type);
    plain_type(r->content_type);
    trace_parse(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "traceparent"), &r->trace);
    copy_header(connection, "X-Kennel-Timeout-Ms", r->timeout, sizeof r->timeout);
    copy_header(connection, "If-None-Match", r->if_none_match, sizeof r->if_none_match);
    copy_header(connection, "X-Kennel-Version", r->wanted_version, sizeof r->wanted_version);
    copy_header(connection, "X-Kennel-Client", r->client, sizeof r->client);
    copy_header(connection, "Last-Event-ID", r->last_event_id, sizeof r->last_event_id);
    copy_header(connection, "Idempotency-Key", r->idempotency_key, sizeof r->idempotency_key);
    read_length(r);
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_query, r);
    return r;
}

static void request_free(struct request *r)
{
    for (int i = 0; i < r->query_count; i++) {
        free(r->query[i].name);
        free(r->query[i].value);
    }
    atomic_fetch_sub(&r->server->buffered, r->buffered);
    buf_fini(&r->body);
    buf_fini(&r->picture);
    body_stream_free(r->stream);
    reply_fini(&r->reply);
    json_decref(r->problem_extra);
    pthread_mutex_destroy(&r->mu);
    free(r);
}

void request_ref(struct request *r)
{
    pthread_mutex_lock(&r->mu);
    r->refs++;
    pthread_mutex_unlock(&r->mu);
}

void request_unref(struct request *r)
{
    pthread_mutex_lock(&r->mu);
    int left = --r->refs;
    pthread_mutex_unlock(&r->mu);
    if (!left)
        request_free(r);
}

const char *request_param(const struct request *r, const char *name)
{
    size_t len = strlen(name);
    for (int i = 0; i < r->match.count; i++)
        if (strncmp(r->match.names[i] + 1, name, len) == 0 && r->match.names[i][1 + len] == '}')
            return r->match.values[i];
    return "";
}

const char *request_query(const struct request *r, const char *name)
{
    for (int i = 0; i < r->query_count; i++)
        if (strcmp(r->query[i].name, name) == 0)
            return r->query[i].value;
    return NULL;
}

static bool read_int(const char *text, int64_t *ret)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || isspace((unsigned char)*text) || *text == '+')
        return false;
    *ret = value;
    return true;
}

void request_query_int(const struct request *r, const char *name, int64_t *ret)
{
    const char *text = request_query(r, name);
    if (text)
        *ret = strtoll(text, NULL, 10);
}

enum err_code request_json(const struct request *r, json_t **ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    const struct contract *contract = r->server->contract;
    if (r->body.len) {
        enum err_code code = json_read((const char *)r->body.data, r->body.len, &body, e);
        if (code)
            return code;
    } else if (contract_needs_body(contract, r->match.route)) {
        return err_set(e, ERR_BODY_MISSING, "a JSON body is expected");
    } else if (!(body = json_object())) {
        return err_set(e, ERR_NOMEM, "no memory");
    }
    enum err_code code = contract_check_body(contract, r->match.route, body, e);
    if (!code)
        *ret = STEAL(body);
    return code;
}

bool request_number(const struct request *r, const char *name, int64_t *ret)
{
    int64_t value;
    if (!read_int(request_param(r, name), &value) || value < 1)
        return false;
    *ret = value;
    return true;
}

struct state_page request_page(const struct request *r)
{
    struct state_page page = { .limit = PAGE_DEFAULT };
    request_query_int(r, "limit", &page.limit);
    request_query_int(r, "before", &page.before);
    return page;
}

enum err_code request_version(const struct request *r, int64_t *ret, struct err *e)
{
    return request_number(r, "v", ret)
               ? ERR_OK
               : err_set(e, ERR_VERSION_UNKNOWN, "\"%.40s\" is no version number",
                         request_param(r, "v"));
}

int64_t request_deadline(const struct request *r)
{
    int64_t ms =
        r->timeout[0] ? strtoll(r->timeout, NULL, 10) : r->server->options.score_timeout_ms;
    return r->received_us + ms * 1000;
}

void request_to_task(struct request *r)
{
    r->wants_task = true;
}

void request_chosen(struct request *r, const struct serve_ref *ref)
{
    snprintf(r->scored.model, sizeof r->scored.model, "%s", serve_ref_model(ref));
    r->scored.version = serve_ref_version(ref);
}

void request_scored(struct request *r, const struct score_result *result)
{
    r->scored.times = result->times;
}

/* The other side has ended what it sends: is there a request among what nobody has read of it? */
static bool nothing_follows(const struct request *r, int fd)
{
    uint8_t unread[256];
    int len = 0;
    if (ioctl(fd, FIONREAD, &len) < 0 || len == 0)
        return true;
    if (!r->server->tls || len > (int)sizeof unread)
        return false;
    ssize_t got = recv(fd, unread, sizeof unread, MSG_PEEK | MSG_DONTWAIT);
    return got >= 0 && tls_is_goodbye(unread, (size_t)got);
}

/* Whether the other side has shut down, or is no more. The descriptor is closed only once the
 * connection has gone, which takes the lock. */
bool request_client_gone(void *request)
{
    struct request *r = request;
    bool gone = true;
    pthread_mutex_lock(&r->mu);
    if (r->connection) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        struct pollfd hangup = { .fd = info->connect_fd, .events = POLLRDHUP };
        gone = poll(&hangup, 1, 0) > 0 &&
               (hangup.revents & (POLLERR | POLLHUP) || nothing_follows(r, hangup.fd));
    }
    pthread_mutex_unlock(&r->mu);
    return gone;
}

void request_fail(struct request *r, const struct err *err)
{
    meter_add(r->server->meters, HTTP_REJECTS, (const char *[]){ err_slug(err->code) }, 1);
    char route[ROUTE_PATH + 32];
    snprintf(route, sizeof route, "%s %s", r->method,
             r->match.route ? r->match.route->pattern : r->match.path);
    struct problem p = { .err = err,
                         .log = r->server->log,
                         .request_id = r->id,
                         .route = route,
                         .form = problem_form(r->match.path),
                         .allow = err->code == ERR_METHOD_NOT_ALLOWED ? r->match.allow : NULL,
                         .retry_after = r->retry_after,
                         .extra_name = r->problem_extra ? r->problem_name : NULL,
                         .extra = r->problem_extra };
    problem_reply(&p, &r->reply);
}

void request_finish(struct request *r)
{
    struct server *s = r->server;
    pthread_mutex_lock(&r->mu);
    r->done = true;
    if (r->suspended) {
        r->suspended = false;
        MHD_resume_connection(r->connection);
    }
    pthread_mutex_unlock(&r->mu);
    request_unref(r);
    core_work_end(s);
}

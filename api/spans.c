#include "api/spans.h"

#include "api/http_meters.h"
#include "api/ident.h"
#include "data/base/buf.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "data/base/log.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

enum { BATCH = 256, GATHER_MS = 200, SEND_MS = 10000, LAST_SEND_MS = 2000, CONNECT_MS = 2000 };
enum { URL_MAX = 2048 };

struct spans {
    char url[URL_MAX];
    struct meters *meters;
    CURL *curl; /* the thread's */
    struct curl_slist *headers;
    bool failing; /* the thread's: a failure is logged when it begins */
    pthread_t thread;
    bool started;

    pthread_mutex_t mu;
    pthread_cond_t wanted;
    /* guarded by mu */
    bool stopping;
    size_t head, count;
    struct span_record queue[SPANS_QUEUE];

    struct span_record batch[BATCH]; /* the thread's */
};

/* -- OTLP in JSON: ids in hexadecimal, 64-bit numbers as text -----------------------------------
 */

static json_t *text_attribute(const char *key, const char *value)
{
    return json_pack("{s:s, s:{s:s}}", "key", key, "value", "stringValue", value);
}

static json_t *number_attribute(const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    return json_pack("{s:s, s:{s:s}}", "key", key, "value", "intValue", text);
}

static json_t *span_json(const struct trace *trace, const char *id, const char *parent,
                         const char *name, int kind, int64_t begun, int64_t ended)
{
    char from[32], to[32];
    snprintf(from, sizeof from, "%" PRId64 "000", begun);
    snprintf(to, sizeof to, "%" PRId64 "000", ended);
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "traceId", trace->id, "spanId", id,
                     "parentSpanId", parent, "name", name, "kind", kind, "startTimeUnixNano", from,
                     "endTimeUnixNano", to);
}

static json_t *request_json(const struct span_record *r, const char *id)
{
    enum { SERVER = 2, STATUS_ERROR = 2 };
    char name[256];
    snprintf(name, sizeof name, "%s %s", r->method, r->route);
    json_t *span = span_json(&r->trace, id, r->trace.parent, name, SERVER, r->begun, r->ended);
    json_t *attributes = json_pack("[o, o, o]", text_attribute("http.request.method", r->method),
                                   text_attribute("http.route", r->route),
                                   number_attribute("http.response.status_code", r->status));
    if (r->model[0]) {
        json_array_append_new(attributes, text_attribute("kennel.model", r->model));
        json_array_append_new(attributes, number_attribute("kennel.version", r->version));
    }
    json_object_set_new(span, "attributes", attributes);
    if (r->status >= 500)
        json_object_set_new(span, "status", json_pack("{s:i}", "code", STATUS_ERROR));
    return span;
}

static void add_record(json_t *spans, const struct span_record *r)
{
    enum { INTERNAL = 1 };
    char id[IDENT_TEXT + 1], stage_id[IDENT_TEXT + 1];
    if (ident_random(id, NULL))
        return;
    id[TRACE_SPAN_ID] = 0;
    json_array_append_new(spans, request_json(r, id));
    for (int i = 0; i < r->stages; i++) {
        if (ident_random(stage_id, NULL))
            return;
        stage_id[TRACE_SPAN_ID] = 0;
        json_array_append_new(spans, span_json(&r->trace, stage_id, id, r->stage[i].name, INTERNAL,
                                               r->stage[i].begun, r->stage[i].ended));
    }
}

static char *batch_text(const struct span_record *records, size_t count)
{
    CLEANUP(json_decref_p) json_t *spans = json_array();
    for (size_t i = 0; i < count; i++)
        add_record(spans, &records[i]);
    CLEANUP(json_decref_p)
    json_t *all = json_pack("{s:[{s:{s:[o]}, s:[{s:{s:s}, s:O}]}]}", "resourceSpans", "resource",
                            "attributes", text_attribute("service.name", "kennel"), "scopeSpans",
                            "scope", "name", "kennel", "spans", spans);
    return all ? json_dumps(all, JSON_COMPACT) : NULL;
}

/* -- sending ------------------------------------------------------------------------------------
 */

static size_t ignore(char *bytes, size_t size, size_t n, void *context)
{
    (void)bytes, (void)context;
    return size * n;
}

static bool post(struct spans *s, const char *text, bool last, char ret_why[static CURL_ERROR_SIZE])
{
    long status = 0;
    ret_why[0] = 0;
    curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, ret_why);
    curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, text);
    curl_easy_setopt(s->curl, CURLOPT_TIMEOUT_MS, (long)(last ? LAST_SEND_MS : SEND_MS));
    CURLcode code = curl_easy_perform(s->curl);
    curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status >= 200 && status < 300)
        return true;
    if (!ret_why[0])
        snprintf(ret_why, CURL_ERROR_SIZE, "%s %ld",
                 code ? curl_easy_strerror(code) : "the collector answered", status);
    return false;
}

static void send_batch(struct spans *s, size_t count, bool last)
{
    char why[CURL_ERROR_SIZE];
    size_t spans = 0;
    for (size_t i = 0; i < count; i++)
        spans += 1 + (size_t)s->batch[i].stages;
    CLEANUP(cleanup_free) char *text = batch_text(s->batch, count);
    bool sent = text && post(s, text, last, why);
    meter_add(s->meters, HTTP_SPANS, (const char *[]){ sent ? "sent" : "failed" }, spans);
    if (!sent && !s->failing)
        log_event("warning", "spans_not_sent", "to", s->url, "why", text ? why : "no memory", NULL);
    s->failing = !sent;
}

/* Waits until there is something, then a little longer for more. */
static size_t take(struct spans *s, bool *ret_stopping)
{
    pthread_mutex_lock(&s->mu);
    while (!s->count && !s->stopping)
        pthread_cond_wait(&s->wanted, &s->mu);
    int64_t until = clock_monotonic_us() + GATHER_MS * 1000;
    while (s->count < BATCH && !s->stopping && clock_wait(&s->wanted, &s->mu, until))
        continue;
    size_t got = 0;
    for (; got < BATCH && s->count; got++, s->count--) {
        s->batch[got] = s->queue[s->head];
        s->head = (s->head + 1) % SPANS_QUEUE;
    }
    *ret_stopping = s->stopping;
    pthread_mutex_unlock(&s->mu);
    return got;
}

static void *run(void *context)
{
    struct spans *s = context;
    pthread_setname_np(pthread_self(), "spans");
    int64_t give_up = 0;
    bool stopping = false;
    for (size_t got; (got = take(s, &stopping));) {
        if (stopping && !give_up)
            give_up = clock_monotonic_us() + LAST_SEND_MS * 1000;
        if (stopping && clock_monotonic_us() >= give_up)
            break;
        send_batch(s, got, stopping);
    }
    return NULL;
}

static void count_dropped(struct spans *s, const struct span_record *record)
{
    meter_add(s->meters, HTTP_SPANS, (const char *[]){ "dropped" }, 1 + (uint64_t)record->stages);
}

bool spans_put(struct spans *s, const struct span_record *record)
{
    pthread_mutex_lock(&s->mu);
    bool fits = s->count < SPANS_QUEUE && !s->stopping;
    if (fits) {
        s->queue[(s->head + s->count) % SPANS_QUEUE] = *record;
        s->count++;
        pthread_cond_signal(&s->wanted);
    }
    pthread_mutex_unlock(&s->mu);
    if (!fits)
        count_dropped(s, record);
    return fits;
}

/* -- life ---------------------------------------------------------------------------------------
 */

static enum err_code set_url(struct spans *s, const char *endpoint, struct err *e)
{
    size_t len = strlen(endpoint);
    bool known =
        strncasecmp(endpoint, "http://", 7) == 0 || strncasecmp(endpoint, "https://", 8) == 0;
    if (!known || len + sizeof "/v1/traces" > sizeof s->url)
        return err_set(e, ERR_FIELD_RANGE,
                       "\"%.100s\" is no endpoint of a collector: expected http://HOST:PORT",
                       endpoint);
    while (len && endpoint[len - 1] == '/')
        len--;
    snprintf(s->url, sizeof s->url, "%.*s/v1/traces", (int)len, endpoint);
    return ERR_OK;
}

static enum err_code set_up_curl(struct spans *s, struct err *e)
{
    s->curl = curl_easy_init();
    s->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (!s->curl || !s->headers)
        return err_set(e, ERR_NOMEM, "no memory to send spans");
    curl_easy_setopt(s->curl, CURLOPT_URL, s->url);
    curl_easy_setopt(s->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->headers);
    curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(s->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(s->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    return ERR_OK;
}

CLEANUP_DEFINE(struct spans, spans_free);

enum err_code spans_new(const char *endpoint, struct meters *meters, struct spans **ret,
                        struct err *e)
{
    CLEANUP(spans_free_p) struct spans *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for spans");
    s->meters = meters;
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->wanted, NULL);
    enum err_code r = set_url(s, endpoint, e);
    if (!r)
        r = set_up_curl(s, e);
    if (r)
        return r;
    int failed = pthread_create(&s->thread, NULL, run, s);
    if (failed)
        return err_errno(e, failed, "cannot start the spans' thread");
    s->started = true;
    *ret = STEAL(s);
    return ERR_OK;
}

void spans_free(struct spans *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->mu);
    s->stopping = true;
    pthread_cond_signal(&s->wanted);
    pthread_mutex_unlock(&s->mu);
    if (s->started)
        pthread_join(s->thread, NULL);
    for (; s->count; s->count--, s->head = (s->head + 1) % SPANS_QUEUE)
        count_dropped(s, &s->queue[s->head]);
    if (s->curl)
        curl_easy_cleanup(s->curl);
    curl_slist_free_all(s->headers);
    pthread_cond_destroy(&s->wanted);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

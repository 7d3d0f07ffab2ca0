#include "api/client/http.h"

#include "api/client/progress.h"
#include "data/base/json.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

enum { URL_MAX = 4096, REPLY_MAX = 1 << 30, CONNECT_SECONDS = 10 };

/* A reply below this is there at once; a line about it would only be in the way. */
enum { SHOWN_REPLY = 1 << 20 };

struct http {
    CURL *curl;
    const char *url, *key, *ca;
    const char *header, *header_value; /* of the next call, or NULL */
};

struct http *http_new(const char *url, const char *key, const char *ca)
{
    struct http *h = calloc(1, sizeof *h);
    if (h && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        h->curl = curl_easy_init();
    if (!h || !h->curl) {
        free(h);
        return NULL;
    }
    h->url = url;
    h->key = key;
    h->ca = ca;
    return h;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    curl_easy_cleanup(h->curl);
    curl_global_cleanup();
    free(h);
}

void http_header(struct http *h, const char *name, const char *value)
{
    h->header = name;
    h->header_value = value;
}

void http_reply_fini(struct http_reply *r)
{
    buf_fini(&r->body);
    json_decref(r->json);
    r->json = NULL;
}

void http_print(const struct http_reply *r)
{
    fwrite(r->body.data, 1, r->body.len, stdout);
    if (r->body.len && r->body.data[r->body.len - 1] != '\n')
        putchar('\n');
}

/* -- paths ----------------------------------------------------------------------------------------
 */

/* Only %s and %d-like directives: the strings are escaped one by one. */
static bool format_path(struct http *h, const char *format, va_list ap, char ret[URL_MAX])
{
    size_t at = (size_t)snprintf(ret, URL_MAX, "%s", h->url);
    while (at && at < URL_MAX && ret[at - 1] == '/')
        ret[--at] = 0;
    for (const char *f = format; *f && at + 1 < URL_MAX; f++) {
        if (f[0] != '%' || f[1] != 's') {
            ret[at++] = *f;
            ret[at] = 0;
            continue;
        }
        f++;
        char *escaped = curl_easy_escape(h->curl, va_arg(ap, const char *), 0);
        if (!escaped)
            return false;
        at += (size_t)snprintf(ret + at, URL_MAX - at, "%s", escaped);
        curl_free(escaped);
    }
    return at < URL_MAX - 1;
}

/* -- callbacks ------------------------------------------------------------------------------------
 */

static size_t on_body(char *bytes, size_t one, size_t len, void *context)
{
    (void)one;
    return buf_append(context, bytes, len, NULL) == ERR_OK ? len : 0;
}

static size_t on_send(char *bytes, size_t one, size_t count, void *context)
{
    const struct http_body *body = context;
    ssize_t n = body->read(body->context, bytes, one * count);
    return n < 0 ? CURL_READFUNC_ABORT : (size_t)n;
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    const struct http_body *body = context;
    (void)up_total;
    if (down_total >= SHOWN_REPLY)
        progress_bytes(body->progress, "receiving", down, down_total);
    else if (up > 0 && down_total == 0 && down == 0)
        progress_bytes(body->progress, "sending", up, body->expected);
    return 0;
}

/* -- one call -------------------------------------------------------------------------------------
 */

static void set_body(CURL *curl, const struct http_body *body)
{
    if (body->read) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt(curl, CURLOPT_READDATA, body);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)body->size);
        curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 512L * 1024);
    } else if (body->bytes) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->bytes);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    }
    if (body->progress) {
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, body);
    }
}

/* POST without a body is one of zero bytes. */
static const struct http_body nothing = { .bytes = "" };

static struct curl_slist *make_headers(struct http *h, const struct http_body *body)
{
    char type[256], own[512];
    snprintf(type, sizeof type, "Content-Type:%s%s", body->type ? " " : "",
             body->type ? body->type : "");
    struct curl_slist *list = curl_slist_append(NULL, type);
    if (h->header_value) {
        snprintf(own, sizeof own, "%s: %s", h->header, h->header_value);
        list = curl_slist_append(list, own);
        h->header_value = NULL;
    }
    /* An upload of unknown size is refused before it is sent, where it is; a small one does not
     * wait. */
    return body->read ? list : curl_slist_append(list, "Expect:");
}

static enum outcome unreachable(const struct http *h, CURLcode code, const char *detail)
{
    fprintf(stderr, "kennel: %s: %s\n", h->url, detail[0] ? detail : curl_easy_strerror(code));
    return UNREACHABLE;
}

static void print_reasons(const json_t *problem)
{
    size_t i;
    json_t *reason;
    json_array_foreach (json_object_get(json_object_get(problem, "gate"), "reasons"), i, reason)
        fprintf(stderr, "  %s\n", json_string_value(reason));
}

static enum outcome report(const struct http_reply *r)
{
    if (r->status >= 200 && r->status < 300)
        return DONE;
    const char *code = json_string_value(json_object_get(r->json, "code"));
    const char *detail = json_string_value(json_object_get(r->json, "detail"));
    if (!code) { /* another protocol's form has its text alone */
        const char *text = json_string_value(json_object_get(r->json, "error"));
        fprintf(stderr, "kennel: the server answered with status %ld%s%s\n", r->status,
                text ? ": " : "", text ? text : "");
        return FAILED;
    }
    fprintf(stderr, "kennel: %s (%s)\n", detail ? detail : "", code);
    if (r->status >= 500)
        fprintf(stderr, "kennel: request id %s\n",
                json_string_value(json_object_get(r->json, "request_id")));
    print_reasons(r->json);
    return strcmp(code, "gate_refused") == 0 ? REJECTED : FAILED;
}

/* Where to, whom to trust, and who we are. Nothing is redirected, so the key goes to that server
 * alone. error: [CURL_ERROR_SIZE]. */
static void set_target(const struct http *h, const char *url, char *error)
{
    curl_easy_reset(h->curl);
    curl_easy_setopt(h->curl, CURLOPT_URL, url);
    curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(h->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    if (h->ca)
        curl_easy_setopt(h->curl, CURLOPT_CAINFO, h->ca);
    if (!h->key)
        return;
    curl_easy_setopt(h->curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(h->curl, CURLOPT_XOAUTH2_BEARER, h->key);
}

static enum outcome perform(struct http *h, const char *method, const char *url,
                            const struct http_body *body, struct http_reply *ret)
{
    if (!body && strcmp(method, "GET") != 0)
        body = &nothing;
    CURL *curl = h->curl;
    char error[CURL_ERROR_SIZE] = "";
    set_target(h, url, error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &ret->body);
    struct curl_slist *headers = NULL;
    if (body) {
        set_body(curl, body);
        headers = make_headers(h, body);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    }
    if (strcmp(method, "GET") != 0)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    if (body && body->progress)
        progress_end(body->progress);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return FAILED; /* the reader has said why */
    if (code != CURLE_OK)
        return unreachable(h, code, error);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
    if (ret->body.len)
        (void)!json_read((const char *)ret->body.data, ret->body.len, &ret->json, NULL);
    return report(ret);
}

static enum outcome call(struct http *h, const char *method, const struct http_body *body,
                         struct http_reply *ret, const char *path, va_list ap)
{
    *ret = (struct http_reply){ 0 };
    buf_init(&ret->body, REPLY_MAX);
    char url[URL_MAX];
    if (format_path(h, path, ap, url))
        return perform(h, method, url, body, ret);
    fprintf(stderr, "kennel: the names are too long for a URL\n");
    return USAGE;
}

enum outcome http_call(struct http *h, const char *method, const struct http_body *body,
                       struct http_reply *ret, const char *path, ...)
{
    va_list ap;
    va_start(ap, path);
    enum outcome outcome = call(h, method, body, ret, path, ap);
    va_end(ap);
    return outcome;
}

enum outcome http_call_json(struct http *h, const char *method, json_t *json,
                            struct http_reply *ret, const char *path, ...)
{
    *ret = (struct http_reply){ 0 };
    struct buf text;
    buf_init(&text, REPLY_MAX);
    enum outcome outcome = FAILED;
    if (json && json_write(json, &text, NULL) == ERR_OK) {
        struct http_body body = { .type = "application/json", .bytes = text.data, .len = text.len };
        va_list ap;
        va_start(ap, path);
        outcome = call(h, method, &body, ret, path, ap);
        va_end(ap);
    } else {
        fprintf(stderr, "kennel: out of memory\n");
    }
    json_decref(json);
    buf_fini(&text);
    return outcome;
}

enum outcome http_call_at(struct http *h, const char *method, const struct http_body *body,
                          struct http_reply *ret, const char *path)
{
    *ret = (struct http_reply){ 0 };
    buf_init(&ret->body, REPLY_MAX);
    char url[URL_MAX];
    size_t root = strlen(h->url);
    while (root && h->url[root - 1] == '/')
        root--;
    bool sane = path[0] == '/';
    for (const char *c = path; *c; c++)
        sane = sane && *c > ' ' && *c < 0x7f;
    if (sane && (size_t)snprintf(url, sizeof url, "%.*s%s", (int)root, h->url, path) < sizeof url)
        return perform(h, method, url, body, ret);
    fprintf(stderr, "kennel: \"%.100s\" is no path: it begins with / and has no blanks\n", path);
    return USAGE;
}

/* -- download -------------------------------------------------------------------------------------
 */

struct sink {
    struct http *h;
    FILE *to;
    struct buf problem; /* of an answer that is no file */
};

static size_t on_file(char *bytes, size_t one, size_t len, void *context)
{
    struct sink *sink = context;
    (void)one;
    long status = 0;
    curl_easy_getinfo(sink->h->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200)
        return fwrite(bytes, 1, len, sink->to);
    return buf_append(&sink->problem, bytes, len, NULL) == ERR_OK ? len : 0;
}

enum outcome http_download(struct http *h, FILE *to, struct progress *progress, const char *path,
                           va_list ap)
{
    char url[URL_MAX], error[CURL_ERROR_SIZE] = "";
    if (!format_path(h, path, ap, url)) {
        fprintf(stderr, "kennel: the names are too long for a URL\n");
        return USAGE;
    }
    struct sink sink = { .h = h, .to = to };
    struct http_body shown = { .progress = progress };
    buf_init(&sink.problem, REPLY_MAX);
    set_target(h, url, error);
    curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, on_file);
    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, &sink);
    set_body(h->curl, &shown);
    CURLcode code = curl_easy_perform(h->curl);
    progress_end(progress);

    struct http_reply reply = { .body = sink.problem };
    enum outcome outcome;
    if (code == CURLE_WRITE_ERROR) {
        fprintf(stderr, "kennel: cannot write the file\n");
        outcome = FAILED;
    } else if (code != CURLE_OK) {
        outcome = unreachable(h, code, error);
    } else {
        curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &reply.status);
        if (reply.body.len)
            (void)!json_read((const char *)reply.body.data, reply.body.len, &reply.json, NULL);
        outcome = report(&reply);
    }
    http_reply_fini(&reply);
    return outcome;
}

/* -- line by line ---------------------------------------------------------------------------------
 */

struct lines {
    struct http *h;
    bool (*on_line)(void *context, char *line);
    void *context;
    struct buf rest; /* of a line that has not ended; or of an answer that is a problem */
    bool over;
};

static bool take_lines(struct lines *l)
{
    char *at = (char *)l->rest.data, *end;
    char *stop = at + l->rest.len;
    while (!l->over && (end = memchr(at, '\n', (size_t)(stop - at)))) {
        *end = 0;
        l->over = !l->on_line(l->context, at);
        at = end + 1;
    }
    size_t left = (size_t)(stop - at);
    memmove(l->rest.data, at, left);
    l->rest.len = left;
    return !l->over;
}

static size_t on_lines(char *bytes, size_t one, size_t len, void *context)
{
    struct lines *l = context;
    (void)one;
    long status = 0;
    curl_easy_getinfo(l->h->curl, CURLINFO_RESPONSE_CODE, &status);
    if (buf_append(&l->rest, bytes, len, NULL))
        return 0;
    return status != 200 || take_lines(l) ? len : 0;
}

enum outcome http_lines(struct http *h, bool (*on_line)(void *context, char *line), void *context,
                        const char *path, ...)
{
    char url[URL_MAX], error[CURL_ERROR_SIZE] = "";
    va_list ap;
    va_start(ap, path);
    bool fits = format_path(h, path, ap, url);
    va_end(ap);
    if (!fits) {
        fprintf(stderr, "kennel: the names are too long for a URL\n");
        return USAGE;
    }
    struct lines lines = { .h = h, .on_line = on_line, .context = context };
    buf_init(&lines.rest, REPLY_MAX);
    set_target(h, url, error);
    curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, on_lines);
    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, &lines);
    CURLcode code = curl_easy_perform(h->curl);

    struct http_reply reply = { .body = lines.rest };
    enum outcome outcome = DONE;
    if (code != CURLE_OK && !lines.over)
        outcome = unreachable(h, code, error);
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &reply.status);
    if (code == CURLE_OK && reply.status != 200) {
        (void)!json_read((const char *)reply.body.data, reply.body.len, &reply.json, NULL);
        outcome = report(&reply);
    }
    http_reply_fini(&reply);
    return outcome;
}

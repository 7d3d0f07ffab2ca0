#include "daemon/follow_link.h"

#include "data/base/cleanup.h"
#include "data/base/file.h"
#include "data/base/json.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>

enum {
    CONNECT_MS = 5000,
    SLOW_BYTES = 1024, /* a second; less than that for SLOW_SECONDS is no answer */
    SLOW_SECONDS = 20,
    KEY_MAX = 4096,
    PROBLEM_MAX = 4096, /* of an answer that is a refusal */
    POLL_MS = 1000,
};

struct follow_link {
    char *url, *key_file, *ca_file; /* owned */
    CURLM *multi;
    CURL *curl;
    atomic_bool stopping;
};

struct transfer {
    struct follow_link *link;
    const struct follow_request *request;
    struct follow_reply reply;
    struct curl_slist *headers;
    struct buf problem;
    char why[CURL_ERROR_SIZE];
    struct err failure; /* of the sink */
};

enum err_code follow_link_check(const struct follow_options *o, struct err *e)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *user = NULL, *query = NULL, *fragment = NULL;
    bool ok = u && curl_url_set(u, CURLUPART_URL, o->url, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
              curl_url_get(u, CURLUPART_USER, &user, 0) != CURLUE_OK &&
              curl_url_get(u, CURLUPART_QUERY, &query, 0) != CURLUE_OK &&
              curl_url_get(u, CURLUPART_FRAGMENT, &fragment, 0) != CURLUE_OK;
    curl_free(scheme);
    curl_free(user);
    curl_free(query);
    curl_free(fragment);
    curl_url_cleanup(u);
    return ok ? ERR_OK
              : err_set(e, ERR_URL,
                        "--follow must be the trainer's URL as in http://HOST:5001, without user, "
                        "query or fragment");
}

/* -- one transfer --------------------------------------------------------------------------------
 */

static bool add_header(struct transfer *t, const char *name, const char *value)
{
    CLEANUP(cleanup_free) char *line = NULL;
    if (asprintf(&line, "%s: %s", name, value) < 0) {
        line = NULL;
        return false;
    }
    struct curl_slist *longer = curl_slist_append(t->headers, line);
    if (longer)
        t->headers = longer;
    return longer != NULL;
}

static enum err_code add_key(struct transfer *t, struct err *e)
{
    CLEANUP(buf_fini) struct buf key;
    buf_init(&key, KEY_MAX);
    const char *path = t->link->key_file;
    if (!path)
        return ERR_OK;
    enum err_code r = file_read(path, &key, e);
    if (r)
        return r;
    char *text = key.data ? (char *)key.data : "";
    text += strspn(text, " \t\r\n");
    size_t len = strcspn(text, " \t\r\n");
    if (!len || text[len + strspn(text + len, " \t\r\n")])
        return err_set(e, ERR_FIELD_RANGE, "%s must hold one key and nothing else", path);
    text[len] = 0;
    char line[KEY_MAX + 16];
    snprintf(line, sizeof line, "Bearer %s", text);
    bool ok = add_header(t, "Authorization", line);
    return ok ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for a request");
}

static enum err_code set_headers(struct transfer *t, struct err *e)
{
    const struct follow_request *q = t->request;
    char tag[DIGEST_HEX + 3];
    bool ok = add_header(t, "Expect", "");
    if (ok && q->tag && q->tag[0]) {
        snprintf(tag, sizeof tag, "\"%s\"", q->tag);
        ok = add_header(t, "If-None-Match", tag);
    }
    if (ok && q->body)
        ok = add_header(t, "Content-Type", "application/json");
    return ok ? add_key(t, e) : err_set(e, ERR_NOMEM, "no memory for a request");
}

static size_t take_header(char *bytes, size_t one, size_t len, void *context)
{
    static const char name[] = "etag:";
    struct transfer *t = context;
    size_t all = one * len;
    if (all < sizeof name || strncasecmp(bytes, name, sizeof name - 1) != 0)
        return all;
    const char *at = memchr(bytes, '"', all);
    size_t left = at ? all - (size_t)(at + 1 - bytes) : 0;
    if (left > DIGEST_HEX && at[1 + DIGEST_HEX] == '"') {
        memcpy(t->reply.tag, at + 1, DIGEST_HEX);
        t->reply.tag[DIGEST_HEX] = 0;
    }
    return all;
}

static size_t take_bytes(char *bytes, size_t one, size_t len, void *context)
{
    struct transfer *t = context;
    size_t all = one * len;
    long status = 0;
    curl_easy_getinfo(t->link->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200)
        return t->request->sink(t->request->context, bytes, all, &t->failure) ? 0 : all;
    return buf_append(&t->problem, bytes, all, NULL) ? 0 : all;
}

static void set_options(struct transfer *t, const char *url)
{
    CURL *curl = t->link->curl;
    const struct follow_request *q = t->request;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "kennel");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->why);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    if (t->link->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, t->link->ca_file);
    if (q->body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, q->body);
    if (q->timeout_ms) {
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)q->timeout_ms);
    } else {
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SLOW_SECONDS);
    }
}

/* False when it was stopped. */
static bool perform(struct follow_link *l, CURLcode *ret)
{
    int running = 1, left = 0;
    *ret = CURLE_OUT_OF_MEMORY;
    if (curl_multi_add_handle(l->multi, l->curl) != CURLM_OK)
        return true;
    while (running && !atomic_load(&l->stopping)) {
        if (curl_multi_perform(l->multi, &running) != CURLM_OK)
            break;
        if (running)
            curl_multi_poll(l->multi, NULL, 0, POLL_MS, NULL);
    }
    for (CURLMsg *m; (m = curl_multi_info_read(l->multi, &left));)
        if (m->msg == CURLMSG_DONE)
            *ret = m->data.result;
    curl_multi_remove_handle(l->multi, l->curl);
    return !running;
}

/* What a refusal says of itself, else its status. */
static enum err_code refused(struct transfer *t, long status, struct err *e)
{
    CLEANUP(json_decref_p) json_t *problem = NULL;
    const char *detail = NULL;
    if (t->problem.len &&
        json_read((const char *)t->problem.data, t->problem.len, &problem, NULL) == ERR_OK)
        detail = json_string_value(json_object_get(problem, "detail"));
    return err_set(e, ERR_TRAINER, "the trainer answered %ld%s%s", status, detail ? ": " : "",
                   detail ? detail : "");
}

static enum err_code judge(struct transfer *t, CURLcode code, struct err *e)
{
    long status = 0;
    curl_easy_getinfo(t->link->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->failure.code) {
        if (e)
            *e = t->failure;
        return t->failure.code;
    }
    if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && status && status != 200))
        return err_set(e, ERR_TRAINER, "the trainer cannot be asked: %s",
                       t->why[0] ? t->why : curl_easy_strerror(code));
    t->reply.unchanged = status == 304;
    return status == 200 || status == 304 ? ERR_OK : refused(t, status, e);
}

static void transfer_fini(struct transfer *t)
{
    curl_slist_free_all(t->headers);
    buf_fini(&t->problem);
}

enum err_code follow_link_ask(struct follow_link *l, const struct follow_request *q,
                              struct follow_reply *ret, struct err *e)
{
    CLEANUP(transfer_fini) struct transfer t = { .link = l, .request = q };
    CLEANUP(cleanup_free) char *url = NULL;
    CURLcode code;
    buf_init(&t.problem, PROBLEM_MAX);
    enum err_code r = file_path(&url, e, "%s%s", l->url, q->path);
    if (!r)
        r = set_headers(&t, e);
    if (r)
        return r;
    set_options(&t, url);
    if (!perform(l, &code))
        r = err_set(e, ERR_CANCELLED, "this follower stops");
    else
        r = judge(&t, code, e);
    curl_easy_reset(l->curl); /* it must not point at t any more */
    if (!r)
        *ret = t.reply;
    return r;
}

/* -- the link ------------------------------------------------------------------------------------
 */

void follow_link_stop(struct follow_link *l)
{
    atomic_store(&l->stopping, true);
    curl_multi_wakeup(l->multi);
}

bool follow_link_pause(struct follow_link *l, int64_t ms)
{
    if (!atomic_load(&l->stopping))
        curl_multi_poll(l->multi, NULL, 0, (int)ms, NULL);
    return !atomic_load(&l->stopping);
}

void follow_link_wake(struct follow_link *l)
{
    curl_multi_wakeup(l->multi);
}

bool follow_link_back_off(struct follow_link *l, int64_t *pause_ms)
{
    int64_t half = *pause_ms / 2;
    bool go_on = follow_link_pause(l, half + arc4random_uniform((uint32_t)(half + 1)));
    *pause_ms = 2 * *pause_ms < FOLLOW_PAUSE_MOST_MS ? 2 * *pause_ms : FOLLOW_PAUSE_MOST_MS;
    return go_on;
}

CLEANUP_DEFINE(struct follow_link, follow_link_free);

static bool copy(const char *text, char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return !text || *ret;
}

enum err_code follow_link_new(const struct follow_options *o, struct follow_link **ret,
                              struct err *e)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(e, ERR_INTERNAL, "libcurl cannot be used");
    CLEANUP(follow_link_free_p) struct follow_link *l = calloc(1, sizeof *l);
    if (!l) {
        curl_global_cleanup();
        return err_set(e, ERR_NOMEM, "no memory to follow");
    }
    l->multi = curl_multi_init();
    l->curl = curl_easy_init();
    if (!l->multi || !l->curl || !copy(o->url, &l->url) || !copy(o->key_file, &l->key_file) ||
        !copy(o->ca_file, &l->ca_file))
        return err_set(e, ERR_NOMEM, "no memory to follow");
    size_t len = strlen(l->url);
    while (len && l->url[len - 1] == '/')
        l->url[--len] = 0;
    *ret = STEAL(l);
    return ERR_OK;
}

void follow_link_free(struct follow_link *l)
{
    if (!l)
        return;
    curl_easy_cleanup(l->curl);
    curl_multi_cleanup(l->multi);
    free(l->url);
    free(l->key_file);
    free(l->ca_file);
    free(l);
    curl_global_cleanup();
}

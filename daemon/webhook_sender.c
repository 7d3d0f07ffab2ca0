#include "daemon/webhook_sender.h"

#include "daemon/bell.h"
#include "daemon/webhooks.h"
#include "data/base/clock.h"
#include "data/base/log.h"

#include <curl/curl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum {
    WEBHOOK_SLOTS = 8,
    REPLY_MAX = 64 << 10, /* bytes of an answer that are waited for */
    IDLE_MS = 600000,
    FAULT_MS = 1000, /* before the database is asked again */
};
#define DAY_MS INT64_C(86400000)

/* A delivery that is on its way. */
struct slot {
    struct webhook_sender *owner;
    CURL *curl; /* NULL: a free place */
    struct curl_slist *headers;
    char *body;
    char webhook[ULID_TEXT];
    int64_t delivery, attempts; /* before this one */
    size_t received;
    bool denied; /* its address */
    char error[CURL_ERROR_SIZE];
};

struct webhook_sender {
    struct state *state; /* borrowed */
    struct webhook_options options;
    struct address_allow allow;
    CURLM *multi;
    struct slot slots[WEBHOOK_SLOTS]; /* the thread's */
    pthread_t thread;
    bool started, rings;
    atomic_bool stopping, rung;
};

int64_t webhook_pause_ms(const struct webhook_options *o, int64_t attempts, uint32_t random)
{
    int64_t pause = o->retry_ms;
    for (int64_t i = 1; i < attempts && pause < DAY_MS; i++)
        pause *= 4;
    pause = pause * (800 + (int64_t)(random % 401)) / 1000;
    return pause < DAY_MS ? pause : DAY_MS;
}

static void log_fault(const char *event, const struct err *e)
{
    log_event("error", event, "code", err_slug(e->code), "message", e->message, NULL);
}

/* --- one delivery ----------------------------------------------------------------------------- */

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct slot *slot = context;
    if (purpose != CURLSOCKTYPE_IPCXN || !address_is_allowed(&slot->owner->allow, &a->addr)) {
        slot->denied = true;
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* What a receiver answers is of no interest, but for its status; an endless one is broken off. */
static size_t drop(char *bytes, size_t one, size_t len, void *context)
{
    (void)bytes, (void)one;
    struct slot *slot = context;
    slot->received += len;
    return slot->received <= REPLY_MAX ? len : 0;
}

static void slot_clear(struct slot *slot)
{
    if (slot->curl) {
        curl_multi_remove_handle(slot->owner->multi, slot->curl);
        curl_easy_cleanup(slot->curl);
    }
    curl_slist_free_all(slot->headers);
    free(slot->body);
    *slot = (struct slot){ .owner = slot->owner };
}

static bool add_header(struct slot *slot, const char *name, const char *value)
{
    char line[256];
    snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(slot->headers, line);
    if (longer)
        slot->headers = longer;
    return longer != NULL;
}

static enum err_code set_headers(struct slot *slot, const char *message,
                                 const struct webhook_secret *secret, struct err *e)
{
    char signature[WEBHOOK_SIGNATURE_TEXT], at[24];
    int64_t seconds = clock_utc_ms() / 1000;
    snprintf(at, sizeof at, "%" PRId64, seconds);
    enum err_code r = webhook_sign(secret, message, seconds, slot->body, signature, e);
    if (r)
        return r;
    bool ok = add_header(slot, "Content-Type", WEBHOOK_CONTENT_TYPE) &&
              add_header(slot, "webhook-id", message) &&
              add_header(slot, "webhook-timestamp", at) &&
              add_header(slot, "webhook-signature", signature) && add_header(slot, "Expect", "");
    return ok ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for a delivery");
}

static void set_options(struct slot *slot, const char *url)
{
    CURL *curl = slot->curl;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* the environment's would do the connecting */
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L); /* each one passes open_socket() */
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, slot);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)slot->owner->options.timeout_ms);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, slot->error);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "kennel");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, slot->headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, slot->body);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, slot);
}

/* --- what became of it ------------------------------------------------------------------------ */

static enum err_code write_end(struct slot *slot, long status, const char *error, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    struct webhook_sender *w = slot->owner;
    int64_t now = clock_utc_ms(), attempts = slot->attempts + 1;
    bool delivered = !error && status >= 200 && status < 300;
    bool over = delivered || status == 410 || attempts >= w->options.attempts;
    uint32_t random = 0;
    (void)!gnutls_rnd(GNUTLS_RND_NONCE, &random, sizeof random);
    int64_t next = now + webhook_pause_ms(&w->options, attempts, random);
    enum err_code r = db_write(state_db(w->state), &t, e);
    if (!r)
        r = db_exec(t, e,
                    "UPDATE delivery SET state = ?, attempts = ?, next_ms = ?, status = ?, "
                    "error = ?, ended_ms = ? WHERE id = ? AND state = 'waiting'",
                    DB_TEXT(delivered ? "delivered"
                            : over    ? "dead"
                                      : "waiting"),
                    DB_INT(attempts), over ? DB_NULL : DB_INT(next), DB_INT_OR_NULL(status),
                    DB_TEXT(error), over ? DB_INT(now) : DB_NULL, DB_INT(slot->delivery));
    return r ? r : db_commit(&t, e);
}

/* False when the row could not be written: it is sent again then, which receivers can tell. */
static bool end_slot(struct slot *slot, CURLcode code)
{
    long status = 0;
    struct err e;
    const char *error = NULL;
    curl_easy_getinfo(slot->curl, CURLINFO_RESPONSE_CODE, &status);
    bool broken_off = code == CURLE_WRITE_ERROR && slot->received > REPLY_MAX;
    if (slot->denied && !status)
        error = "the address is not public; kenneld --webhook-allow can allow it";
    else if (code != CURLE_OK && !broken_off)
        error = slot->error[0] ? slot->error : curl_easy_strerror(code);
    bool written = write_end(slot, status, error, &e) == ERR_OK;
    if (!written)
        log_fault("delivery_not_written", &e);
    slot_clear(slot);
    return written;
}

/* --- what is due ------------------------------------------------------------------------------ */

static struct slot *find_slot(struct webhook_sender *w, const char *webhook)
{
    struct slot *free_one = NULL;
    for (int i = 0; i < WEBHOOK_SLOTS; i++) {
        if (!w->slots[i].curl)
            free_one = &w->slots[i];
        else if (strcmp(w->slots[i].webhook, webhook) == 0)
            return NULL;
    }
    return free_one;
}

/* Columns: webhook, url, secret, delivery, message, body, attempts, next. */
static enum err_code start_slot(struct slot *slot, struct db_rows *row, struct err *e)
{
    struct webhook_secret secret;
    enum err_code r = webhook_secret_parse(db_text(row, 2), &secret, e);
    if (r)
        return r;
    snprintf(slot->webhook, sizeof slot->webhook, "%s", db_text(row, 0));
    slot->delivery = db_int(row, 3);
    slot->attempts = db_int(row, 6);
    slot->curl = curl_easy_init();
    slot->body = strdup(db_text(row, 5));
    if (!slot->curl || !slot->body)
        r = err_set(e, ERR_NOMEM, "no memory for a delivery");
    if (!r)
        r = set_headers(slot, db_text(row, 4), &secret, e);
    if (!r) {
        set_options(slot, db_text(row, 1));
        if (curl_multi_add_handle(slot->owner->multi, slot->curl) != CURLM_OK)
            r = err_set(e, ERR_NOMEM, "no memory for a delivery");
    }
    if (r)
        slot_clear(slot);
    return r;
}

/* Starts what is due and finds when the next one is. */
static enum err_code start_due(struct webhook_sender *w, int64_t now, int64_t *ret_next,
                               struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_read(state_db(w->state), &t, e);
    if (!r)
        r = db_query(t, &rows, e,
                     "SELECT w.id, w.url, w.secret, d.id, d.message, d.body, d.attempts, d.next_ms "
                     "FROM webhook w JOIN delivery d ON d.id = (SELECT x.id FROM delivery x WHERE "
                     "x.webhook = w.id AND x.next_ms IS NOT NULL ORDER BY x.next_ms, x.id LIMIT 1) "
                     "ORDER BY d.next_ms");
    bool more = false;
    while (!r && !(r = db_next(rows, &more, e)) && more) {
        int64_t next = db_int(rows, 7);
        if (next > now) {
            *ret_next = next;
            break;
        }
        struct slot *slot = find_slot(w, db_text(rows, 0));
        if (slot)
            r = start_slot(slot, rows, e);
    }
    return r;
}

/* --- the thread ------------------------------------------------------------------------------- */

/* How many; -1 when one could not be written down. */
static int end_finished(struct webhook_sender *w)
{
    int ended = 0, left = 0;
    bool written = true;
    for (CURLMsg *m; (m = curl_multi_info_read(w->multi, &left));) {
        struct slot *slot = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &slot);
        written = end_slot(slot, code) && written;
        ended++;
    }
    return written ? ended : -1;
}

/* One round; returns how long nothing needs to be done unless somebody rings. */
static int64_t work(struct webhook_sender *w, bool *ret_changed)
{
    struct err e;
    int running = 0;
    int64_t now = clock_utc_ms(), next = now + IDLE_MS;
    enum err_code r = *ret_changed ? webhooks_fan_out(w->state, &e) : ERR_OK;
    if (!r)
        r = start_due(w, now, &next, &e);
    if (r)
        log_fault("webhooks", &e);
    else
        *ret_changed = false;
    curl_multi_perform(w->multi, &running);
    int ended = end_finished(w);
    if (r || ended < 0)
        return FAULT_MS;
    return ended || next < now ? 0 : next - now;
}

static void *run(void *context)
{
    struct webhook_sender *w = context;
    bool changed = true;
    while (!atomic_load(&w->stopping)) {
        changed = atomic_exchange(&w->rung, false) || changed;
        int64_t wait = work(w, &changed);
        curl_multi_poll(w->multi, NULL, 0, wait < IDLE_MS ? (int)wait : IDLE_MS, NULL);
    }
    for (int i = 0; i < WEBHOOK_SLOTS; i++)
        slot_clear(&w->slots[i]);
    return NULL;
}

static void on_ring(void *context)
{
    struct webhook_sender *w = context;
    atomic_store(&w->rung, true);
    curl_multi_wakeup(w->multi);
}

CLEANUP_DEFINE(struct webhook_sender, webhook_sender_free);

enum err_code webhook_sender_new(struct state *s, const struct webhook_options *o,
                                 struct webhook_sender **ret, struct err *e)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(e, ERR_INTERNAL, "libcurl cannot be used");
    CLEANUP(webhook_sender_free_p) struct webhook_sender *w = calloc(1, sizeof *w);
    if (w)
        w->multi = curl_multi_init();
    if (!w || !w->multi)
        return err_set(e, ERR_NOMEM, "no memory for webhooks");
    w->state = s;
    w->options = *o;
    w->options.allow = NULL;
    for (int i = 0; i < WEBHOOK_SLOTS; i++)
        w->slots[i].owner = w;
    enum err_code r = address_allow_parse(o->allow, &w->allow, e);
    if (!r)
        r = bell_add(db_bell(state_db(s)), on_ring, w, e);
    w->rings = !r;
    int error = r ? 0 : pthread_create(&w->thread, NULL, run, w);
    if (error)
        r = err_errno(e, error, "cannot start the thread of webhooks");
    if (r)
        return r;
    w->started = true;
    pthread_setname_np(w->thread, "webhooks");
    *ret = STEAL(w);
    return ERR_OK;
}

void webhook_sender_free(struct webhook_sender *w)
{
    if (!w)
        return;
    if (w->rings)
        bell_remove(db_bell(state_db(w->state)), on_ring, w);
    if (w->started) {
        atomic_store(&w->stopping, true);
        curl_multi_wakeup(w->multi);
        pthread_join(w->thread, NULL);
    }
    curl_multi_cleanup(w->multi);
    free(w);
    curl_global_cleanup();
}

const struct address_allow *webhook_sender_allow(const struct webhook_sender *w)
{
    return &w->allow;
}

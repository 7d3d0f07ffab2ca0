#include "daemon/webhooks.h"

#include "daemon/events.h"
#include "daemon/models.h"
#include "daemon/record.h"
#include "data/base/clock.h"
#include "data/base/json.h"

#include <curl/curl.h>
#include <string.h>

#define CALLBACK_EVENTS "job.succeeded,job.rejected,job.failed,job.cancelled"

/* --- URLs ------------------------------------------------------------------------------------- */

static enum err_code check_parts(const struct address_allow *allow, CURLU *u, struct err *e)
{
    char *scheme = NULL, *host = NULL, *user = NULL;
    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
    curl_url_get(u, CURLUPART_HOST, &host, 0);
    curl_url_get(u, CURLUPART_USER, &user, 0);
    enum err_code r = ERR_OK;
    if (!scheme || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) || !host)
        r = err_set(e, ERR_URL, "the URL must begin with https:// or http:// and name a host");
    else if (user)
        r = err_set(e, ERR_URL,
                    "the URL must not have a user or password: it is shown in listings");
    else if (!address_text_is_allowed(allow, host))
        r = err_set(e, ERR_URL_FORBIDDEN,
                    "address %.60s is not public; kenneld --webhook-allow can allow it", host);
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    return r;
}

enum err_code webhook_check_url(const struct address_allow *allow, const char *url, struct err *e)
{
    if (strlen(url) > WEBHOOK_URL_MAX)
        return err_set(e, ERR_URL, "the URL has %zu bytes, at most %d are taken", strlen(url),
                       WEBHOOK_URL_MAX);
    CURLU *u = curl_url();
    if (!u)
        return err_set(e, ERR_NOMEM, "no memory for a URL");
    /* Numbers in any notation ("127.1") become the address that they mean. */
    CURLUcode code = curl_url_set(u, CURLUPART_URL, url, 0);
    enum err_code r =
        code ? err_set(e, ERR_URL, "the URL cannot be read: %s", curl_url_strerror(code))
             : check_parts(allow, u, e);
    curl_url_cleanup(u);
    return r;
}

/* --- rows ------------------------------------------------------------------------------------- */

#define SELECT_WEBHOOK "SELECT id, url, events, model, job, who, created_ms, spent_ms FROM webhook "
#define SELECT_DELIVERY                                                                            \
    "SELECT id, message, type, state, attempts, next_ms, status, error, created_ms, ended_ms "     \
    "FROM delivery "

static json_t *patterns_json(const char *patterns)
{
    json_t *list = json_array();
    for (const char *at = patterns; list; at++) {
        size_t len = strcspn(at, ",");
        if (json_array_append_new(list, json_stringn(at, len)) < 0) {
            json_decref(list);
            return NULL;
        }
        at += len;
        if (!*at)
            break;
    }
    return list;
}

static json_t *webhook_json(struct db_rows *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", db_json_text(row, 0), "url",
                     db_json_text(row, 1), "events", patterns_json(db_text(row, 2)), "model",
                     db_json_text(row, 3), "job", db_json_text(row, 4), "requested_by",
                     db_json_text(row, 5), "created", db_json_time(row, 6));
}

static json_t *delivery_json(struct db_rows *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
                     db_json_int(row, 0), "message", db_json_text(row, 1), "type",
                     db_json_text(row, 2), "state", db_json_text(row, 3), "attempts",
                     db_json_int(row, 4), "next", db_json_time(row, 5), "status",
                     db_json_int(row, 6), "error", db_json_text(row, 7), "created",
                     db_json_time(row, 8), "ended", db_json_time(row, 9));
}

static enum err_code take_json(json_t *made, json_t **ret, struct err *e)
{
    if (!made)
        return err_set(e, ERR_NOMEM, "no memory to show a webhook");
    *ret = made;
    return ERR_OK;
}

static enum err_code find(struct db_tx *t, const char *id, json_t **ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, SELECT_WEBHOOK "WHERE id = ?", DB_TEXT(id));
    if (!r && !row)
        r = err_set(e, ERR_WEBHOOK_UNKNOWN, "there is no webhook \"%.80s\"", id);
    return r ? r : take_json(webhook_json(row), ret, e);
}

static enum err_code count(struct db_tx *t, int64_t *ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, "SELECT count(*) FROM webhook WHERE job IS NULL");
    if (!r)
        *ret = db_int(row, 0);
    return r;
}

static enum err_code new_id(char ret[ULID_TEXT], struct err *e)
{
    struct ulid_source ids;
    ulid_source_init(&ids);
    enum err_code r = ulid_next(&ids, clock_utc_ms(), ret, e);
    ulid_source_fini(&ids);
    return r;
}

static enum err_code insert(struct db_tx *t, const char *id, const struct webhook_request *q,
                            const char *job, const char *who, struct err *e)
{
    char secret[WEBHOOK_SECRET_TEXT];
    enum err_code r = webhook_secret_text(&q->secret, secret, e);
    if (r)
        return r;
    return db_exec(t, e,
                   "INSERT INTO webhook (id, url, events, model, job, secret, last_event, who, "
                   "created_ms) VALUES (?, ?, ?, ?, ?, ?, "
                   "(SELECT coalesce(max(id), 0) FROM event), ?, ?)",
                   DB_TEXT(id), DB_TEXT(q->url), DB_TEXT(q->events), DB_TEXT(q->model),
                   DB_TEXT(job), DB_TEXT(secret), DB_TEXT(who), DB_INT(clock_utc_ms()));
}

static enum err_code add(struct db_tx *t, const char *id, const struct webhook_request *q,
                         const char *who, json_t **ret, struct err *e)
{
    int64_t others = 0, model = 0;
    enum err_code r = q->model ? models_find(t, q->model, &model, e) : ERR_OK;
    if (!r)
        r = count(t, &others, e);
    if (!r && others >= WEBHOOKS_MAX)
        r = err_set(e, ERR_WEBHOOKS_TOO_MANY, "there are %d webhooks, which is the limit",
                    WEBHOOKS_MAX);
    if (!r)
        r = insert(t, id, q, NULL, who, e);
    if (!r)
        r = find(t, id, ret, e);
    char subject[48];
    snprintf(subject, sizeof subject, "webhook/%.30s", id);
    return r ? r : db_audit(t, who, "webhook.create", subject, NULL, *ret, e);
}

enum err_code webhooks_add(struct state *s, const struct webhook_request *request, const char *who,
                           json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *made = NULL;
    struct webhook_request q = *request;
    char id[ULID_TEXT], secret[WEBHOOK_SECRET_TEXT];
    enum err_code r = events_check_patterns(q.events, e);
    if (!r && !q.secret.len)
        r = webhook_secret_new(&q.secret, e);
    if (!r)
        r = webhook_secret_text(&q.secret, secret, e);
    if (!r)
        r = new_id(id, e);
    if (!r)
        r = db_write(state_db(s), &t, e);
    if (!r)
        r = add(t, id, &q, who, &made, e);
    if (!r)
        r = json_put(made, "secret", json_string(secret), e);
    if (!r)
        r = db_commit(&t, e);
    if (!r)
        *ret = STEAL(made);
    return r;
}

enum err_code webhook_add_callback(struct db_tx *t, const char *job, const char *url,
                                   const struct webhook_secret *secret, const char *who,
                                   struct err *e)
{
    char id[ULID_TEXT];
    const struct webhook_request q = { .url = url, .events = CALLBACK_EVENTS, .secret = *secret };
    enum err_code r = new_id(id, e);
    return r ? r : insert(t, id, &q, job, who, e);
}

enum err_code webhooks_list(struct state *s, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_query(t, &rows, e, SELECT_WEBHOOK "ORDER BY id");
    return r ? r : db_json_list(rows, webhook_json, ret, e);
}

enum err_code webhooks_show(struct state *s, const char *id, json_t **ret, struct err *e)
{
    return record_show(s, find, id, ret, e);
}

enum err_code webhooks_remove(struct state *s, const char *id, const char *who, struct err *e)
{
    static const struct record_removal removal = {
        .find = find,
        .sql = "DELETE FROM webhook WHERE id = ?",
        .what = "webhook.delete",
        .subject = "webhook/",
    };
    return record_remove(s, &removal, id, who, e);
}

/* --- deliveries ------------------------------------------------------------------------------- */

enum err_code webhooks_deliveries(struct state *s, const char *id, int limit, json_t **ret,
                                  struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    CLEANUP(json_decref_p) json_t *webhook = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = find(t, id, &webhook, e);
    if (!r)
        r = db_query(t, &rows, e, SELECT_DELIVERY "WHERE webhook = ? ORDER BY id DESC LIMIT ?",
                     DB_TEXT(id), DB_INT(limit));
    return r ? r : db_json_list(rows, delivery_json, ret, e);
}

static enum err_code find_delivery(struct db_tx *t, const char *webhook, int64_t id, json_t **ret,
                                   struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, SELECT_DELIVERY "WHERE webhook = ? AND id = ?",
                             DB_TEXT(webhook), DB_INT(id));
    if (!r && !row)
        r = err_set(e, ERR_DELIVERY_UNKNOWN, "webhook \"%.40s\" has no such delivery", webhook);
    return r ? r : take_json(delivery_json(row), ret, e);
}

static enum err_code add_delivery(struct db_tx *t, const char *webhook, const char *message,
                                  const struct event *event, struct err *e)
{
    CLEANUP(cleanup_free) char *body = NULL;
    int64_t now = clock_utc_ms();
    enum err_code r =
        webhook_body(message, event->type, event->subject, event->at_ms, event->data, &body, e);
    return r ? r
             : db_exec(t, e,
                       "INSERT INTO delivery (webhook, message, type, body, state, next_ms, "
                       "created_ms) VALUES (?, ?, ?, ?, 'waiting', ?, ?)",
                       DB_TEXT(webhook), DB_TEXT(message), DB_TEXT(event->type), DB_TEXT(body),
                       DB_INT(now), DB_INT(now));
}

static enum err_code last_delivery(struct db_tx *t, const char *webhook, json_t **ret,
                                   struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(
        t, &row, e, SELECT_DELIVERY "WHERE webhook = ? ORDER BY id DESC LIMIT 1", DB_TEXT(webhook));
    return r ? r : take_json(delivery_json(row), ret, e);
}

enum err_code webhooks_ping(struct state *s, const char *id, const char *who, json_t **ret,
                            struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *webhook = NULL;
    CLEANUP(json_decref_p) json_t *made = NULL;
    char subject[48], ulid[ULID_TEXT], message[ULID_TEXT + 8];
    snprintf(subject, sizeof subject, "webhook/%.30s", id);
    const struct event ping = {
        .type = "webhook.ping", .subject = subject, .at_ms = clock_utc_ms(), .data = "{}"
    };
    enum err_code r = new_id(ulid, e);
    if (!r)
        r = db_write(state_db(s), &t, e);
    if (r)
        return r;
    snprintf(message, sizeof message, "ping-%s", ulid);
    r = find(t, id, &webhook, e);
    if (!r)
        r = add_delivery(t, id, message, &ping, e);
    if (!r)
        r = last_delivery(t, id, &made, e);
    if (!r)
        r = db_audit(t, who, "webhook.ping", subject, NULL, made, e);
    if (r)
        return r;
    db_announce(t);
    r = db_commit(&t, e);
    if (!r)
        *ret = STEAL(made);
    return r;
}

enum err_code webhooks_redeliver(struct state *s, const char *id, int64_t delivery, const char *who,
                                 json_t **ret, struct err *e)
{
    char subject[48];
    snprintf(subject, sizeof subject, "webhook/%.30s", id);
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *webhook = NULL;
    CLEANUP(json_decref_p) json_t *before = NULL;
    CLEANUP(json_decref_p) json_t *after = NULL;
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = find(t, id, &webhook, e);
    if (!r)
        r = find_delivery(t, id, delivery, &before, e);
    if (!r)
        r = db_exec(t, e,
                    "UPDATE delivery SET state = 'waiting', attempts = 0, next_ms = ?, "
                    "ended_ms = NULL WHERE id = ? AND state <> 'waiting'",
                    DB_INT(clock_utc_ms()), DB_INT(delivery));
    if (!r && !db_changes(t))
        r = err_set(e, ERR_DELIVERY_STATE, "the delivery is still waiting to be sent");
    if (!r)
        r = find_delivery(t, id, delivery, &after, e);
    if (!r)
        r = db_audit(t, who, "webhook.redeliver", subject, before, after, e);
    if (r)
        return r;
    db_announce(t);
    r = db_commit(&t, e);
    if (!r)
        *ret = STEAL(after);
    return r;
}

/* --- from events to deliveries ---------------------------------------------------------------- */

enum { BATCH = 200, CALLBACK_KEPT_DAYS = 7 };

struct fan {
    struct db_tx *t;
    const char *webhook;
    bool ended; /* its job */
};

static enum err_code deliver(void *context, const struct event *event, struct err *e)
{
    struct fan *fan = context;
    /* Receivers may hear of many servers, each of which has its own event 1. */
    char message[ULID_TEXT + 32];
    snprintf(message, sizeof message, "event-%s-%lld", fan->webhook, (long long)event->id);
    fan->ended = true; /* a callback's patterns let through what ends its job alone */
    return add_delivery(fan->t, fan->webhook, message, event, e);
}

static enum err_code forget_deliveries(struct db_tx *t, const char *webhook, struct err *e)
{
    return db_exec(t, e,
                   "DELETE FROM delivery WHERE webhook = ? AND state <> 'waiting' AND id <= "
                   "(SELECT id FROM delivery WHERE webhook = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                   DB_TEXT(webhook), DB_TEXT(webhook), DB_INT(WEBHOOK_DELIVERIES_KEPT));
}

/* One webhook: its id, patterns, model, job, number. */
static enum err_code fan_out_one(struct db_tx *t, struct db_rows *row, bool *ret_more,
                                 struct err *e)
{
    const struct event_filter filter = { .types = db_text(row, 1),
                                         .model = db_text(row, 2),
                                         .job = db_text(row, 3) };
    struct fan fan = { .t = t, .webhook = db_text(row, 0) };
    int64_t after = db_int(row, 4), last = after;
    bool more = false;
    enum err_code r = events_read(t, &filter, after, BATCH, deliver, &fan, &last, &more, e);
    if (!r && last != after)
        r = db_exec(t, e, "UPDATE webhook SET last_event = ? WHERE id = ?", DB_INT(last),
                    DB_TEXT(fan.webhook));
    if (!r && filter.job && fan.ended)
        r = db_exec(t, e, "UPDATE webhook SET spent_ms = ? WHERE id = ?", DB_INT(clock_utc_ms()),
                    DB_TEXT(fan.webhook));
    *ret_more = *ret_more || more;
    return r ? r : forget_deliveries(t, fan.webhook, e);
}

#define SELECT_BEHIND                                                                              \
    "SELECT id, events, model, job, last_event FROM webhook "                                      \
    "WHERE spent_ms IS NULL AND last_event < (SELECT max(id) FROM event)"

/* Whether an event came for anybody: mostly not, and then nobody waits for the writer's lock. */
static enum err_code is_behind(struct state *s, bool *ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_get(t, &row, e, SELECT_BEHIND);
    if (!r)
        *ret = row != NULL;
    return r;
}

static enum err_code fan_out(struct state *s, bool *ret_more, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    bool more = false;
    *ret_more = false;
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = db_query(t, &rows, e, SELECT_BEHIND);
    while (!r && !(r = db_next(rows, &more, e)) && more)
        r = fan_out_one(t, rows, ret_more, e);
    db_rows_free(STEAL(rows));
    if (!r)
        r = db_exec(t, e, "DELETE FROM webhook WHERE spent_ms < ?",
                    DB_INT(clock_utc_ms() - CALLBACK_KEPT_DAYS * INT64_C(86400000)));
    return r ? r : db_commit(&t, e);
}

enum err_code webhooks_fan_out(struct state *s, struct err *e)
{
    bool more = false;
    enum err_code r = is_behind(s, &more, e);
    while (more && !r)
        r = fan_out(s, &more, e);
    return r;
}

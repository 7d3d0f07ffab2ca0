/* Webhooks: who is told of events, and what was delivered. */
#include "api/request.h"
#include "api/routes.h"
#include "daemon/events.h"
#include "daemon/webhook_sender.h"
#include "daemon/webhooks.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <string.h>

enum { LIST_DEFAULT = 100 };

static struct state *state_of(const struct request *r)
{
    return r->server->parts.state;
}

/* ["job.*", "alias.changed"] with commas between. */
static enum err_code join(const json_t *list, char ret[EVENT_PATTERNS_TEXT + 1], struct err *e)
{
    size_t i, at = 0;
    json_t *one;
    if (!json_array_size(list))
        return err_set(e, ERR_FIELD_RANGE, "the request: events names none; [\"*\"] are all");
    json_array_foreach (list, i, one) {
        const char *text = json_string_value(one);
        if (!text)
            return err_set(e, ERR_JSON_TYPE, "the request: events[%zu] must be a string", i);
        if (strchr(text, ','))
            return err_set(e, ERR_FIELD_RANGE, "the request: events[%zu] has a comma", i);
        int n = snprintf(ret + at, EVENT_PATTERNS_TEXT + 1 - at, "%s%s", at ? "," : "", text);
        if (n < 0 || at + (size_t)n > EVENT_PATTERNS_TEXT)
            return err_set(e, ERR_FIELD_RANGE, "the request: events has more than %d bytes",
                           EVENT_PATTERNS_TEXT);
        at += (size_t)n;
    }
    return ERR_OK;
}

static enum err_code create(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    char events[EVENT_PATTERNS_TEXT + 1] = "";
    json_t *list = NULL, *made;
    const char *secret = NULL;
    struct webhook_request q = { .events = events };
    const struct json_field fields[] = {
        { .name = "url", .kind = JSON_KIND_STRING, .required = true, .into = &q.url },
        { .name = "events", .kind = JSON_KIND_ARRAY, .required = true, .into = &list },
        { .name = "model", .kind = JSON_KIND_STRING, .into = &q.model },
        { .name = "secret", .kind = JSON_KIND_STRING, .into = &secret },
    };
    enum err_code code = request_json(r, &body, e);
    if (!code)
        code = json_take(body, "the request", fields, sizeof fields / sizeof *fields, e);
    if (!code)
        code = join(list, events, e);
    if (!code)
        code = webhook_check_url(webhook_sender_allow(r->server->parts.webhooks), q.url, e);
    if (!code && secret)
        code = webhook_secret_parse(secret, &q.secret, e);
    if (!code)
        code = webhooks_add(state_of(r), &q, r->who, &made, e);
    if (code)
        return code;
    reply_header(&r->reply, "Location", "/api/v1/webhooks/%s",
                 json_string_value(json_object_get(made, "id")));
    return reply_json_take(&r->reply, 201, made, e);
}

static enum err_code list(struct request *r, struct err *e)
{
    json_t *all;
    enum err_code code = webhooks_list(state_of(r), &all, e);
    return code ? code : reply_list(&r->reply, "webhooks", all, e);
}

static enum err_code show(struct request *r, struct err *e)
{
    json_t *one;
    enum err_code code = webhooks_show(state_of(r), request_param(r, "w"), &one, e);
    return code ? code : reply_json_take(&r->reply, 200, one, e);
}

static enum err_code remove_one(struct request *r, struct err *e)
{
    enum err_code code = webhooks_remove(state_of(r), request_param(r, "w"), r->who, e);
    if (!code)
        reply_fixed(&r->reply, 204, NULL, "", 0);
    return code;
}

static enum err_code deliveries(struct request *r, struct err *e)
{
    int64_t limit = LIST_DEFAULT;
    json_t *all;
    request_query_int(r, "limit", &limit);
    enum err_code code =
        webhooks_deliveries(state_of(r), request_param(r, "w"), (int)limit, &all, e);
    return code ? code : reply_list(&r->reply, "deliveries", all, e);
}

static enum err_code ping(struct request *r, struct err *e)
{
    json_t *one;
    enum err_code code = webhooks_ping(state_of(r), request_param(r, "w"), r->who, &one, e);
    return code ? code : reply_json_take(&r->reply, 202, one, e);
}

static enum err_code redeliver(struct request *r, struct err *e)
{
    int64_t n = 0;
    json_t *one;
    if (!request_number(r, "n", &n))
        return err_set(e, ERR_DELIVERY_UNKNOWN, "\"%.40s\" is no number of a delivery",
                       request_param(r, "n"));
    enum err_code code = webhooks_redeliver(state_of(r), request_param(r, "w"), n, r->who, &one, e);
    return code ? code : reply_json_take(&r->reply, 202, one, e);
}

const struct route routes_webhooks[] = {
    { "POST", "/api/v1/webhooks", BODY_JSON, RUN_TASK, create, "Have events sent to a URL",
      ACCESS_ADMIN },
    { "GET", "/api/v1/webhooks", BODY_NONE, RUN_TASK, list, "List webhooks", ACCESS_ADMIN },
    { "GET", "/api/v1/webhooks/{w}", BODY_NONE, RUN_TASK, show, "Show a webhook", ACCESS_ADMIN },
    { "DELETE", "/api/v1/webhooks/{w}", BODY_NONE, RUN_TASK, remove_one, "Remove a webhook",
      ACCESS_ADMIN },
    { "POST", "/api/v1/webhooks/{w}/ping", BODY_NONE, RUN_TASK, ping, "Send a webhook a test",
      ACCESS_ADMIN },
    { "GET", "/api/v1/webhooks/{w}/deliveries", BODY_NONE, RUN_TASK, deliveries,
      "List what a webhook was sent", ACCESS_ADMIN },
    { "POST", "/api/v1/webhooks/{w}/deliveries/{n}/redeliver", BODY_NONE, RUN_TASK, redeliver,
      "Send a delivery again", ACCESS_ADMIN },
    { 0 },
};

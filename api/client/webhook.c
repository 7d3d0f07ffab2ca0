/* Webhooks: who is told of events, and what was delivered. */
#include "api/client/http.h"
#include "api/client/show.h"

#include <string.h>

static const struct flag add_flags[] = {
    { "event", "TYPE", "job.failed, job.*, or * for all (default); may be given again" },
    { "model", "NAME", "only events about it" },
    { "secret", "SECRET", "whsec_ and base64; otherwise a new one, shown once" },
    { 0 },
};

static json_t *events_of(const struct args *a)
{
    json_t *list = json_array();
    const char *event;
    for (int i = 0; (event = args_flag_nth(a, "event", i)); i++)
        json_array_append_new(list, json_string(event));
    if (!json_array_size(list))
        json_array_append_new(list, json_string("*"));
    return list;
}

static enum outcome add(struct client *c, const struct args *a)
{
    json_t *body = json_pack("{s:s, s:o, s:s*, s:s*}", "url", a->values[0], "events", events_of(a),
                             "model", args_flag(a, "model"), "secret", args_flag(a, "secret"));
    struct http_reply reply;
    return show_object(c, http_call_json(c->http, "POST", body, &reply, "/api/v1/webhooks"),
                       &reply);
}

static enum outcome list(struct client *c, const struct args *a)
{
    (void)a;
    return show_list(c, "/api/v1/webhooks", "webhooks", "id", "url", "model", "job", "created",
                     NULL);
}

static enum outcome show(struct client *c, const struct args *a)
{
    struct http_reply reply;
    return show_object(
        c, http_call(c->http, "GET", NULL, &reply, "/api/v1/webhooks/%s", a->values[0]), &reply);
}

static enum outcome remove_one(struct client *c, const struct args *a)
{
    struct http_reply reply;
    enum outcome outcome =
        http_call(c->http, "DELETE", NULL, &reply, "/api/v1/webhooks/%s", a->values[0]);
    (void)show_json(c, outcome, &reply);
    http_reply_fini(&reply);
    return outcome;
}

static enum outcome ping(struct client *c, const struct args *a)
{
    struct http_reply reply;
    return show_object(
        c, http_call(c->http, "POST", NULL, &reply, "/api/v1/webhooks/%s/ping", a->values[0]),
        &reply);
}

static enum outcome deliveries(struct client *c, const struct args *a)
{
    static const char *const columns[] = { "id",     "type",  "state",   "attempts",
                                           "status", "error", "created", NULL };
    struct http_reply reply;
    enum outcome outcome =
        http_call(c->http, "GET", NULL, &reply, "/api/v1/webhooks/%s/deliveries", a->values[0]);
    if (!show_json(c, outcome, &reply))
        show_table(json_object_get(reply.json, "deliveries"), columns);
    http_reply_fini(&reply);
    return outcome;
}

static enum outcome redeliver(struct client *c, const struct args *a)
{
    struct http_reply reply;
    return show_object(c,
                       http_call(c->http, "POST", NULL, &reply,
                                 "/api/v1/webhooks/%s/deliveries/%s/redeliver", a->values[0],
                                 a->values[1]),
                       &reply);
}

const struct command commands_webhook[] = {
    { "webhook", "add", "URL", 1, 1, add_flags, add, "Have events sent to a URL" },
    { "webhook", "list", "", 0, 0, NULL, list, "List them" },
    { "webhook", "show", "ID", 1, 1, NULL, show, "Show one" },
    { "webhook", "remove", "ID", 1, 1, NULL, remove_one, "Remove it" },
    { "webhook", "ping", "ID", 1, 1, NULL, ping, "Send it a test" },
    { "webhook", "deliveries", "ID", 1, 1, NULL, deliveries, "List what it was sent" },
    { "webhook", "redeliver", "ID DELIVERY", 2, 2, NULL, redeliver, "Send one again" },
    { 0 },
};

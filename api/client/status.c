#include "api/client/http.h"
#include "api/client/table.h"

static enum outcome list_models(struct client *c)
{
    struct http_reply reply;
    enum outcome outcome = http_call(c->http, "GET", NULL, &reply, "/api/v1/models?limit=1000");
    if (outcome == DONE) {
        struct table t;
        size_t i;
        json_t *model;
        table_init(&t, "MODEL", "PRODUCTION", "VERSIONS", NULL);
        json_array_foreach (json_object_get(reply.json, "models"), i, model) {
            table_member(&t, model, "name");
            table_member(&t, model, "production");
            table_member(&t, model, "versions");
        }
        if (i)
            table_print(&t);
        table_fini(&t);
    }
    http_reply_fini(&reply);
    return outcome;
}

static enum outcome status(struct client *c, const struct args *a)
{
    (void)a;
    struct http_reply reply;
    enum outcome outcome = http_call(c->http, "GET", NULL, &reply, "/readyz");
    const json_t *model = json_object_get(reply.json, "default_model");
    if (reply.json && c->json)
        http_print(&reply);
    else if (outcome == DONE)
        printf("ready; default model: %s\n",
               json_is_string(model) ? json_string_value(model) : "none");
    http_reply_fini(&reply);
    return outcome == DONE && !c->json ? list_models(c) : outcome;
}

/* Text for Prometheus, as it comes. */
static enum outcome metrics(struct client *c, const struct args *a)
{
    (void)a;
    struct http_reply reply;
    enum outcome outcome = http_call(c->http, "GET", NULL, &reply, "/metrics");
    if (outcome == DONE || (c->json && reply.json))
        http_print(&reply);
    http_reply_fini(&reply);
    return outcome;
}

const struct command commands_status[] = {
    { "status", NULL, "", 0, 0, NULL, status, "Is the server ready, and what does it serve" },
    { "metrics", NULL, "", 0, 0, NULL, metrics,
      "Counters and histograms, as Prometheus reads them" },
    { 0 },
};

#include "api/client/http.h"
#include "api/client/show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct flag create_flags[] = {
    { "role", "ROLE", "score, train, promote or admin" },
    { "days", "N", "until it expires; without it never" },
    { "rate", "N", "requests a second that it is good for; without it any number" },
    { 0 },
};

static bool read_rate(const struct args *a, json_t *body)
{
    const char *text = args_flag(a, "rate");
    if (!text)
        return true;
    char *end;
    double rate = strtod(text, &end);
    if (end != text && !*end)
        return json_object_set_new(body, "rate", json_real(rate)) == 0;
    fprintf(stderr, "kennel: --rate must be a number, is \"%s\"\n", text);
    return false;
}

static json_t *create_body(const struct args *a)
{
    int64_t days = 0;
    if (!args_flag(a, "role")) {
        fprintf(stderr, "kennel: key create needs --role\n");
        return NULL;
    }
    if (!args_int(a, "days", 1, INT32_MAX, &days))
        return NULL;
    json_t *body = json_pack("{s:s, s:s}", "name", a->values[0], "role", args_flag(a, "role"));
    if (body && days)
        json_object_set_new(body, "expires_in_days", json_integer(days));
    if (body && read_rate(a, body))
        return body;
    json_decref(body);
    return NULL;
}

/* The key alone on standard output, so that a script can keep it. */
static enum outcome create(struct client *c, const struct args *a)
{
    json_t *body = create_body(a);
    if (!body)
        return USAGE;
    struct http_reply reply;
    enum outcome outcome = http_call_json(c->http, "POST", body, &reply, "/api/v1/keys");
    if (!show_json(c, outcome, &reply)) {
        printf("%s\n", json_string_value(json_object_get(reply.json, "key")));
        fprintf(stderr, "key %s of %s, role %s: it is shown this once\n",
                json_string_value(json_object_get(reply.json, "id")),
                json_string_value(json_object_get(reply.json, "name")),
                json_string_value(json_object_get(reply.json, "role")));
    }
    http_reply_fini(&reply);
    return outcome;
}

static enum outcome list(struct client *c, const struct args *a)
{
    (void)a;
    return show_list(c, "/api/v1/keys", "keys", "id", "name", "role", "created", "expires", "rate",
                     "used", NULL);
}

static enum outcome delete (struct client *c, const struct args *a) {
    struct http_reply reply; enum outcome outcome = http_call(c->http, "DELETE", NULL, &reply,
                                                              "/api/v1/keys/%s", a->values[0]);
    if (outcome != DONE)(void) show_json(c, outcome, &reply);
    http_reply_fini(&reply);
    return outcome;
}

static enum outcome audit(struct client *c, const struct args *a)
{
    static const char *const columns[] = { "at", "who", "what", "subject", NULL };
    struct http_reply reply;
    const char *subject = args_flag(a, "subject");
    enum outcome outcome =
        subject ? http_call(c->http, "GET", NULL, &reply, "/api/v1/audit?subject=%s", subject)
                : http_call(c->http, "GET", NULL, &reply, "/api/v1/audit");
    if (!show_json(c, outcome, &reply))
        show_table(json_object_get(reply.json, "audit"), columns);
    http_reply_fini(&reply);
    return outcome;
}

static const struct flag audit_flags[] = {
    { "subject", "TEXT", "only changes of this, as model/breeds" },
    { 0 },
};

const struct command commands_key[] = {
    { "key", "create", "NAME", 1, 1, create_flags, create, "Make an API key" },
    { "key", "list", "", 0, 0, NULL, list, "List API keys" },
    { "key", "delete", "ID", 1, 1, NULL, delete, "Take an API key back" },
    { "audit", NULL, "", 0, 0, audit_flags, audit, "Who changed what, newest first" },
    { 0 },
};

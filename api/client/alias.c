#include "api/client/http.h"
#include "api/client/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static enum outcome list(struct client *c, const struct args *a)
{
    static const char *const columns[] = { "alias", "version", NULL };
    struct http_reply reply;
    enum outcome outcome =
        http_call(c->http, "GET", NULL, &reply, "/api/v1/models/%s/aliases", a->values[0]);
    if (!show_json(c, outcome, &reply))
        show_table(json_object_get(reply.json, "aliases"), columns);
    http_reply_fini(&reply);
    return outcome;
}

static enum outcome end(struct client *c, enum outcome outcome, struct http_reply *reply)
{
    if (!show_json(c, outcome, reply)) {
        const json_t *version = json_object_get(reply->json, "version");
        printf("%s: ", json_string_value(json_object_get(reply->json, "model")));
        if (json_is_integer(version))
            printf("version %" PRId64 " is ", (int64_t)json_integer_value(version));
        else
            printf("no version is ");
        printf("%s\n", json_string_value(json_object_get(reply->json, "alias")));
    }
    http_reply_fini(reply);
    return outcome;
}

static const struct flag set_flags[] = {
    { "reason", "TEXT", "kept in the history" },
    { 0 },
};

static enum outcome set(struct client *c, const struct args *a)
{
    char *rest;
    errno = 0;
    long long version = strtoll(a->values[2], &rest, 10);
    if (errno || *rest || version < 1) {
        fprintf(stderr, "kennel: \"%s\" is no version number\n", a->values[2]);
        return USAGE;
    }
    json_t *body = json_pack("{s:s, s:I, s:s*}", "alias", a->values[1], "version",
                             (json_int_t)version, "reason", args_flag(a, "reason"));
    struct http_reply reply;
    return end(
        c, http_call_json(c->http, "POST", body, &reply, "/api/v1/models/%s/promote", a->values[0]),
        &reply);
}

static enum outcome drop(struct client *c, const struct args *a)
{
    struct http_reply reply;
    return end(c,
               http_call(c->http, "DELETE", NULL, &reply, "/api/v1/models/%s/aliases/%s",
                         a->values[0], a->values[1]),
               &reply);
}

const struct command commands_alias[] = {
    { "alias", "list", "MODEL", 1, 1, NULL, list, "List a model's aliases" },
    { "alias", "set", "MODEL ALIAS VERSION", 3, 3, set_flags, set, "Point an alias at a version" },
    { "alias", "remove", "MODEL ALIAS", 2, 2, NULL, drop, "Remove an alias" },
    { 0 },
};

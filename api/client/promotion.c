#include "api/client/http.h"
#include "api/client/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static void print_move(const json_t *move)
{
    const json_t *previous = json_object_get(move, "previous");
    printf("%s: version %" PRId64 " is production",
           json_string_value(json_object_get(move, "model")),
           (int64_t)json_integer_value(json_object_get(move, "version")));
    if (json_is_integer(previous))
        printf(", before it %" PRId64, (int64_t)json_integer_value(previous));
    printf("\n");
}

static enum outcome end(struct client *c, enum outcome outcome, struct http_reply *reply)
{
    if (!show_json(c, outcome, reply))
        print_move(reply->json);
    http_reply_fini(reply);
    return outcome;
}

static const struct flag promote_flags[] = {
    { "force", NULL, "although the gate refused; needs --reason" },
    { "reason", "TEXT", "kept in the history" },
    { 0 },
};

static enum outcome promote(struct client *c, const struct args *a)
{
    char *rest;
    errno = 0;
    long long version = strtoll(a->values[1], &rest, 10);
    if (errno || *rest || version < 1) {
        fprintf(stderr, "kennel: \"%s\" is no version number\n", a->values[1]);
        return USAGE;
    }
    if (args_has(a, "force") && !args_has(a, "reason")) {
        fprintf(stderr, "kennel: --force needs --reason\n");
        return USAGE;
    }
    json_t *body = json_pack("{s:I, s:b, s:s*}", "version", (json_int_t)version, "force",
                             (int)args_has(a, "force"), "reason", args_flag(a, "reason"));
    struct http_reply reply;
    return end(
        c, http_call_json(c->http, "POST", body, &reply, "/api/v1/models/%s/promote", a->values[0]),
        &reply);
}

static const struct flag rollback_flags[] = {
    { "reason", "TEXT", "kept in the history" },
    { 0 },
};

static enum outcome rollback(struct client *c, const struct args *a)
{
    struct http_reply reply;
    json_t *body = json_pack("{s:s*}", "reason", args_flag(a, "reason"));
    return end(
        c,
        http_call_json(c->http, "POST", body, &reply, "/api/v1/models/%s/rollback", a->values[0]),
        &reply);
}

static const struct flag history_flags[] = {
    { "alias", "ALIAS", "of this one alone" },
    { "limit", "N", "at most so many, the newest; 1 to 1000, default 100" },
    { "before", "ID", "only those before it" },
    { 0 },
};

static enum outcome history(struct client *c, const struct args *a)
{
    static const char *const columns[] = { "id",    "at",     "alias", "version", "previous",
                                           "cause", "forced", "who",   "reason",  NULL };
    const char *limit = args_flag(a, "limit"), *before = args_flag(a, "before");
    const char *alias = args_flag(a, "alias");
    struct http_reply reply;
    if (!limit)
        limit = "100";
    if (!before)
        before = "9223372036854775807";
    enum outcome outcome =
        alias ? http_call(c->http, "GET", NULL, &reply,
                          "/api/v1/models/%s/promotions?limit=%s&before=%s&alias=%s", a->values[0],
                          limit, before, alias)
              : http_call(c->http, "GET", NULL, &reply,
                          "/api/v1/models/%s/promotions?limit=%s&before=%s", a->values[0], limit,
                          before);
    if (!show_json(c, outcome, &reply))
        show_table(json_object_get(reply.json, "promotions"), columns);
    http_reply_fini(&reply);
    return outcome;
}

const struct command commands_promotion[] = {
    { "promote", NULL, "MODEL VERSION", 2, 2, promote_flags, promote, "Make a version production" },
    { "rollback", NULL, "MODEL", 1, 1, rollback_flags, rollback, "Go back to the version before" },
    { "history", NULL, "MODEL", 1, 1, history_flags, history,
      "Which version was production, or another alias, when, and why" },
    { 0 },
};

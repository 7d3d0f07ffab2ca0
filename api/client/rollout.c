#include "api/client/http.h"
#include "api/client/show.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 32 };

static void print_rollout(const json_t *rollout)
{
    const json_t *analysis = json_object_get(rollout, "analysis");
    const char *reason = json_string_value(json_object_get(rollout, "reason"));
    const json_t *canary = json_object_get(rollout, "canary");
    printf("%s: rollout %" JSON_INTEGER_FORMAT " %s",
           json_string_value(json_object_get(rollout, "model")),
           json_integer_value(json_object_get(rollout, "id")),
           json_string_value(json_object_get(rollout, "state")));
    if (json_is_object(canary))
        printf(", version %" JSON_INTEGER_FORMAT " at %" JSON_INTEGER_FORMAT " %%",
               json_integer_value(json_object_get(canary, "version")),
               json_integer_value(json_object_get(rollout, "percent")));
    printf("%s%s\n", reason ? ": " : "", reason ? reason : "");
    static const char *const columns[] = { "rule", "state", "count", "hits",
                                           "p0",   "p1",    "alpha", NULL };
    if (json_is_object(analysis))
        show_table(json_object_get(analysis, "tests"), columns);
}

static enum outcome end(struct client *c, enum outcome outcome, struct http_reply *reply)
{
    if (!show_json(c, outcome, reply))
        print_rollout(reply->json);
    http_reply_fini(reply);
    return outcome;
}

static bool read_number(const char *text, json_int_t *ret)
{
    char *rest;
    errno = 0;
    long long n = strtoll(text, &rest, 10);
    if (errno || *rest || rest == text || n < 0) {
        fprintf(stderr, "kennel: \"%s\" is no number\n", text);
        return false;
    }
    *ret = n;
    return true;
}

/* A member that is a number, where the option is given. */
static bool put_number(const struct args *a, const char *flag, const char *name, json_t *body)
{
    json_int_t n;
    const char *text = args_flag(a, flag);
    return !text ||
           (read_number(text, &n) && json_object_set_new(body, name, json_integer(n)) == 0);
}

static bool put_version(const char *text, const char *name, json_t *body)
{
    json_int_t version;
    return !text || (read_number(text, &version) &&
                     json_object_set_new(body, name, json_pack("{s:I}", "version", version)) == 0);
}

/* "5,25,100" */
static bool put_steps(const char *text, json_t *body)
{
    if (!text)
        return true;
    json_t *steps = json_array();
    char *rest = (char *)text;
    for (int i = 0; i < STEPS_MAX; i++) {
        json_array_append_new(steps, json_integer(strtoll(rest, &rest, 10)));
        if (*rest != ',')
            break;
        rest++;
    }
    if (*rest) {
        fprintf(stderr, "kennel: --steps \"%s\" are no numbers with commas between\n", text);
        json_decref(steps);
        return false;
    }
    return json_object_set_new(body, "steps", steps) == 0;
}

/* Rules as they are in the API's body. */
static bool put_rules(const char *text, json_t *body)
{
    json_error_t error;
    json_t *rules = text ? json_loads(text, 0, &error) : NULL;
    if (text && !rules)
        fprintf(stderr, "kennel: --rules: %s\n", error.text);
    return !text || (rules && json_object_set_new(body, "rules", rules) == 0);
}

static const struct flag start_flags[] = {
    { "steps", "LIST", "per cent of the traffic, as 5,25,50,100" },
    { "shadow", "VERSION", "scores what production answers, unseen" },
    { "min-requests", "N", "that each step needs" },
    { "min-seconds", "N", "that each step lasts" },
    { "manual", NULL, "each step waits for `rollout approve`" },
    { "rules", "JSON", "as {\"alpha\": 0.05, \"max_disagreement\": 0.2}" },
    { "force", NULL, "although the gate refused; needs --reason" },
    { "reason", "TEXT", "kept with it" },
    { 0 },
};

static enum outcome start(struct client *c, const struct args *a)
{
    json_t *body =
        json_pack("{s:s, s:b, s:s*}", "approve", args_has(a, "manual") ? "manual" : "auto", "force",
                  (int)args_has(a, "force"), "reason", args_flag(a, "reason"));
    if (!put_version(a->count > 1 ? a->values[1] : NULL, "canary", body) ||
        !put_version(args_flag(a, "shadow"), "shadow", body) ||
        !put_steps(args_flag(a, "steps"), body) ||
        !put_number(a, "min-requests", "min_requests", body) ||
        !put_number(a, "min-seconds", "min_seconds", body) ||
        !put_rules(args_flag(a, "rules"), body)) {
        json_decref(body);
        return USAGE;
    }
    struct http_reply reply;
    return end(
        c, http_call_json(c->http, "PUT", body, &reply, "/api/v1/models/%s/rollout", a->values[0]),
        &reply);
}

static enum outcome show(struct client *c, const struct args *a)
{
    struct http_reply reply;
    return end(c,
               http_call(c->http, "GET", NULL, &reply, "/api/v1/models/%s/rollout", a->values[0]),
               &reply);
}

static enum outcome approve(struct client *c, const struct args *a)
{
    struct http_reply reply;
    return end(
        c,
        http_call(c->http, "POST", NULL, &reply, "/api/v1/models/%s/rollout/approve", a->values[0]),
        &reply);
}

static enum outcome reject(struct client *c, const struct args *a)
{
    struct http_reply reply;
    json_t *body = json_pack("{s:s}", "reason", a->values[1]);
    return end(c,
               http_call_json(c->http, "POST", body, &reply, "/api/v1/models/%s/rollout/reject",
                              a->values[0]),
               &reply);
}

static enum outcome quit(struct client *c, const struct args *a)
{
    struct http_reply reply;
    return end(
        c, http_call(c->http, "DELETE", NULL, &reply, "/api/v1/models/%s/rollout", a->values[0]),
        &reply);
}

const struct command commands_rollout[] = {
    { "rollout", "start", "MODEL [VERSION]", 1, 2, start_flags, start,
      "Give a version its traffic step by step" },
    { "rollout", "show", "MODEL", 1, 1, NULL, show, "Show the newest rollout and its tests" },
    { "rollout", "approve", "MODEL", 1, 1, NULL, approve, "Let it go to its next step" },
    { "rollout", "reject", "MODEL REASON", 2, 2, NULL, reject, "End it: not wanted" },
    { "rollout", "abort", "MODEL", 1, 1, NULL, quit, "End it" },
    { 0 },
};

#include "api/client/http.h"
#include "api/client/show.h"
#include "api/client/training.h"

#include <string.h>

/* A flag's JSON text into object; false after a message. */
static bool put_json(json_t *object, const struct args *a, const char *name)
{
    const char *text = args_flag(a, name);
    if (!text)
        return true;
    json_error_t error;
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (value)
        return json_object_set_new(object, name, value) == 0;
    fprintf(stderr, "kennel: --%s: not JSON: %s\n", name, error.text);
    return false;
}

static bool put_text(json_t *object, const struct args *a, const char *name)
{
    const char *text = args_flag(a, name);
    return !text || json_object_set_new(object, name, json_string(text)) == 0;
}

static bool put_strip(json_t *object, const struct args *a)
{
    const char *text = args_flag(a, "strip-label-prefix");
    if (!text)
        return true;
    json_t *value = strcmp(text, "yes") == 0    ? json_true()
                    : strcmp(text, "no") == 0   ? json_false()
                    : strcmp(text, "auto") == 0 ? json_null()
                                                : NULL;
    if (value)
        return json_object_set_new(object, "strip_label_prefix", value) == 0;
    fprintf(stderr, "kennel: --strip-label-prefix must be yes, no or auto\n");
    return false;
}

static bool put_all(json_t *object, const struct args *a)
{
    return object && put_text(object, a, "dataset") && put_text(object, a, "backbone") &&
           training_put(object, a) && put_json(object, a, "gate") && put_strip(object, a);
}

static const struct flag model_flags[] = {
    { "dataset", "NAME", "the pictures to train on" },
    { "backbone", "NAME", "the pretrained network" },
    TRAINING_FLAGS,
    { "gate", "JSON", "when a version may be promoted" },
    { "strip-label-prefix", "yes|no|auto", "drop a leading nNNNNNNNN- from labels in answers" },
    { 0 },
};

static enum outcome create(struct client *c, const struct args *a)
{
    if (!args_flag(a, "dataset") || !args_flag(a, "backbone")) {
        fprintf(stderr, "kennel: model create needs --dataset and --backbone\n");
        return USAGE;
    }
    json_t *body = json_pack("{s:s}", "name", a->values[0]);
    if (!put_all(body, a)) {
        json_decref(body);
        return USAGE;
    }
    struct http_reply reply;
    return show_object(c, http_call_json(c->http, "POST", body, &reply, "/api/v1/models"), &reply);
}

static enum outcome set(struct client *c, const struct args *a)
{
    json_t *body = json_object();
    if (!put_all(body, a)) {
        json_decref(body);
        return USAGE;
    }
    struct http_reply reply;
    return show_object(
        c, http_call_json(c->http, "PATCH", body, &reply, "/api/v1/models/%s", a->values[0]),
        &reply);
}

static const struct flag list_flags[] = {
    { "limit", "N", "at most so many, by name; 1 to 1000, default 100" },
    { "after", "NAME", "only those behind it" },
    { 0 },
};

static enum outcome list(struct client *c, const struct args *a)
{
    static const char *const columns[] = { "name",     "dataset", "backbone", "production",
                                           "versions", "created", NULL };
    const char *limit = args_flag(a, "limit"), *after = args_flag(a, "after");
    struct http_reply reply;
    if (!limit)
        limit = "100";
    enum outcome outcome =
        after ? http_call(c->http, "GET", NULL, &reply, "/api/v1/models?limit=%s&after=%s", limit,
                          after)
              : http_call(c->http, "GET", NULL, &reply, "/api/v1/models?limit=%s", limit);
    if (!show_json(c, outcome, &reply))
        show_table(json_object_get(reply.json, "models"), columns);
    http_reply_fini(&reply);
    return outcome;
}

static enum outcome show(struct client *c, const struct args *a)
{
    struct http_reply reply;
    return show_object(
        c, http_call(c->http, "GET", NULL, &reply, "/api/v1/models/%s", a->values[0]), &reply);
}

/* "load" or "unload" of production's version. */
static enum outcome repository(struct client *c, const struct args *a, const char *verb,
                               const char *done)
{
    struct http_reply reply;
    enum outcome outcome =
        http_call(c->http, "POST", NULL, &reply, "/v2/repository/models/%s/%s", a->values[0], verb);
    if (!show_json(c, outcome, &reply))
        printf("%s: production's version is %s\n", a->values[0], done);
    http_reply_fini(&reply);
    return outcome;
}

static enum outcome load(struct client *c, const struct args *a)
{
    return repository(c, a, "load", "loaded");
}

static enum outcome unload(struct client *c, const struct args *a)
{
    return repository(c, a, "unload", "not loaded");
}

const struct command commands_model[] = {
    { "model", "create", "NAME", 1, 1, model_flags, create, "Create a model" },
    { "model", "list", "", 0, 0, list_flags, list, "List models" },
    { "model", "show", "NAME", 1, 1, NULL, show, "Show one" },
    { "model", "set", "NAME", 1, 1, model_flags, set, "Change a model" },
    { "model", "load", "NAME", 1, 1, NULL, load,
      "Load production's version, anew if it is loaded" },
    { "model", "unload", "NAME", 1, 1, NULL, unload,
      "Give up the memory of production's version until it is loaded again" },
    { 0 },
};

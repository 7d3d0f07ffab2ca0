#include "api/client/http.h"
#include "api/client/progress.h"
#include "api/client/show.h"
#include "api/client/training.h"

#include <inttypes.h>
#include <string.h>

/* One question lasts so long at most; progress is shown between them. */
#define WAIT_SECONDS "1"

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static bool is_final(const char *state)
{
    return strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
}

static enum outcome outcome_of(const char *state)
{
    return strcmp(state, "rejected") == 0    ? REJECTED
           : strcmp(state, "failed") == 0    ? FAILED
           : strcmp(state, "cancelled") == 0 ? FAILED
                                             : DONE;
}

static void print_error(const json_t *job)
{
    const json_t *error = json_object_get(job, "error");
    if (json_is_object(error))
        fprintf(stderr, "kennel: %s (%s)\n", text_of(error, "message"), text_of(error, "code"));
    size_t i;
    json_t *reason;
    json_array_foreach (json_object_get(json_object_get(job, "gate"), "reasons"), i, reason)
        fprintf(stderr, "kennel: gate: %s\n", json_string_value(reason));
}

/* "job ID succeeded: version 2 of breeds, accuracy 92.75 % on 400 pictures" */
static void print_end(const json_t *job)
{
    const json_t *gate = json_object_get(job, "gate");
    const json_t *version = json_object_get(job, "version");
    printf("job %s %s", text_of(job, "id"), text_of(job, "state"));
    if (json_is_integer(version))
        printf(": version %" PRId64 " of %s", (int64_t)json_integer_value(version),
               text_of(job, "model"));
    if (json_is_object(gate))
        printf(", accuracy %.2f %% on %" PRId64 " pictures",
               100 * json_number_value(json_object_get(gate, "accuracy")),
               (int64_t)json_integer_value(
                   json_object_get(json_object_get(gate, "holdout"), "count")));
    printf("\n");
}

static void show_progress(struct progress *p, const json_t *job, int64_t *told)
{
    const json_t *progress = json_object_get(job, "progress");
    training_show_epoch(p, progress, told);
    if (json_is_object(progress))
        progress_show(p, text_of(progress, "phase"),
                      (int64_t)json_integer_value(json_object_get(progress, "done")),
                      (int64_t)json_integer_value(json_object_get(progress, "total")));
    else
        progress_show(p, text_of(job, "state"), 0, 0);
}

static enum outcome wait_for(struct client *c, const char *id)
{
    struct progress p;
    int64_t told = 0; /* the last epoch */
    progress_init(&p);
    for (;;) {
        struct http_reply reply;
        enum outcome outcome =
            http_call(c->http, "GET", NULL, &reply, "/api/v1/jobs/%s?wait=" WAIT_SECONDS, id);
        const char *state = text_of(reply.json, "state");
        bool over = outcome != DONE || is_final(state);
        if (!over)
            show_progress(&p, reply.json, &told);
        else
            progress_end(&p);
        if (over && outcome == DONE)
            outcome = outcome_of(state);
        if (over && c->json && reply.body.len)
            http_print(&reply);
        else if (over && state[0])
            print_end(reply.json);
        if (over)
            print_error(reply.json);
        http_reply_fini(&reply);
        if (over)
            return outcome;
    }
}

static const struct flag retrain_flags[] = {
    { "seed", "N", "equal seeds give equal versions; default 0" },
    { "mode", "MODE", "head (or fixed_feature), partial, fine_tune, scratch" },
    { "dataset-version", "N", "otherwise the latest" },
    TRAINING_FLAGS,
    { "tag", "KEY=VALUE", "kept with the version; may be given again" },
    { "priority", "N", "-10 to 10, the highest runs first; default 0" },
    { "idempotency-key", "KEY", "the same key and request: the same job, for 7 days" },
    { "callback-url", "URL", "is told of the job's end" },
    { "no-coalesce", NULL, "a job of its own, though an identical one is queued" },
    { "wait", NULL, "until the job has ended" },
    { 0 },
};

static bool put_tags(json_t *body, const struct args *a)
{
    json_t *tags = json_object();
    if (!tags)
        return false;
    const char *tag;
    for (int i = 0; (tag = args_flag_nth(a, "tag", i)); i++) {
        size_t len = strcspn(tag, "=");
        char key[256];
        if (!len || !tag[len] || len >= sizeof key) {
            fprintf(stderr, "kennel: --tag must be KEY=VALUE\n");
            json_decref(tags);
            return false;
        }
        memcpy(key, tag, len);
        key[len] = 0;
        json_object_set_new(tags, key, json_string(tag + len + 1));
    }
    if (json_object_size(tags))
        return json_object_set_new(body, "tags", tags) == 0;
    json_decref(tags);
    return true;
}

static bool put_int(json_t *body, const struct args *a, const char *flag, const char *name,
                    int64_t min, int64_t max)
{
    int64_t value = 0;
    return args_int(a, flag, min, max, &value) &&
           (!args_has(a, flag) || json_object_set_new(body, name, json_integer(value)) == 0);
}

static bool put_mode(json_t *body, const struct args *a)
{
    const char *mode = args_flag(a, "mode");
    return !mode || json_object_set_new(body, "mode", json_string(mode)) == 0;
}

static enum outcome retrain(struct client *c, const struct args *a)
{
    json_t *body = json_object();
    if (!body || !put_int(body, a, "seed", "seed", INT64_MIN, INT64_MAX) ||
        !put_int(body, a, "dataset-version", "dataset_version", 1, INT64_MAX) ||
        !put_int(body, a, "priority", "priority", -10, 10) || !put_mode(body, a) ||
        !training_put(body, a) || !put_tags(body, a) ||
        (args_has(a, "callback-url") &&
         json_object_set_new(body, "callback_url", json_string(args_flag(a, "callback-url"))) <
             0) ||
        (args_has(a, "no-coalesce") && json_object_set_new(body, "coalesce", json_false()) < 0)) {
        json_decref(body);
        return USAGE;
    }
    struct http_reply reply;
    http_header(c->http, "Idempotency-Key", args_flag(a, "idempotency-key"));
    enum outcome outcome =
        http_call_json(c->http, "POST", body, &reply, "/api/v1/models/%s/retrain", a->values[0]);
    char id[128];
    snprintf(id, sizeof id, "%s", text_of(reply.json, "id"));
    bool wait = outcome == DONE && args_has(a, "wait");
    if (!wait && !show_json(c, outcome, &reply))
        printf("job %s %s%s\n", id, text_of(reply.json, "state"),
               json_is_true(json_object_get(reply.json, "coalesced"))  ? ", asked for before"
               : json_is_true(json_object_get(reply.json, "repeated")) ? ", same request as before"
                                                                       : "");
    http_reply_fini(&reply);
    return wait ? wait_for(c, id) : outcome;
}

static const struct flag list_flags[] = {
    { "state", "STATE", "only those" },
    { "model", "NAME", "only its jobs" },
    { "limit", "N", "at most; default 100" },
    { 0 },
};

static enum outcome list(struct client *c, const struct args *a)
{
    static const char *const columns[] = { "id",      "model",           "state", "version",
                                           "created", "dataset_version", NULL };
    const char *state = args_flag(a, "state"), *model = args_flag(a, "model");
    const char *limit = args_flag(a, "limit");
    struct http_reply reply;
    enum outcome outcome;
    if (!limit)
        limit = "100";
    if (state && model)
        outcome = http_call(c->http, "GET", NULL, &reply, "/api/v1/jobs?limit=%s&state=%s&model=%s",
                            limit, state, model);
    else if (state)
        outcome =
            http_call(c->http, "GET", NULL, &reply, "/api/v1/jobs?limit=%s&state=%s", limit, state);
    else if (model)
        outcome =
            http_call(c->http, "GET", NULL, &reply, "/api/v1/jobs?limit=%s&model=%s", limit, model);
    else
        outcome = http_call(c->http, "GET", NULL, &reply, "/api/v1/jobs?limit=%s", limit);
    if (!show_json(c, outcome, &reply))
        show_table(json_object_get(reply.json, "jobs"), columns);
    http_reply_fini(&reply);
    return outcome;
}

static enum outcome show(struct client *c, const struct args *a)
{
    struct http_reply reply;
    return show_object(c, http_call(c->http, "GET", NULL, &reply, "/api/v1/jobs/%s", a->values[0]),
                       &reply);
}

static enum outcome wait(struct client *c, const struct args *a)
{
    return wait_for(c, a->values[0]);
}

static enum outcome cancel(struct client *c, const struct args *a)
{
    struct http_reply reply;
    enum outcome outcome =
        http_call(c->http, "POST", NULL, &reply, "/api/v1/jobs/%s/cancel", a->values[0]);
    if (!show_json(c, outcome, &reply))
        printf("job %s %s\n", text_of(reply.json, "id"), text_of(reply.json, "state"));
    http_reply_fini(&reply);
    return outcome;
}

const struct command commands_job[] = {
    { "retrain", NULL, "MODEL", 1, 1, retrain_flags, retrain, "Train a new version" },
    { "job", "list", "", 0, 0, list_flags, list, "List jobs, newest first" },
    { "job", "show", "ID", 1, 1, NULL, show, "Show one" },
    { "job", "wait", "ID", 1, 1, NULL, wait, "Wait until it has ended" },
    { "job", "cancel", "ID", 1, 1, NULL, cancel, "Cancel it" },
    { 0 },
};

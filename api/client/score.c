#include "api/client/http.h"
#include "api/client/show.h"
#include "api/client/table.h"
#include "api/client/upload.h"

#include <string.h>

static const struct flag score_flags[] = {
    { "model", "NAME", "otherwise the server's default" },
    { "version", "N", "otherwise the one in production" },
    { "top", "K", "labels a picture; default 1" },
    { 0 },
};

static enum outcome default_model(struct client *c, char ret[128])
{
    struct http_reply reply;
    enum outcome outcome = http_call(c->http, "GET", NULL, &reply, "/readyz");
    const char *name = json_string_value(json_object_get(reply.json, "default_model"));
    if (outcome == DONE && name)
        snprintf(ret, 128, "%s", name);
    http_reply_fini(&reply);
    if (outcome != DONE || name)
        return outcome;
    fprintf(stderr, "kennel: no one model is the default: name it with --model\n");
    return FAILED;
}

static enum outcome send(struct client *c, const char *model, const char *version, const char *top,
                         const struct http_body *body, struct http_reply *reply)
{
    if (version)
        return http_call(c->http, "POST", body, reply, "/api/v1/models/%s/versions/%s/score?top=%s",
                         model, version, top);
    return http_call(c->http, "POST", body, reply, "/api/v1/models/%s/score?top=%s", model, top);
}

static enum outcome score_one(struct client *c, const struct args *a, const char *model,
                              const char *path, struct table *t)
{
    const char *top = args_flag(a, "top");
    struct buf file;
    struct http_reply reply = { 0 };
    enum outcome outcome = upload_read_all(path, &file);
    struct http_body body = { .type = "application/octet-stream",
                              .bytes = file.data ? (const char *)file.data : "",
                              .len = file.len };
    if (outcome == DONE)
        outcome = send(c, model, args_flag(a, "version"), top ? top : "1", &body, &reply);
    buf_fini(&file);
    if (outcome == FAILED)
        fprintf(stderr, "kennel: %s was not scored\n", path);
    if (!show_json(c, outcome, &reply)) {
        size_t i;
        json_t *one;
        json_array_foreach (json_object_get(reply.json, "predictions"), i, one) {
            table_cell(t, "%s", i ? "" : path);
            table_member(t, one, "label");
            table_member(t, one, "probability");
        }
    }
    http_reply_fini(&reply);
    return outcome;
}

/* A file that fails does not keep the others from being scored. */
static enum outcome score(struct client *c, const struct args *a)
{
    char name[128] = "";
    const char *model = args_flag(a, "model");
    enum outcome outcome = model ? DONE : default_model(c, name);
    if (outcome != DONE)
        return outcome;
    struct table t;
    table_init(&t, "FILE", "LABEL", "PROBABILITY", NULL);
    for (int i = 0; i < a->count && outcome != UNREACHABLE; i++) {
        enum outcome one = score_one(c, a, model ? model : name, a->values[i], &t);
        outcome = one != DONE ? one : outcome;
    }
    if (t.count > (size_t)t.columns)
        table_print(&t);
    table_fini(&t);
    return outcome;
}

const struct command commands_score[] = {
    { "score", NULL, "FILE...", 1, -1, score_flags, score, "Classify pictures" },
    { 0 },
};

/* Any request: for what has no command of its own, as the protocols of other servers. */
#include "api/client/http.h"
#include "api/client/upload.h"

#include <string.h>

static const struct flag flags[] = {
    { "data", "TEXT", "the body" },
    { "file", "FILE", "the body; \"-\": standard input" },
    { "type", "TYPE", "of the body; default application/json" },
    { 0 },
};

static bool is_method(const char *text)
{
    static const char *const known[] = { "GET", "POST", "PUT", "PATCH", "DELETE" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], text) == 0)
            return true;
    fprintf(stderr, "kennel: \"%s\" is none of GET, POST, PUT, PATCH, DELETE\n", text);
    return false;
}

static enum outcome send(struct client *c, const struct args *a, const struct http_body *body)
{
    struct http_reply reply;
    enum outcome outcome = http_call_at(c->http, a->values[0], body, &reply, a->values[1]);
    if (reply.body.len && (outcome == DONE || c->json))
        http_print(&reply);
    http_reply_fini(&reply);
    return outcome;
}

static enum outcome call(struct client *c, const struct args *a)
{
    const char *data = args_flag(a, "data"), *file = args_flag(a, "file");
    const char *type = args_flag(a, "type");
    struct http_body body = { .type = type ? type : "application/json",
                              .bytes = data,
                              .len = data ? strlen(data) : 0 };
    if (!is_method(a->values[0]))
        return USAGE;
    if (data && file) {
        fprintf(stderr, "kennel: either --data or --file\n");
        return USAGE;
    }
    if (!file)
        return send(c, a, data ? &body : NULL);
    struct buf bytes;
    enum outcome outcome = upload_read_all(file, &bytes);
    body.bytes = bytes.data;
    body.len = bytes.len;
    if (outcome == DONE)
        outcome = send(c, a, &body);
    buf_fini(&bytes);
    return outcome;
}

const struct command commands_api[] = {
    { "api", NULL, "METHOD PATH", 2, 2, flags, call, "Send any request of /openapi.json" },
    { 0 },
};

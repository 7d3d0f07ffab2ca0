#include "api/client/http.h"
#include "api/client/show.h"
#include "api/client/upload.h"

#include <inttypes.h>
#include <string.h>

static enum outcome create(struct client *c, const struct args *a)
{
    struct http_reply reply;
    return show_object(c,
                       http_call_json(c->http, "POST", json_pack("{s:s}", "name", a->values[0]),
                                      &reply, "/api/v1/datasets"),
                       &reply);
}

static enum outcome list(struct client *c, const struct args *a)
{
    (void)a;
    return show_list(c, "/api/v1/datasets", "datasets", "name", "version", "pictures", "labels",
                     "created", NULL);
}

static enum outcome show(struct client *c, const struct args *a)
{
    struct http_reply reply;
    return show_object(
        c, http_call(c->http, "GET", NULL, &reply, "/api/v1/datasets/%s", a->values[0]), &reply);
}

static enum outcome versions(struct client *c, const struct args *a)
{
    static const char *const columns[] = { "version", "pictures", "added",   "removed",
                                           "cause",   "who",      "created", NULL };
    struct http_reply reply;
    if (a->count == 2)
        return show_object(c,
                           http_call(c->http, "GET", NULL, &reply,
                                     "/api/v1/datasets/%s/versions/%s", a->values[0], a->values[1]),
                           &reply);
    enum outcome outcome =
        http_call(c->http, "GET", NULL, &reply, "/api/v1/datasets/%s/versions", a->values[0]);
    if (!show_json(c, outcome, &reply))
        show_table(json_object_get(reply.json, "versions"), columns);
    http_reply_fini(&reply);
    return outcome;
}

static void print_import(const json_t *report)
{
    static const char *const columns[] = { "path", "code", "reason", NULL };
    const json_t *version = json_object_get(report, "version");
    const json_t *rejected = json_object_get(report, "rejected");
    if (json_is_integer(version))
        printf("version %" PRId64 ": ", (int64_t)json_integer_value(version));
    else
        printf("no new version: ");
    printf("%" PRId64 " added, %" PRId64 " duplicates, %" PRId64 " rejected\n",
           (int64_t)json_integer_value(json_object_get(report, "added")),
           (int64_t)json_integer_value(json_object_get(report, "duplicates")),
           (int64_t)json_integer_value(json_object_get(report, "rejected_count")));
    if (json_array_size(rejected))
        show_table(rejected, columns);
}

static const struct flag import_flags[] = {
    { "on-server", NULL, "the path is one on the server, below its import root" },
    { 0 },
};

static enum outcome import(struct client *c, const struct args *a)
{
    struct http_reply reply = { 0 };
    struct upload u = { 0 };
    enum outcome outcome;
    if (args_has(a, "on-server")) {
        outcome = http_call_json(c->http, "POST", json_pack("{s:s}", "path", a->values[1]), &reply,
                                 "/api/v1/datasets/%s/import", a->values[0]);
    } else {
        outcome = upload_open(a->values[1], &u);
        if (outcome == DONE)
            outcome = http_call(c->http, "POST", &u.body, &reply, "/api/v1/datasets/%s/import",
                                a->values[0]);
        upload_fini(&u);
    }
    if (!show_json(c, outcome, &reply))
        print_import(reply.json);
    http_reply_fini(&reply);
    return outcome;
}

static const struct flag put_flags[] = {
    { "split", "SPLIT", "train, val, test; otherwise by the picture's content" },
    { 0 },
};

static enum outcome put(struct client *c, const struct args *a)
{
    const char *split = args_flag(a, "split");
    enum outcome outcome = DONE;
    for (int i = 2; i < a->count && outcome == DONE; i++) {
        struct buf file;
        struct http_reply reply = { 0 };
        outcome = upload_read_all(a->values[i], &file);
        struct http_body body = { .type = "application/octet-stream",
                                  .bytes = file.data ? (const char *)file.data : "",
                                  .len = file.len };
        if (outcome == DONE)
            outcome = http_call(c->http, "PUT", &body, &reply,
                                "/api/v1/datasets/%s/images?label=%s&split=%s", a->values[0],
                                a->values[1], split ? split : "auto");
        buf_fini(&file);
        outcome = show_object(c, outcome, &reply);
    }
    return outcome;
}

static enum outcome rm(struct client *c, const struct args *a)
{
    enum outcome outcome = DONE;
    for (int i = 1; i < a->count && outcome == DONE; i++) {
        struct http_reply reply;
        outcome =
            show_object(c,
                        http_call(c->http, "DELETE", NULL, &reply, "/api/v1/datasets/%s/images/%s",
                                  a->values[0], a->values[i]),
                        &reply);
    }
    return outcome;
}

const struct command commands_dataset[] = {
    { "dataset", "create", "NAME", 1, 1, NULL, create, "Create an empty dataset" },
    { "dataset", "list", "", 0, 0, NULL, list, "List datasets" },
    { "dataset", "show", "NAME", 1, 1, NULL, show, "Show one" },
    { "dataset", "import", "NAME FILE-or-FOLDER", 2, 2, import_flags, import,
      "Send a tar, tar.gz, zip or folder of LABEL/FILE pictures" },
    { "dataset", "put", "NAME LABEL FILE...", 3, -1, put_flags, put, "Add single pictures" },
    { "dataset", "rm", "NAME DIGEST...", 2, -1, NULL, rm, "Remove single pictures" },
    { "dataset", "versions", "NAME [N]", 1, 2, NULL, versions, "List versions, or show one" },
    { 0 },
};

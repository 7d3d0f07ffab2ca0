/* kennel retention, kennel gc: how much of the past keeps its bytes. */
#include "api/client/http.h"
#include "api/client/show.h"
#include "api/client/table.h"

#include <string.h>

static const struct flag set_flags[] = {
    { "keep-last", "N", "so many of the newest versions" },
    { "no-promoted", NULL, "not also those that were ever in production" },
    { 0 },
};

/* "model/NAME" and "dataset/NAME", as lineage and audit name them. */
static bool read_of(const struct args *a, const char **ret_folder, const char **ret_name)
{
    static const char *const kinds[][2] = { { "model/", "models" }, { "dataset/", "datasets" } };
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(kinds[i][0]);
        if (strncmp(a->values[0], kinds[i][0], len) == 0 && a->values[0][len]) {
            *ret_folder = kinds[i][1];
            *ret_name = a->values[0] + len;
            return true;
        }
    }
    fprintf(stderr, "kennel: OF must be model/NAME or dataset/NAME\n");
    return false;
}

static enum outcome set(struct client *c, const struct args *a)
{
    const char *folder, *name;
    int64_t keep_last = 0;
    if (!read_of(a, &folder, &name) || !args_int(a, "keep-last", 1, 1000000, &keep_last))
        return USAGE;
    if (!keep_last) {
        fprintf(stderr, "kennel: needs --keep-last N\n");
        return USAGE;
    }
    json_t *body = json_pack("{s:I, s:o*}", "keep_last", (json_int_t)keep_last, "keep_promoted",
                             args_has(a, "no-promoted") ? json_false() : NULL);
    struct http_reply reply;
    return show_object(
        c, http_call_json(c->http, "PUT", body, &reply, "/api/v1/%s/%s/retention", folder, name),
        &reply);
}

static enum outcome show(struct client *c, const struct args *a)
{
    const char *folder, *name;
    struct http_reply reply;
    if (!read_of(a, &folder, &name))
        return USAGE;
    return show_object(
        c, http_call(c->http, "GET", NULL, &reply, "/api/v1/%s/%s/retention", folder, name),
        &reply);
}

static enum outcome remove_one(struct client *c, const struct args *a)
{
    const char *folder, *name;
    struct http_reply reply;
    if (!read_of(a, &folder, &name))
        return USAGE;
    enum outcome outcome =
        http_call(c->http, "DELETE", NULL, &reply, "/api/v1/%s/%s/retention", folder, name);
    (void)show_json(c, outcome, &reply);
    http_reply_fini(&reply);
    return outcome;
}

static const struct flag gc_flags[] = {
    { "dry-run", NULL, "say what would go, and change nothing" },
    { 0 },
};

static void print_names(const json_t *names)
{
    size_t i;
    json_t *one;
    json_array_foreach (names, i, one)
        printf("%s\n", json_string_value(one));
}

static enum outcome gc(struct client *c, const struct args *a)
{
    struct http_reply reply;
    json_t *body = json_pack("{s:b}", "dry_run", args_has(a, "dry-run"));
    enum outcome outcome = http_call_json(c->http, "POST", body, &reply, "/api/v1/gc");
    if (!show_json(c, outcome, &reply)) {
        print_names(json_object_get(reply.json, "versions"));
        print_names(json_object_get(reply.json, "dataset_versions"));
        json_object_del(reply.json, "versions");
        json_object_del(reply.json, "dataset_versions");
        table_print_object(reply.json);
    }
    http_reply_fini(&reply);
    return outcome;
}

const struct command commands_retention[] = {
    { "retention", "set", "OF", 1, 1, set_flags, set,
      "Say how many versions of model/NAME or dataset/NAME keep their bytes" },
    { "retention", "show", "OF", 1, 1, NULL, show, "Show it" },
    { "retention", "remove", "OF", 1, 1, NULL, remove_one, "Keep every version" },
    { "gc", NULL, "", 0, 0, gc_flags, gc, "Give up what retention does not keep" },
    { 0 },
};

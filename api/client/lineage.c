/* kennel lineage: what came from what. */
#include "api/client/show.h"
#include "api/client/table.h"

static void print(const json_t *reply, const char *direction, const char *title)
{
    size_t i;
    json_t *one;
    struct table t;
    table_init(&t, title, "relation", "created", NULL);
    json_array_foreach (json_object_get(reply, direction), i, one) {
        table_member(&t, one, "of");
        table_member(&t, one, "relation");
        table_member(&t, one, "created");
    }
    table_print(&t);
    table_fini(&t);
}

static enum outcome lineage(struct client *c, const struct args *a)
{
    struct http_reply reply;
    const char *limit = args_flag(a, "limit");
    enum outcome outcome = http_call(c->http, "GET", NULL, &reply, "/api/v1/lineage?of=%s&limit=%s",
                                     a->values[0], limit ? limit : "100");
    if (!show_json(c, outcome, &reply)) {
        print(reply.json, "from", "came from");
        printf("\n");
        print(reply.json, "to", "came of it");
        if (json_is_true(json_object_get(reply.json, "cut")))
            fprintf(stderr, "kennel: there is more of a relation than --limit allows\n");
    }
    http_reply_fini(&reply);
    return outcome;
}

static const struct flag flags[] = {
    { "limit", "N", "of each relation, 1 to 1000; default 100" },
    { 0 },
};

const struct command commands_lineage[] = {
    { "lineage", NULL, "OF", 1, 1, flags, lineage,
      "What came from what; OF is model/NAME/versions/N, job/ID, dataset/NAME/versions/N,"
      " picture/DIGEST, backbone/NAME or prediction/ID" },
    { 0 },
};

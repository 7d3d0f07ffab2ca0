/* Nodes that serve what another one trains: seen from the trainer, and from one of them. */
#include "api/client/http.h"
#include "api/client/show.h"

static enum outcome list(struct client *c, const struct args *a)
{
    (void)a;
    return show_list(c, "/api/v1/followers", "followers", "id", "name", "program", "catalog",
                     "spooled", "key", "seen", NULL);
}

static enum outcome show(struct client *c, const struct args *a)
{
    (void)a;
    struct http_reply reply;
    return show_object(c, http_call(c->http, "GET", NULL, &reply, "/api/v1/follower"), &reply);
}

const struct command commands_follower[] = {
    { "follower", "list", "", 0, 0, NULL, list, "List who follows this trainer" },
    { "follower", "show", "", 0, 0, NULL, show, "How this follower stands" },
    { 0 },
};

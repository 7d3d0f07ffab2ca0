/* What a trainer tells its followers, and what a follower tells of itself. */
#include "api/event_stream.h"
#include "api/request.h"
#include "api/routes.h"
#include "daemon/follow.h"
#include "daemon/followers.h"
#include "daemon/replica.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"

#include <string.h>

/* *ret_same: it is the one that the follower has; then there is no reply yet. */
static enum err_code reply_catalog(struct request *r, bool *ret_same, struct err *e)
{
    char tag[DIGEST_HEX + 1];
    enum err_code code = replica_catalog(r->server->parts.state, &r->reply.body, tag, e);
    if (code)
        return code;
    *ret_same = strstr(r->if_none_match, tag) != NULL;
    if (*ret_same) {
        reply_reset(&r->reply);
        reply_fixed(&r->reply, 304, NULL, "", 0);
    } else {
        r->reply.status = 200;
        r->reply.type = "application/json";
    }
    reply_header(&r->reply, "ETag", "\"%s\"", tag);
    return ERR_OK;
}

static bool look_again(void *context, bool last)
{
    struct request *r = context;
    struct err e;
    bool same = false;
    enum err_code code = reply_catalog(r, &same, &e);
    if (!code && same && !last) {
        reply_reset(&r->reply);
        return false;
    }
    if (code)
        request_fail(r, &e);
    request_finish(r);
    return true;
}

/* Parked with the streams of events: all that changes it rings the same bell. */
static enum err_code catalog(struct request *r, struct err *e)
{
    int64_t wait = 0;
    bool same = false;
    request_query_int(r, "wait", &wait);
    enum err_code code = reply_catalog(r, &same, e);
    if (code || !same || !wait)
        return code;
    reply_reset(&r->reply);
    r->deferred = true;
    return park_add(r->server->park, EVENT_STREAM_KEY, clock_monotonic_us() + wait * 1000000,
                    look_again, r, e);
}

static enum err_code follower(struct request *r, struct err *e)
{
    json_t *shown = NULL;
    if (!r->server->parts.follow)
        return err_set(e, ERR_ROUTE_UNKNOWN, "this is no follower");
    enum err_code code = follow_show(r->server->parts.follow, &shown, e);
    return code ? code : reply_json_take(&r->reply, 200, shown, e);
}

static enum err_code report(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    json_t *answer = NULL;
    const struct server_parts *parts = &r->server->parts;
    const struct followers_parts followers = { .state = parts->state,
                                               .predictions = parts->predictions,
                                               .rollouts = parts->rollouts };
    enum err_code code = request_json(r, &body, e);
    if (!code)
        code = followers_report(&followers, request_param(r, "id"), body, r->who, &answer, e);
    return code ? code : reply_json_take(&r->reply, 200, answer, e);
}

static enum err_code list(struct request *r, struct err *e)
{
    json_t *all = NULL;
    enum err_code code = followers_list(r->server->parts.state, &all, e);
    return code ? code : reply_list(&r->reply, "followers", all, e);
}

const struct route routes_follow[] = {
    { "GET", "/api/v1/catalog", BODY_NONE, RUN_TASK, catalog,
      "What followers serve, or wait until it changes", ACCESS_TRAIN },
    { "GET", "/api/v1/follower", BODY_NONE, RUN_TASK, follower, "How a follower stands",
      ACCESS_SCORE },
    { "POST", "/api/v1/followers/{id}/reports", BODY_JSON, RUN_TASK, report,
      "Take what a follower answered and was told", ACCESS_TRAIN },
    { "GET", "/api/v1/followers", BODY_NONE, RUN_TASK, list, "List followers", ACCESS_TRAIN },
    { 0 },
};

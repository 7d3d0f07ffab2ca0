/* What happens, while it happens. */
#include "api/event_stream.h"
#include "api/request.h"
#include "api/routes.h"
#include "daemon/events.h"
#include "daemon/jobs.h"
#include "daemon/models.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <stdlib.h>
#include <string.h>

/* The header is what a browser sends by itself when it comes again; it is the later word. */
static void read_last_id(const struct request *r, int64_t *ret)
{
    if (r->last_event_id[0])
        *ret = strtoll(r->last_event_id, NULL, 10);
    else
        request_query_int(r, "last_event_id", ret);
}

static bool follows(const struct request *r)
{
    const char *text = request_query(r, "follow");
    return !text || strcmp(text, "true") == 0;
}

static enum err_code open_stream(struct request *r, const struct event_stream_options *o,
                                 struct err *e)
{
    enum err_code code = event_stream_new(r->server, o, &r->reply.source, e);
    if (code)
        return code;
    r->reply.status = 200;
    r->reply.type = "text/event-stream";
    reply_header(&r->reply, "X-Accel-Buffering", "no"); /* a proxy is to hand it on at once */
    return ERR_OK;
}

static enum err_code check_model(struct request *r, const char *model, struct err *e)
{
    json_t *one;
    enum err_code code = models_show(r->server->parts.state, model, &one, e);
    if (!code)
        json_decref(one);
    return code;
}

static enum err_code all(struct request *r, struct err *e)
{
    struct event_stream_options o = { .model = request_query(r, "model"),
                                      .types = request_query(r, "type"),
                                      .follow = follows(r),
                                      .after = 0 };
    /* Without a number: what is to come. */
    enum err_code code = events_latest(r->server->parts.state, &o.after, e);
    read_last_id(r, &o.after);
    if (!code && o.types)
        code = events_check_patterns(o.types, e);
    if (!code && o.model)
        code = check_model(r, o.model, e);
    return code ? code : open_stream(r, &o, e);
}

static enum err_code of_job(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *job = NULL;
    struct event_stream_options o = { .job = request_param(r, "id"), .follow = follows(r) };
    read_last_id(r, &o.after);
    enum err_code code = jobs_show(r->server->parts.jobs, o.job, &job, e);
    return code ? code : open_stream(r, &o, e);
}

const struct route routes_events[] = {
    { "GET", "/api/v1/events", BODY_NONE, RUN_TASK, all, "Follow what happens", ACCESS_TRAIN },
    { "GET", "/api/v1/jobs/{id}/events", BODY_NONE, RUN_TASK, of_job, "Follow one job to its end",
      ACCESS_TRAIN },
    { 0 },
};

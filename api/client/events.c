/* The log of events, as it is and as it grows. */
#include "api/client/http.h"
#include "api/client/show.h"

#include <inttypes.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* "2026-11-22T14:00:00.000Z 17 job.failed job/ID {...}"; progress has no number. */
static void print_event(const json_t *event)
{
    const json_t *id = json_object_get(event, "id");
    char number[24] = "-";
    if (json_is_integer(id))
        snprintf(number, sizeof number, "%" PRId64, (int64_t)json_integer_value(id));
    char *data = json_dumps(json_object_get(event, "data"), JSON_COMPACT | JSON_ENCODE_ANY);
    printf("%s %s %s %s %s\n", text_of(event, "time"), number, text_of(event, "type"),
           text_of(event, "subject"), data ? data : "");
    free(data);
}

/* Only what has data is for people; ids and types stand inside it as well. */
static bool on_line(void *context, char *line)
{
    const struct client *c = context;
    if (strncmp(line, "data: ", 6) != 0)
        return true;
    json_t *event = json_loads(line + 6, 0, NULL);
    if (c->json)
        puts(line + 6);
    else if (event)
        print_event(event);
    json_decref(event);
    return fflush(stdout) == 0;
}

static const struct flag flags[] = {
    { "follow", NULL, "go on with what is to come; without --after with that alone" },
    { "after", "ID", "only behind that event" },
    { "model", "NAME", "only about it" },
    { "type", "TYPES", "only those: job.failed, job.*, with commas between" },
    { "job", "ID", "only about it, with its progress, to its end" },
    { 0 },
};

static enum outcome events(struct client *c, const struct args *a)
{
    bool follow = args_has(a, "follow");
    const char *job = args_flag(a, "job"), *after = args_flag(a, "after");
    const char *model = args_flag(a, "model"), *type = args_flag(a, "type");
    const char *go_on = follow ? "true" : "false";
    if (job && (model || type)) {
        fprintf(stderr, "kennel: --job goes with neither --model nor --type\n");
        return USAGE;
    }
    if (!after && (job || !follow))
        after = "0";
    if (job)
        return http_lines(c->http, on_line, c, "/api/v1/jobs/%s/events?follow=%s&last_event_id=%s",
                          job, go_on, after);
    /* The server takes an absent filter for all of them: "*" is the same. */
    const char *types = type ? type : "*";
    if (after && model)
        return http_lines(c->http, on_line, c,
                          "/api/v1/events?follow=%s&type=%s&last_event_id=%s&model=%s", go_on,
                          types, after, model);
    if (after)
        return http_lines(c->http, on_line, c, "/api/v1/events?follow=%s&type=%s&last_event_id=%s",
                          go_on, types, after);
    if (model)
        return http_lines(c->http, on_line, c, "/api/v1/events?follow=%s&type=%s&model=%s", go_on,
                          types, model);
    return http_lines(c->http, on_line, c, "/api/v1/events?follow=%s&type=%s", go_on, types);
}

const struct command commands_events[] = {
    { "events", NULL, "", 0, 0, flags, events, "Show what happened, or follow what happens" },
    { 0 },
};

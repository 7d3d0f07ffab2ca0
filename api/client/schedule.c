/* When a model is retrained without being asked. */
#include "api/client/http.h"
#include "api/client/show.h"

static const struct flag set_flags[] = {
    { "cron", "TEXT", "minute, hour, day, month and weekday in UTC, as '0 3 * * 1'" },
    { "new-pictures", "N", "after so many since the latest job" },
    { "max-age", "AGE", "so long after the latest job: 90m, 12h, 7d" },
    { "priority", "N", "of its jobs, -10 to 10; default 0" },
    { 0 },
};

static enum outcome set(struct client *c, const struct args *a)
{
    int64_t pictures = 0, priority = 0;
    if (!args_int(a, "new-pictures", 1, 1000000000, &pictures) ||
        !args_int(a, "priority", -10, 10, &priority))
        return USAGE;
    json_t *body = json_pack(
        "{s:s*, s:s*, s:o*, s:I}", "cron", args_flag(a, "cron"), "max_age", args_flag(a, "max-age"),
        "new_pictures", pictures ? json_integer(pictures) : NULL, "priority", (json_int_t)priority);
    struct http_reply reply;
    return show_object(
        c, http_call_json(c->http, "PUT", body, &reply, "/api/v1/models/%s/schedule", a->values[0]),
        &reply);
}

static enum outcome show(struct client *c, const struct args *a)
{
    struct http_reply reply;
    return show_object(
        c, http_call(c->http, "GET", NULL, &reply, "/api/v1/models/%s/schedule", a->values[0]),
        &reply);
}

static enum outcome remove_one(struct client *c, const struct args *a)
{
    struct http_reply reply;
    enum outcome outcome =
        http_call(c->http, "DELETE", NULL, &reply, "/api/v1/models/%s/schedule", a->values[0]);
    (void)show_json(c, outcome, &reply);
    http_reply_fini(&reply);
    return outcome;
}

const struct command commands_schedule[] = {
    { "schedule", "set", "MODEL", 1, 1, set_flags, set,
      "Retrain at times, after new pictures or at an age" },
    { "schedule", "show", "MODEL", 1, 1, NULL, show, "Show it" },
    { "schedule", "remove", "MODEL", 1, 1, NULL, remove_one, "Retrain only when asked" },
    { 0 },
};

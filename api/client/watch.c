/* Jobs and rollouts while they go on: drawn anew every second on a terminal, otherwise the state
 * once and then a line for each event. Everything comes from lists of what is open and from the log
 * of events, read from where the last reading ended, so nothing is missed between two looks. */
#include "api/client/http.h"
#include "api/client/show.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { RECENT = 10, LINE = 512, BAR = 20, WIDTH = 100, HEIGHT = 24 };

struct watch {
    struct client *c;
    const char *model; /* only it; or NULL */
    bool terminal;
    bool loud;      /* events are printed as they come */
    int64_t last;   /* the event that was read last */
    json_t *rolled; /* owned: models that have a rollout, as members */
    char recent[RECENT][LINE];
    int64_t events;
    int width, height, row; /* of the terminal; lines drawn */
};

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static int64_t int_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

/* -- what happens ----------------------------------------------------------------------------- */

/* "14:00:00 job.rejected breeds: ..." of the event's own words. */
static void event_text(const json_t *event, char ret[LINE])
{
    const json_t *data = json_object_get(event, "data");
    const char *time = text_of(event, "time"), *reason = text_of(data, "reason");
    const json_t *version = json_object_get(data, "version");
    char number[32] = "";
    if (json_is_integer(version))
        snprintf(number, sizeof number, " version %" PRId64, int_of(data, "version"));
    snprintf(ret, LINE, "%.8s  %-20s %s%s%s%s", strlen(time) > 11 ? time + 11 : time,
             text_of(event, "type"), text_of(event, "subject"), number, reason[0] ? ": " : "",
             reason);
}

static bool is_about(const struct watch *w, const json_t *event)
{
    const char *model = text_of(json_object_get(event, "data"), "model");
    return !w->model || strcmp(w->model, model) == 0;
}

static bool on_line(void *context, char *line)
{
    struct watch *w = context;
    if (strncmp(line, "data: ", 6) != 0)
        return true;
    json_t *event = json_loads(line + 6, 0, NULL);
    const char *model = text_of(json_object_get(event, "data"), "model");
    if (int_of(event, "id") > w->last)
        w->last = int_of(event, "id");
    if (event && is_about(w, event)) {
        if (strncmp(text_of(event, "type"), "rollout.", 8) == 0 && model[0])
            json_object_set_new(w->rolled, model, json_true());
        char *text = w->recent[w->events++ % RECENT];
        event_text(event, text);
        if (w->loud)
            puts(w->c->json ? line + 6 : text);
    }
    json_decref(event);
    return true;
}

static enum outcome catch_up(struct watch *w)
{
    char after[24];
    snprintf(after, sizeof after, "%" PRId64, w->last);
    return http_lines(w->c->http, on_line, w, "/api/v1/events?follow=false&last_event_id=%s",
                      after);
}

/* -- what is open ------------------------------------------------------------------------------ */

static enum outcome add_jobs(const struct watch *w, const char *state, json_t *to)
{
    struct http_reply reply;
    enum outcome outcome =
        w->model
            ? http_call(w->c->http, "GET", NULL, &reply,
                        "/api/v1/jobs?limit=1000&state=%s&model=%s", state, w->model)
            : http_call(w->c->http, "GET", NULL, &reply, "/api/v1/jobs?limit=1000&state=%s", state);
    json_array_extend(to, json_object_get(reply.json, "jobs"));
    http_reply_fini(&reply);
    return outcome;
}

static enum outcome add_rollouts(const struct watch *w, json_t *to)
{
    enum outcome outcome = DONE;
    const char *model;
    json_t *yes;
    json_object_foreach (w->rolled, model, yes) {
        struct http_reply reply;
        if (outcome == DONE)
            outcome =
                http_call(w->c->http, "GET", NULL, &reply, "/api/v1/models/%s/rollout", model);
        else
            break;
        if (reply.json && json_is_null(json_object_get(reply.json, "ended")))
            json_array_append(to, reply.json);
        http_reply_fini(&reply);
    }
    return outcome;
}

static enum outcome look(const struct watch *w, json_t *jobs, json_t *rollouts)
{
    enum outcome outcome = add_jobs(w, "running", jobs);
    if (outcome == DONE)
        outcome = add_jobs(w, "queued", jobs);
    return outcome == DONE ? add_rollouts(w, rollouts) : outcome;
}

/* -- how it is shown --------------------------------------------------------------------------- */

/* A line as wide as the terminal, while there is one left. */
static void line(struct watch *w, const char *text)
{
    if (!w->terminal)
        printf("%s\n", text);
    else if (++w->row < w->height)
        printf("%.*s\033[K\n", w->width, text);
}

static void job_text(const json_t *job, char ret[LINE])
{
    const json_t *p = json_object_get(job, "progress");
    int64_t done = int_of(p, "done"), total = int_of(p, "total");
    char bar[BAR + 1] = "", share[64] = "", left[48] = "";
    if (total > 0 && done <= total) {
        int full = (int)(done * BAR / total);
        memset(bar, '#', (size_t)full);
        memset(bar + full, '.', (size_t)(BAR - full));
        snprintf(share, sizeof share, "%s %3d %%", bar, (int)(done * 100 / total));
    }
    if (json_is_number(json_object_get(p, "seconds_left")))
        snprintf(left, sizeof left, ", %.0f s left",
                 json_number_value(json_object_get(p, "seconds_left")));
    snprintf(ret, LINE, "  %-26.26s %-20.20s %-8s %-10.10s %s%s", text_of(job, "id"),
             text_of(job, "model"), text_of(job, "state"), text_of(p, "phase"), share, left);
}

static void rollout_text(const json_t *rollout, char ret[LINE])
{
    const json_t *canary = json_object_get(rollout, "canary");
    const json_t *shadow = json_object_get(rollout, "shadow");
    const json_t *analysis = json_object_get(rollout, "analysis");
    const char *reason = text_of(rollout, "reason");
    char what[64] = "";
    if (json_is_object(canary))
        snprintf(what, sizeof what, "version %" PRId64 " at %" PRId64 " %%",
                 int_of(canary, "version"), int_of(rollout, "percent"));
    else if (json_is_object(shadow))
        snprintf(what, sizeof what, "version %" PRId64 " in the shadow", int_of(shadow, "version"));
    snprintf(ret, LINE, "  %-26" PRId64 " %-20.20s %-11s %s, %" PRId64 " requests%s%s",
             int_of(rollout, "id"), text_of(rollout, "model"), text_of(rollout, "state"), what,
             int_of(analysis, "requests"), reason[0] ? ": " : "", reason);
}

static void show_all(struct watch *w, const char *head, const json_t *list,
                     void (*text)(const json_t *, char *))
{
    size_t i;
    json_t *one;
    char out[LINE];
    snprintf(out, sizeof out, "%s: %zu", head, json_array_size(list));
    line(w, out);
    json_array_foreach (list, i, one) {
        text(one, out);
        line(w, out);
    }
}

static void show_recent(struct watch *w)
{
    int64_t first = w->events > RECENT ? w->events - RECENT : 0;
    line(w, "events");
    for (int64_t i = first; i < w->events; i++) {
        char out[LINE + 2];
        snprintf(out, sizeof out, "  %s", w->recent[i % RECENT]);
        line(w, out);
    }
}

static void show_state(struct watch *w, const json_t *jobs, const json_t *rollouts)
{
    if (w->terminal) {
        struct winsize size;
        bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col;
        w->width = known ? size.ws_col : WIDTH;
        w->height = known ? size.ws_row : HEIGHT;
        w->row = 0;
        printf("\033[H");
    }
    show_all(w, "jobs", jobs, job_text);
    show_all(w, "rollouts", rollouts, rollout_text);
    if (w->terminal) {
        show_recent(w);
        printf("\033[J");
    }
}

static enum outcome show(struct watch *w, bool first)
{
    json_t *state = json_pack("{s:[], s:[]}", "jobs", "rollouts");
    json_t *jobs = json_object_get(state, "jobs");
    json_t *rollouts = json_object_get(state, "rollouts");
    enum outcome outcome = first || w->terminal ? look(w, jobs, rollouts) : DONE;
    if (outcome == DONE && first && w->c->json) {
        json_dumpf(state, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (outcome == DONE && (first || w->terminal)) {
        show_state(w, jobs, rollouts);
    }
    json_decref(state);
    return outcome;
}

/* -- until somebody has seen enough ------------------------------------------------------------ */

/* False once a signal has asked for the end: it is waited for, so that no handler is needed. */
static bool pause_or_end(const sigset_t *ends)
{
    const struct timespec second = { .tv_sec = 1 };
    return sigtimedwait(ends, NULL, &second) < 0;
}

static enum outcome follow(struct watch *w, bool once)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    enum outcome outcome = catch_up(w);
    bool go_on = outcome == DONE;
    for (bool first = true; go_on; first = false) {
        outcome = show(w, first);
        w->loud = !w->terminal;
        go_on = outcome == DONE && !once && fflush(stdout) == 0 && pause_or_end(&ends);
        if (go_on)
            outcome = catch_up(w);
        go_on = go_on && outcome == DONE;
    }
    return outcome;
}

static const struct flag flags[] = {
    { "model", "NAME", "only about it" },
    { "once", NULL, "show what is so now and end" },
    { 0 },
};

static enum outcome watch(struct client *c, const struct args *a)
{
    bool once = args_has(a, "once");
    struct watch *w = calloc(1, sizeof *w);
    json_t *rolled = json_object();
    enum outcome outcome = FAILED;
    if (w && rolled) {
        *w = (struct watch){ .c = c,
                             .model = args_flag(a, "model"),
                             .terminal = !once && !c->json && isatty(STDOUT_FILENO) == 1,
                             .rolled = rolled };
        /* The other screen, so that what stood there before is there again afterwards. */
        if (w->terminal)
            printf("\033[?1049h\033[?25l");
        outcome = follow(w, once);
        if (w->terminal)
            printf("\033[?25h\033[?1049l");
    } else {
        fprintf(stderr, "kennel: out of memory\n");
    }
    json_decref(rolled);
    free(w);
    return outcome;
}

const struct command commands_watch[] = {
    { "watch", NULL, "", 0, 0, flags, watch, "Show jobs and rollouts while they go on" },
    { 0 },
};

#include "daemon/follow.h"

#include "daemon/follow_copy.h"
#include "daemon/follow_report.h"
#include "daemon/follow_splits.h"
#include "daemon/predictions.h"
#include "daemon/spool.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "data/base/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

enum {
    ANSWER_MS = 10000, /* that the trainer may take beyond its wait */
    CATALOG_MAX = 64 << 20,
};

static const char hold_unknown[] = "this follower does not know the trainer's keys yet";
static const char hold_remote[] = "the trainer has no keys, and this follower listens beyond "
                                  "loopback without --allow-remote";

struct follow {
    struct follow_parts parts;
    char *trainer;                 /* owned */
    struct follow_options options; /* its texts are borrowed until follow_start() */
    struct follow_report *report;
    struct follow_link *link;
    pthread_t thread;
    bool started, may_open;

    /* the thread's; before its start the maker's */
    struct follow_copy copy; /* but for its counts */
    struct follow_splits splits;

    pthread_mutex_t mu;
    /* guarded by mu */
    bool ready, connected;
    int64_t current_us; /* when it last served what the trainer serves, or the start */
    int64_t synced_ms;  /* the same in UTC; 0: never */
    char shown_tag[DIGEST_HEX + 1];
    char error[sizeof(((struct err *)NULL)->message)]; /* "": none */
};

static void hold_keys(struct follow *f)
{
    const json_t *catalog = f->copy.catalog;
    bool open = catalog && (f->may_open || json_array_size(json_object_get(catalog, "api_key")));
    keys_hold(f->parts.keys, open ? NULL : catalog ? hold_remote : hold_unknown);
}

/* -- the thread ----------------------------------------------------------------------------------
 */

static enum err_code append(void *context, const void *bytes, size_t len, struct err *e)
{
    return buf_append(context, bytes, len, e);
}

static enum err_code adopt(struct follow *f, const struct buf *text, const char *tag, struct err *e)
{
    struct err part = { .code = ERR_OK };
    enum err_code r = follow_copy_adopt(&f->copy, text, tag, &part, e);
    if (r)
        return r;
    r = keys_reload(f->parts.keys, e);
    if (r) {
        f->copy.tag[0] = 0; /* or it would not be tried again, and a key that was taken back hold */
        return r;
    }
    hold_keys(f);
    r = follow_splits_set(&f->splits, e);
    if (!r)
        log_event("info", "followed", "trainer", f->trainer, "catalog", tag, "whole",
                  part.code ? "no" : "yes", NULL);
    return r || !part.code ? r : err_set(e, part.code, "%s", part.message);
}

/* One question; *ret_answered also when what was answered could not be had whole. */
static enum err_code ask(struct follow *f, bool *ret_answered, struct err *e)
{
    CLEANUP(buf_fini) struct buf text;
    char path[64];
    struct follow_reply reply = { .unchanged = false };
    buf_init(&text, CATALOG_MAX);
    snprintf(path, sizeof path, "/api/v1/catalog?wait=%d", FOLLOW_WAIT_SECONDS);
    const struct follow_request q = { .path = path,
                                      .tag = f->copy.tag,
                                      .timeout_ms = FOLLOW_WAIT_SECONDS * 1000 + ANSWER_MS,
                                      .sink = append,
                                      .context = &text };
    enum err_code r = follow_link_ask(f->link, &q, &reply, e);
    if (r)
        return r;
    *ret_answered = true;
    return reply.unchanged ? ERR_OK : adopt(f, &text, reply.tag, e);
}

static void note(struct follow *f, bool answered, const struct err *failure)
{
    pthread_mutex_lock(&f->mu);
    bool changed = strcmp(f->error, failure ? failure->message : "") != 0;
    f->connected = answered;
    f->ready = f->copy.catalog && !f->copy.missing;
    snprintf(f->shown_tag, sizeof f->shown_tag, "%s", f->copy.tag);
    snprintf(f->error, sizeof f->error, "%s", failure ? failure->message : "");
    if (!failure) {
        f->current_us = clock_monotonic_us();
        f->synced_ms = clock_utc_ms();
    }
    pthread_mutex_unlock(&f->mu);
    if (changed && failure)
        log_event("error", "follow", "trainer", f->trainer, "code", err_slug(failure->code),
                  "message", failure->message, NULL);
    else if (changed)
        log_event("info", "follow", "trainer", f->trainer, NULL);
}

static void *run(void *context)
{
    struct follow *f = context;
    pthread_setname_np(pthread_self(), "follow");
    int64_t pause = FOLLOW_PAUSE_LEAST_MS;
    follow_copy_check(&f->copy);
    for (;;) {
        struct err e;
        bool answered = false;
        int64_t begun_us = clock_monotonic_us();
        if (serve_damaged(f->parts.serve))
            follow_copy_check(&f->copy);
        enum err_code r = ask(f, &answered, &e);
        if (!r && f->splits.failed)
            r = follow_splits_set(&f->splits, &e);
        if (r == ERR_CANCELLED)
            return NULL;
        note(f, answered, r ? &e : NULL);
        /* Also a trainer that answers at once, again and again, is not asked all the time. */
        bool waited = clock_monotonic_us() - begun_us > FOLLOW_PAUSE_LEAST_MS * INT64_C(1000);
        if (!r)
            pause = FOLLOW_PAUSE_LEAST_MS;
        if ((r || !waited) && !follow_link_back_off(f->link, &pause))
            return NULL;
    }
}

/* -- what others see -----------------------------------------------------------------------------
 */

struct traffic *follow_traffic(struct follow *f)
{
    return f->splits.traffic;
}

const char *follow_trainer(const struct follow *f)
{
    return f->trainer;
}

bool follow_ready(struct follow *f)
{
    pthread_mutex_lock(&f->mu);
    bool ready = f->ready;
    pthread_mutex_unlock(&f->mu);
    return ready;
}

static void look(const struct follow *f, struct follow_figures *ret)
{
    *ret = (struct follow_figures){
        .connected = f->connected,
        .lag_seconds = (double)(clock_monotonic_us() - f->current_us) / 1e6,
        .pulls = f->copy.pulls,
        .pulled_bytes = f->copy.pulled_bytes,
        .pull_failures = f->copy.pull_failures,
    };
}

enum err_code follow_look(struct follow *f, struct follow_figures *ret, struct err *e)
{
    pthread_mutex_lock(&f->mu);
    look(f, ret);
    pthread_mutex_unlock(&f->mu);
    ret->dropped = f->parts.spool->dropped + predictions_dropped(f->parts.predictions);
    struct spool_figures spool;
    enum err_code r = spool_look(state_db(f->parts.state), &spool, e);
    if (!r)
        ret->spooled_bytes = spool.bytes;
    return r;
}

static enum err_code list_models(struct follow *f, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    CLEANUP(json_decref_p) json_t *list = json_array();
    json_t *aliases = NULL; /* of the last one of the list */
    if (!list)
        return err_set(e, ERR_NOMEM, "no memory for a list");
    enum err_code r = db_read(state_db(f->parts.state), &t, e);
    if (!r)
        r = db_query(t, &rows, e,
                     "SELECT m.name, a.name, a.version FROM alias a JOIN model m ON m.id = a.model "
                     "ORDER BY m.name, a.name");
    bool more = false;
    while (!r && !(r = db_next(rows, &more, e)) && more) {
        const json_t *last = json_array_get(list, json_array_size(list) - 1);
        const char *name = json_string_value(json_object_get(last, "model"));
        if (!name || strcmp(name, db_text(rows, 0)) != 0) {
            aliases = json_object();
            json_t *model = json_pack("{s:s, s:o}", "model", db_text(rows, 0), "aliases", aliases);
            if (!model || json_array_append_new(list, model) < 0)
                return err_set(e, ERR_NOMEM, "no memory for a list");
        }
        r = json_put(aliases, db_text(rows, 1), db_json_int(rows, 2), e);
    }
    if (!r)
        *ret = STEAL(list);
    return r;
}

enum err_code follow_show(struct follow *f, json_t **ret, struct err *e)
{
    json_t *models = NULL;
    enum err_code r = list_models(f, &models, e);
    if (r)
        return r;
    struct follow_figures now;
    r = follow_look(f, &now, e);
    if (r) {
        json_decref(models);
        return r;
    }
    char synced[CLOCK_TEXT];
    pthread_mutex_lock(&f->mu);
    clock_text(f->synced_ms, synced);
    json_t *shown =
        json_pack("{s:s, s:b, s:s?, s:s?, s:f, s:s?, s:I, s:I, s:o}", "trainer", f->trainer,
                  "connected", now.connected, "catalog", f->shown_tag[0] ? f->shown_tag : NULL,
                  "synced", f->synced_ms ? synced : NULL, "lag_seconds", now.lag_seconds, "error",
                  f->error[0] ? f->error : NULL, "spooled_bytes", (json_int_t)now.spooled_bytes,
                  "dropped", (json_int_t)now.dropped, "models", models);
    pthread_mutex_unlock(&f->mu);
    if (!shown)
        return err_set(e, ERR_NOMEM, "no memory to show a follower");
    *ret = shown;
    return ERR_OK;
}

/* -- start and end -------------------------------------------------------------------------------
 */

static void see(void *context, const struct traffic_seen *seen)
{
    struct follow *f = context;
    predictions_add_seen(f->parts.predictions, seen);
}

static enum err_code resume(struct follow *f, struct err *e)
{
    enum err_code r = follow_copy_load(&f->copy, &f->synced_ms, e);
    if (r)
        return r;
    f->ready = f->copy.catalog != NULL;
    f->current_us = clock_monotonic_us();
    snprintf(f->shown_tag, sizeof f->shown_tag, "%s", f->copy.tag);
    hold_keys(f);
    return follow_splits_set(&f->splits, e);
}

CLEANUP_DEFINE(struct follow, follow_free);

enum err_code follow_new(const struct follow_options *o, const struct follow_parts *p,
                         struct follow **ret, struct err *e)
{
    enum err_code r = follow_link_check(o, e);
    if (r)
        return r;
    CLEANUP(follow_free_p) struct follow *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(e, ERR_NOMEM, "no memory to follow");
    f->parts = *p;
    f->options = *o;
    pthread_mutex_init(&f->mu, NULL);
    f->trainer = strdup(o->url);
    if (!f->trainer)
        return err_set(e, ERR_NOMEM, "no memory to follow");
    const struct traffic_options traffic = { .limits = p->limits, .see = see, .context = f };
    f->copy.state = f->splits.state = p->state;
    f->copy.serve = f->splits.serve = p->serve;
    r = follow_link_new(o, &f->link, e);
    if (!r)
        r = traffic_new(&traffic, &f->splits.traffic, e);
    f->copy.link = f->link;
    if (!r)
        r = resume(f, e);
    if (!r)
        *ret = STEAL(f);
    return r;
}

static void tell_tag(void *context, char ret[DIGEST_HEX + 1])
{
    struct follow *f = context;
    pthread_mutex_lock(&f->mu);
    memcpy(ret, f->shown_tag, sizeof f->shown_tag);
    pthread_mutex_unlock(&f->mu);
}

enum err_code follow_start(struct follow *f, bool may_open, struct err *e)
{
    f->may_open = may_open;
    hold_keys(f);
    int failed = pthread_create(&f->thread, NULL, run, f);
    if (failed)
        return err_errno(e, failed, "cannot start the thread that follows");
    f->started = true;
    const struct follow_report_parts report = {
        .state = f->parts.state, .tag = tell_tag, .context = f, .program = f->parts.program
    };
    return follow_report_new(&f->options, &report, &f->report, e);
}

void follow_stop(struct follow *f)
{
    if (!f || !f->started)
        return;
    follow_report_free(STEAL(f->report));
    follow_link_stop(f->link);
    pthread_join(f->thread, NULL);
    f->started = false;
}

void follow_free(struct follow *f)
{
    if (!f)
        return;
    follow_stop(f);
    follow_link_free(f->link);
    traffic_free(f->splits.traffic);
    follow_splits_fini(&f->splits);
    follow_copy_fini(&f->copy);
    pthread_mutex_destroy(&f->mu);
    free(f->trainer);
    free(f);
}

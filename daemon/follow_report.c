#include "daemon/follow_report.h"

#include "daemon/bell.h"
#include "daemon/replica.h"
#include "daemon/spool.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "data/base/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { ANSWER_MS = 15000, BODY_MAX = 1 << 20, REPLY_MAX = 4096, NAME_MAX_BYTES = 256 };

struct follow_report {
    struct follow_report_parts parts;
    struct follow_link *link;
    char name[NAME_MAX_BYTES]; /* of this machine */
    char *id;                  /* owned: the follower's */
    pthread_t thread;
    bool started, rings, failing;
    atomic_bool rung;
};

static enum err_code append(void *context, const void *bytes, size_t len, struct err *e)
{
    return buf_append(context, bytes, len, e);
}

static enum err_code write_head(struct follow_report *r, struct buf *body, struct err *e)
{
    char tag[DIGEST_HEX + 1];
    struct spool_figures spool;
    enum err_code code = spool_look(state_db(r->parts.state), &spool, e);
    if (code)
        return code;
    r->parts.tag(r->parts.context, tag);
    CLEANUP(json_decref_p)
    json_t *head = json_pack("{s:s, s:s, s:s?, s:I}", "name", r->name, "program", r->parts.program,
                             "catalog", tag[0] ? tag : NULL, "spooled", (json_int_t)spool.bytes);
    if (!head)
        return err_set(e, ERR_NOMEM, "no memory for a report");
    code = json_write(head, body, e);
    if (!code)
        body->len--; /* its last brace: more comes */
    return code;
}

/* *ret_more: there was something, so there may be more. */
static enum err_code send(struct follow_report *r, bool *ret_more, struct err *e)
{
    CLEANUP(buf_fini) struct buf body, answer;
    CLEANUP(cleanup_free) char *path = NULL;
    CLEANUP(json_decref_p) json_t *told = NULL;
    struct follow_reply reply;
    int count = 0;
    buf_init(&body, BODY_MAX);
    buf_init(&answer, REPLY_MAX);
    if (asprintf(&path, "/api/v1/followers/%s/reports", r->id) < 0) {
        path = NULL;
        return err_set(e, ERR_NOMEM, "no memory for a report");
    }
    enum err_code code = write_head(r, &body, e);
    if (!code)
        code = buf_append(&body, ",\"batches\":", 11, e);
    if (!code)
        code = spool_read(state_db(r->parts.state), &body, &count, e);
    if (!code)
        code = buf_append(&body, "}", 1, e);
    const struct follow_request q = { .path = path,
                                      .body = (const char *)body.data,
                                      .timeout_ms = ANSWER_MS,
                                      .sink = append,
                                      .context = &answer };
    if (!code)
        code = follow_link_ask(r->link, &q, &reply, e);
    if (!code)
        code = json_read(answer.data ? (const char *)answer.data : "", answer.len, &told, e);
    const json_t *seq = json_object_get(told, "acknowledged");
    if (!code && !json_is_integer(seq))
        code = err_set(e, ERR_TRAINER, "the trainer acknowledged nothing");
    if (!code && count)
        code = spool_acknowledge(state_db(r->parts.state), json_integer_value(seq), e);
    if (!code)
        *ret_more = count > 0;
    return code;
}

static void note(struct follow_report *r, const struct err *failure)
{
    if (failure && !r->failing)
        log_event("error", "follow_report", "code", err_slug(failure->code), "message",
                  failure->message, NULL);
    else if (!failure && r->failing)
        log_event("info", "follow_report", NULL);
    r->failing = failure != NULL;
}

static void *run(void *context)
{
    struct follow_report *r = context;
    int64_t pause = FOLLOW_PAUSE_LEAST_MS;
    pthread_setname_np(pthread_self(), "follow-report");
    for (;;) {
        struct err e;
        bool more = false;
        atomic_store(&r->rung, false);
        enum err_code code = send(r, &more, &e);
        if (code == ERR_CANCELLED)
            return NULL;
        note(r, code ? &e : NULL);
        bool go_on = true;
        if (code)
            go_on = follow_link_back_off(r->link, &pause);
        else if (!more && !atomic_load(&r->rung))
            go_on = follow_link_pause(r->link, FOLLOW_REPORT_SECONDS * 1000);
        if (!code)
            pause = FOLLOW_PAUSE_LEAST_MS;
        if (!go_on)
            return NULL;
    }
}

static void on_ring(void *context)
{
    struct follow_report *r = context;
    atomic_store(&r->rung, true);
    follow_link_wake(r->link);
}

static enum err_code read_id(struct follow_report *r, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code code = db_read(state_db(r->parts.state), &t, e);
    if (!code)
        code = db_get(t, &row, e, "SELECT id FROM replica");
    if (code)
        return code;
    r->id = row ? strdup(db_text(row, 0)) : NULL;
    return r->id ? ERR_OK : err_set(e, ERR_NOMEM, "no memory to report");
}

CLEANUP_DEFINE(struct follow_report, follow_report_free);

enum err_code follow_report_new(const struct follow_options *o, const struct follow_report_parts *p,
                                struct follow_report **ret, struct err *e)
{
    CLEANUP(follow_report_free_p) struct follow_report *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory to report");
    r->parts = *p;
    if (gethostname(r->name, sizeof r->name - 1) || !r->name[0])
        snprintf(r->name, sizeof r->name, "unknown");
    enum err_code code = read_id(r, e);
    if (!code)
        code = follow_link_new(o, &r->link, e);
    if (!code)
        code = bell_add(db_bell(state_db(p->state)), on_ring, r, e);
    r->rings = !code;
    int failed = code ? 0 : pthread_create(&r->thread, NULL, run, r);
    if (failed)
        code = err_errno(e, failed, "cannot start the thread that reports");
    if (code)
        return code;
    r->started = true;
    *ret = STEAL(r);
    return ERR_OK;
}

void follow_report_free(struct follow_report *r)
{
    if (!r)
        return;
    if (r->rings)
        bell_remove(db_bell(state_db(r->parts.state)), on_ring, r);
    if (r->started) {
        follow_link_stop(r->link);
        pthread_join(r->thread, NULL);
    }
    follow_link_free(r->link);
    free(r->id);
    free(r);
}

#include "api/event_stream.h"

#include "daemon/events.h"
#include "daemon/jobs.h"
#include "data/base/buf.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "data/base/log.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

enum {
    BUFFER = 64 << 10,      /* what is not yet sent; past it nothing is read */
    BUFFER_MAX = 4 << 20,   /* with the batch that was read last */
    BATCH = 64,             /* events */
    HEARTBEAT_US = 15000000 /* below the idle time of most proxies */
};

struct event_stream {
    struct server *server;
    struct event_filter filter; /* its texts are owned */
    char key[PARK_KEY + 1];
    bool follow;

    /* the park's thread's, and the maker's before that */
    int64_t cursor;
    char progress[256]; /* as last sent */

    pthread_mutex_t mu;
    /* guarded by mu */
    struct MHD_Connection *connection;
    struct buf pending;
    size_t sent; /* of pending */
    bool suspended, more, ended, gone;
    int refs;
};

static void stream_unref(struct event_stream *s)
{
    pthread_mutex_lock(&s->mu);
    int left = --s->refs;
    pthread_mutex_unlock(&s->mu);
    if (left)
        return;
    free((char *)s->filter.job);
    free((char *)s->filter.model);
    free((char *)s->filter.types);
    buf_fini(&s->pending);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

/* --- the HTTP thread's ------------------------------------------------------------------------ */

static void attach(void *stream, struct MHD_Connection *connection)
{
    struct event_stream *s = stream;
    pthread_mutex_lock(&s->mu);
    s->connection = connection;
    pthread_mutex_unlock(&s->mu);
}

/* With the lock held. */
static ssize_t take(struct event_stream *s, char *bytes, size_t max)
{
    size_t left = s->pending.len - s->sent;
    size_t n = left < max ? left : max;
    memcpy(bytes, s->pending.data + s->sent, n);
    s->sent += n;
    if (s->sent == s->pending.len) {
        buf_reset(&s->pending);
        s->sent = 0;
    }
    return (ssize_t)n;
}

static ssize_t read_pending(void *stream, uint64_t position, char *bytes, size_t max)
{
    (void)position;
    struct event_stream *s = stream;
    ssize_t n = 0;
    pthread_mutex_lock(&s->mu);
    if (s->pending.len > s->sent) {
        n = take(s, bytes, max);
    } else if (s->ended) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        s->suspended = true;
        MHD_suspend_connection(s->connection);
    }
    bool hungry = s->more && !s->pending.len;
    pthread_mutex_unlock(&s->mu);
    if (hungry)
        park_notify(s->server->park, s->key);
    return n;
}

static void leave(void *stream)
{
    struct event_stream *s = stream;
    pthread_mutex_lock(&s->mu);
    s->gone = true;
    pthread_mutex_unlock(&s->mu);
    park_notify(s->server->park, s->key);
    stream_unref(s);
}

/* --- the park's thread's ---------------------------------------------------------------------- */

/* A memory failure ends the stream: the reader comes again with the last number that it has. */
static void write_text(struct event_stream *s, const char *text)
{
    pthread_mutex_lock(&s->mu);
    if (buf_append(&s->pending, text, strlen(text), NULL))
        s->ended = true;
    pthread_mutex_unlock(&s->mu);
}

static bool is_full(struct event_stream *s)
{
    pthread_mutex_lock(&s->mu);
    bool full = s->pending.len - s->sent >= BUFFER || s->ended;
    pthread_mutex_unlock(&s->mu);
    return full;
}

static enum err_code write_event(void *context, const struct event *event, struct err *e)
{
    struct event_stream *s = context;
    CLEANUP(cleanup_free) char *text = NULL;
    char at[CLOCK_TEXT];
    clock_text(event->at_ms, at);
    /* The type and the subject are made of letters that JSON takes as they are. */
    if (asprintf(&text,
                 "id: %" PRId64 "\nevent: %s\ndata: {\"id\":%" PRId64
                 ",\"type\":\"%s\",\"time\":\"%s\",\"subject\":\"%s\",\"data\":%s}\n\n",
                 event->id, event->type, event->id, event->type, at, event->subject,
                 event->data) < 0) {
        text = NULL;
        return err_set(e, ERR_NOMEM, "no memory for an event");
    }
    write_text(s, text);
    return ERR_OK;
}

/* Who was away for longer than the log keeps is told. */
static enum err_code tell_of_loss(struct event_stream *s, struct db_tx *t, struct err *e)
{
    int64_t first = 0, last = 0;
    enum err_code r = events_bounds(t, &first, &last, e);
    if (r || s->filter.job || !first || !s->cursor || s->cursor >= first - 1)
        return r;
    char text[128];
    snprintf(text, sizeof text,
             "event: events.lost\ndata: {\"type\":\"events.lost\",\"first\":%" PRId64 "}\n\n",
             first);
    write_text(s, text);
    s->cursor = first - 1;
    return r;
}

/* What came behind the cursor, as much as there is room for. */
static enum err_code fill(struct event_stream *s, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    bool more = true;
    enum err_code r = db_read(state_db(s->server->parts.state), &t, e);
    if (!r)
        r = tell_of_loss(s, t, e);
    while (!r && more && !is_full(s))
        r = events_read(t, &s->filter, s->cursor, BATCH, write_event, s, &s->cursor, &more, e);
    pthread_mutex_lock(&s->mu);
    s->more = more;
    pthread_mutex_unlock(&s->mu);
    return r;
}

static void write_progress(struct event_stream *s, const json_t *job)
{
    const json_t *progress = json_object_get(job, "progress");
    const char *phase = NULL;
    json_int_t done = 0, total = 0;
    char text[sizeof s->progress], line[sizeof text + 256], at[CLOCK_TEXT];
    if (!json_is_object(progress) || is_full(s) ||
        json_unpack((json_t *)progress, "{s:s, s:I, s:I}", "phase", &phase, "done", &done, "total",
                    &total) < 0)
        return;
    snprintf(text, sizeof text, "\"phase\":\"%.64s\",\"done\":%" PRId64 ",\"total\":%" PRId64,
             phase, (int64_t)done, (int64_t)total);
    if (strcmp(text, s->progress) == 0)
        return;
    memcpy(s->progress, text, sizeof text);
    clock_text(clock_utc_ms(), at);
    snprintf(line, sizeof line,
             "event: job.progress\ndata: {\"type\":\"job.progress\",\"time\":\"%s\","
             "\"subject\":\"job/%s\",\"data\":{\"job\":\"%s\",%s}}\n\n",
             at, s->filter.job, s->filter.job, text);
    write_text(s, line);
}

/* The job is looked at before the log: what ended it is in the log then. */
static enum err_code refresh(struct event_stream *s, struct err *e)
{
    CLEANUP(json_decref_p) json_t *job = NULL;
    enum err_code r = ERR_OK;
    if (s->filter.job)
        r = jobs_show(s->server->parts.jobs, s->filter.job, &job, e);
    if (!r)
        r = fill(s, e);
    if (r)
        return r;
    if (job)
        write_progress(s, job);
    const char *state = json_string_value(json_object_get(job, "state"));
    bool over = !s->follow || (state && jobs_state_is_final(state));
    pthread_mutex_lock(&s->mu);
    s->ended = s->ended || (over && !s->more);
    pthread_mutex_unlock(&s->mu);
    return ERR_OK;
}

/* Lets the HTTP thread go on. True when there is nothing more to come. */
static bool wake(struct event_stream *s)
{
    pthread_mutex_lock(&s->mu);
    if (s->suspended && (s->pending.len > s->sent || s->ended)) {
        s->suspended = false;
        MHD_resume_connection(s->connection);
    }
    bool over = s->ended || s->gone;
    pthread_mutex_unlock(&s->mu);
    return over;
}

static void end(struct event_stream *s)
{
    pthread_mutex_lock(&s->mu);
    s->ended = true;
    pthread_mutex_unlock(&s->mu);
}

static bool visit(void *context, bool last);

/* Again, for as long as a reader may be left without a word. */
static bool park_again(struct event_stream *s)
{
    return park_add(s->server->park, s->key, clock_monotonic_us() + HEARTBEAT_US, visit, s, NULL) ==
           ERR_OK;
}

static bool visit(void *context, bool last)
{
    struct event_stream *s = context;
    struct server *server = s->server;
    struct err e;
    if (core_stopping(server)) {
        end(s);
    } else if (refresh(s, &e)) {
        log_event("error", "event_stream", "code", err_slug(e.code), "message", e.message, NULL);
        end(s);
    }
    if (last && !is_full(s))
        write_text(s, ": still here\n\n");
    bool over = wake(s);
    if (!over && !last)
        return false;
    if (!over && park_again(s))
        return true;
    end(s);
    wake(s);
    stream_unref(s);
    atomic_fetch_sub(&server->streams, 1);
    core_work_end(server);
    return true;
}

/* --- life ------------------------------------------------------------------------------------- */

static bool copy(const char *text, const char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return *ret || !text;
}

static enum err_code make(struct server *server, const struct event_stream_options *o,
                          struct event_stream **ret, struct err *e)
{
    struct event_stream *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a stream");
    pthread_mutex_init(&s->mu, NULL);
    buf_init(&s->pending, BUFFER_MAX);
    s->server = server;
    s->refs = 1;
    s->follow = o->follow;
    s->cursor = o->after;
    snprintf(s->key, sizeof s->key, "%s", o->job ? o->job : EVENT_STREAM_KEY);
    if (!copy(o->job, &s->filter.job) || !copy(o->model, &s->filter.model) ||
        !copy(o->types, &s->filter.types)) {
        stream_unref(s);
        return err_set(e, ERR_NOMEM, "no memory for a stream");
    }
    /* The first bytes go out at once, so that a client knows that it is connected. */
    write_text(s, "retry: 2000\n\n");
    *ret = s;
    return ERR_OK;
}

/* On failure the work and the place are given back by the caller. */
static enum err_code make_and_park(struct server *server, const struct event_stream_options *o,
                                   struct reply_source *ret, struct err *e)
{
    struct event_stream *s = NULL;
    enum err_code r = make(server, o, &s, e);
    if (r)
        return r;
    s->refs = 2;
    r = park_add(server->park, s->key, clock_monotonic_us() + HEARTBEAT_US, visit, s, e);
    if (r) {
        s->refs = 1;
        stream_unref(s);
        return r;
    }
    *ret = (struct reply_source){ .context = s,
                                  .size = REPLY_SIZE_UNKNOWN,
                                  .attach = attach,
                                  .read = read_pending,
                                  .leave = leave };
    return ERR_OK;
}

enum err_code event_stream_new(struct server *server, const struct event_stream_options *o,
                               struct reply_source *ret, struct err *e)
{
    int max = server->options.max_streams;
    if (atomic_fetch_add(&server->streams, 1) >= max) {
        atomic_fetch_sub(&server->streams, 1);
        return err_set(e, ERR_BUSY, "%d event streams are open, which is the limit", max);
    }
    if (!core_work_begin(server)) {
        atomic_fetch_sub(&server->streams, 1);
        return err_set(e, ERR_BUSY, "the server is stopping");
    }
    enum err_code r = make_and_park(server, o, ret, e);
    if (r) {
        atomic_fetch_sub(&server->streams, 1);
        core_work_end(server);
    }
    return r;
}

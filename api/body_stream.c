#include "api/body_stream.h"

#include "data/base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { GRACE_US = 60 * 1000 * 1000, RATE_MIN = 1024 /* bytes a second */ };

struct body_stream {
    void (*wake)(void *context);
    bool (*gone)(void *context);
    void *context;
    size_t cap;
    pthread_mutex_t mu;
    pthread_cond_t filled;

    /* guarded by mu */
    size_t head, used; /* bytes [head, head + used) modulo cap */
    uint64_t total;    /* bytes read so far */
    int64_t waited_us; /* the reader, for the sender */
    bool started, full, ended, closed, aborted;
    struct err reason;

    uint8_t ring[];
};

enum err_code body_stream_new(size_t capacity, void (*wake)(void *context),
                              bool (*gone)(void *context), void *context, struct body_stream **ret,
                              struct err *e)
{
    struct body_stream *s = calloc(1, sizeof *s + capacity);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for an upload");
    s->cap = capacity;
    s->wake = wake;
    s->gone = gone;
    s->context = context;
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->filled, NULL);
    *ret = s;
    return ERR_OK;
}

void body_stream_free(struct body_stream *s)
{
    if (!s)
        return;
    pthread_cond_destroy(&s->filled);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

size_t body_stream_write(struct body_stream *s, const void *bytes, size_t len)
{
    pthread_mutex_lock(&s->mu);
    size_t n = len;
    if (!s->closed && !s->aborted) {
        size_t room = s->cap - s->used;
        n = len < room ? len : room;
        size_t at = (s->head + s->used) % s->cap;
        size_t first = n < s->cap - at ? n : s->cap - at;
        memcpy(s->ring + at, bytes, first);
        memcpy(s->ring, (const uint8_t *)bytes + first, n - first);
        s->used += n;
        s->full = n < len;
        pthread_cond_signal(&s->filled);
    }
    pthread_mutex_unlock(&s->mu);
    return n;
}

bool body_stream_wanted(struct body_stream *s)
{
    pthread_mutex_lock(&s->mu);
    bool wanted = s->started;
    pthread_mutex_unlock(&s->mu);
    return wanted;
}

void body_stream_end(struct body_stream *s)
{
    pthread_mutex_lock(&s->mu);
    s->ended = true;
    pthread_cond_signal(&s->filled);
    pthread_mutex_unlock(&s->mu);
}

void body_stream_abort(struct body_stream *s, const struct err *reason)
{
    pthread_mutex_lock(&s->mu);
    if (!s->aborted && !s->ended) {
        s->aborted = true;
        s->reason = *reason;
    }
    pthread_cond_signal(&s->filled);
    pthread_mutex_unlock(&s->mu);
}

static bool sender_too_slow(const struct body_stream *s)
{
    return s->waited_us > GRACE_US + (int64_t)(s->total / RATE_MIN) * 1000000;
}

static bool is_waiting(const struct body_stream *s)
{
    return !s->used && !s->ended && !s->aborted;
}

/* With the lock held: until there are bytes or there will be none. */
static void wait_filled(struct body_stream *s)
{
    while (is_waiting(s) && !sender_too_slow(s)) {
        int64_t before = clock_monotonic_us();
        bool timed_out = !clock_wait(&s->filled, &s->mu, before + 1000000);
        s->waited_us += clock_monotonic_us() - before;
        if (!timed_out || !is_waiting(s))
            continue;
        pthread_mutex_unlock(&s->mu);
        bool gone = s->gone(s->context);
        pthread_mutex_lock(&s->mu);
        if (gone && is_waiting(s)) {
            s->aborted = true;
            err_set(&s->reason, ERR_BODY_INCOMPLETE,
                    "the client went away before the end of the body");
        }
    }
}

static size_t take(struct body_stream *s, uint8_t *bytes, size_t len)
{
    size_t n = len < s->used ? len : s->used;
    size_t first = n < s->cap - s->head ? n : s->cap - s->head;
    memcpy(bytes, s->ring + s->head, first);
    memcpy(bytes + first, s->ring, n - first);
    s->head = (s->head + n) % s->cap;
    s->used -= n;
    s->total += n;
    return n;
}

ssize_t body_stream_read(void *stream, void *bytes, size_t len, struct err *e)
{
    struct body_stream *s = stream;
    pthread_mutex_lock(&s->mu);
    bool first = !s->started;
    s->started = true;
    pthread_mutex_unlock(&s->mu);
    if (first)
        s->wake(s->context);

    pthread_mutex_lock(&s->mu);
    wait_filled(s);
    ssize_t ret = -1;
    bool wake = false;
    if (s->aborted) {
        err_set(e, s->reason.code, "%s", s->reason.message);
    } else if (!s->used && !s->ended) {
        err_set(e, ERR_BODY_INCOMPLETE, "the body came slower than %d bytes a second", RATE_MIN);
    } else {
        ret = (ssize_t)take(s, bytes, len);
        wake = s->full && s->used <= s->cap / 2;
        if (wake)
            s->full = false;
    }
    pthread_mutex_unlock(&s->mu);
    if (wake)
        s->wake(s->context);
    return ret;
}

void body_stream_close(struct body_stream *s)
{
    pthread_mutex_lock(&s->mu);
    s->closed = true;
    pthread_mutex_unlock(&s->mu);
}

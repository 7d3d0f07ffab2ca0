#include "api/download.h"

#include "data/base/clock.h"

#include <microhttpd.h>
#include <string.h>

enum { RING = 1 << 20, LOOK_MS = 200, RATE_MIN = 16 << 10 /* bytes a second */ };

struct download {
    struct server *server;
    uint64_t size;

    pthread_mutex_t mu;
    pthread_cond_t room;
    /* guarded by mu */
    struct MHD_Connection *connection;
    uint8_t *ring; /* [RING] */
    size_t head, len;
    uint64_t taken;    /* by the reader, in the seconds that are counted */
    int64_t waited_us; /* of them: for the reader */
    bool suspended, ended, broken, gone;
    int refs;
};

static void download_unref(struct download *d)
{
    pthread_mutex_lock(&d->mu);
    int left = --d->refs;
    pthread_mutex_unlock(&d->mu);
    if (left)
        return;
    pthread_cond_destroy(&d->room);
    pthread_mutex_destroy(&d->mu);
    free(d->ring);
    free(d);
}

/* --- the HTTP thread's ------------------------------------------------------------------------ */

static void attach(void *context, struct MHD_Connection *connection)
{
    struct download *d = context;
    pthread_mutex_lock(&d->mu);
    d->connection = connection;
    pthread_mutex_unlock(&d->mu);
}

/* With the lock held. */
static ssize_t take(struct download *d, char *bytes, size_t max)
{
    size_t straight = RING - d->head;
    size_t n = d->len < max ? d->len : max;
    n = n < straight ? n : straight;
    memcpy(bytes, d->ring + d->head, n);
    d->head = (d->head + n) % RING;
    d->len -= n;
    d->taken += n;
    pthread_cond_signal(&d->room);
    return (ssize_t)n;
}

static ssize_t read_ring(void *context, uint64_t position, char *bytes, size_t max)
{
    (void)position;
    struct download *d = context;
    ssize_t n = 0;
    pthread_mutex_lock(&d->mu);
    if (d->broken) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (d->len) {
        n = take(d, bytes, max);
    } else if (d->ended) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        d->suspended = true;
        MHD_suspend_connection(d->connection);
    }
    pthread_mutex_unlock(&d->mu);
    return n;
}

static void leave(void *context)
{
    struct download *d = context;
    pthread_mutex_lock(&d->mu);
    d->gone = true;
    d->suspended = false;
    pthread_cond_signal(&d->room);
    pthread_mutex_unlock(&d->mu);
    download_unref(d);
}

/* --- the task's ------------------------------------------------------------------------------- */

enum err_code download_new(struct server *s, uint64_t size, struct download **ret,
                           struct reply_source *ret_source, struct err *e)
{
    struct download *d = calloc(1, sizeof *d);
    uint8_t *ring = malloc(RING);
    if (!d || !ring) {
        free(d);
        free(ring);
        return err_set(e, ERR_NOMEM, "no memory for a download");
    }
    if (!core_work_begin(s)) {
        free(d);
        free(ring);
        return err_set(e, ERR_BUSY, "the server is stopping");
    }
    pthread_mutex_init(&d->mu, NULL);
    pthread_cond_init(&d->room, NULL);
    d->server = s;
    d->size = size;
    d->ring = ring;
    d->refs = 2;
    *ret = d;
    *ret_source = (struct reply_source){
        .context = d, .size = size, .attach = attach, .read = read_ring, .leave = leave
    };
    return ERR_OK;
}

/* With the lock held. */
static void wake(struct download *d)
{
    if (!d->suspended)
        return;
    d->suspended = false;
    MHD_resume_connection(d->connection);
}

/* With the lock held. Of every so many seconds that were waited for the reader, those alone count:
 * what the sockets took at once is no credit for later, and time that the disk takes is nobody's.
 */
static bool reader_too_slow(struct download *d)
{
    int64_t seconds = (int64_t)d->server->options.idle_seconds;
    if (d->waited_us < seconds * 1000000)
        return false;
    bool slow = d->taken < (uint64_t)seconds * RATE_MIN;
    d->taken = 0;
    d->waited_us = 0;
    return slow;
}

/* With the lock held. Looks now and then whether the server stops. What was slept through in one
 * piece counts as one look: a machine that slept itself says nothing of the reader. */
static enum err_code wait_for_room(struct download *d, struct err *e)
{
    for (;;) {
        if (d->gone)
            return err_set(e, ERR_CLIENT_GONE, "the client has gone");
        if (core_stopping(d->server))
            return err_set(e, ERR_CANCELLED, "the server is stopping");
        if (d->len < RING)
            return ERR_OK;
        if (reader_too_slow(d))
            return err_set(e, ERR_CLIENT_GONE, "the client reads slower than %d bytes a second",
                           RATE_MIN);
        int64_t before = clock_monotonic_us();
        (void)clock_wait(&d->room, &d->mu, before + LOOK_MS * 1000);
        int64_t waited = clock_monotonic_us() - before;
        d->waited_us += waited < LOOK_MS * 1000 ? waited : LOOK_MS * 1000;
    }
}

/* With the lock held: as much as there is room for in one piece. */
static size_t put(struct download *d, const uint8_t *bytes, size_t len)
{
    size_t tail = (d->head + d->len) % RING;
    size_t n = tail < d->head ? d->head - tail : RING - tail;
    n = n < len ? n : len;
    memcpy(d->ring + tail, bytes, n);
    d->len += n;
    return n;
}

enum err_code download_write(void *download, const void *bytes, size_t len, struct err *e)
{
    struct download *d = download;
    enum err_code r = ERR_OK;
    pthread_mutex_lock(&d->mu);
    for (size_t done = 0; !r && done < len;) {
        r = wait_for_room(d, e);
        if (!r)
            done += put(d, (const uint8_t *)bytes + done, len - done);
        if (!r)
            wake(d);
    }
    pthread_mutex_unlock(&d->mu);
    return r;
}

void download_end(struct download *d, bool whole)
{
    struct server *s = d->server;
    pthread_mutex_lock(&d->mu);
    d->ended = true;
    d->broken = !whole;
    wake(d);
    pthread_mutex_unlock(&d->mu);
    download_unref(d);
    core_work_end(s);
}

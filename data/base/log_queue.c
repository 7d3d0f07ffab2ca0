/* DESIGN
 *
 *   put -> [ filling ] --swap--> [ draining ] -> write(2), line by line
 *
 * The writer takes the whole filling half under the lock and leaves its own empty one; it writes
 * without the lock. It looks before each write whether the reader takes anything, so that it sees
 * the end of the program; if somebody else filled the pipe in between, it is cancelled in its
 * write.
 *
 * After a round it lets lines gather: a wake-up for each would take a core from the request that
 * wrote it just when its reply is on its way (0.08 ms of 5 on two cores). */
#include "data/base/log_queue.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

enum { LOOK_MS = 100, END_MS = 1000, CANCEL_SECONDS = 2, GATHER_MS = 20 };

struct half {
    char *text; /* [LOG_QUEUE_BYTES], owned */
    size_t len;
};

struct log_queue {
    pthread_t thread;
    bool started;
    pthread_mutex_t mu;
    pthread_cond_t wanted; /* there is a line, or the end */
    pthread_cond_t hurry;  /* there are many, or the end */

    /* guarded by mu */
    bool stopping;
    uint64_t dropped; /* that no line has told of yet */
    struct half filling;

    struct half draining; /* the writer's */
};

static bool is_stopping(struct log_queue *q)
{
    pthread_mutex_lock(&q->mu);
    bool stopping = q->stopping;
    pthread_mutex_unlock(&q->mu);
    return stopping;
}

/* False: the program ends and nobody reads. *left_ms: how long it may still wait once it ends. */
static bool wait_for_reader(struct log_queue *q, int *left_ms)
{
    struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
    while (poll(&out, 1, LOOK_MS) == 0) {
        if (is_stopping(q))
            *left_ms -= LOOK_MS;
        if (*left_ms <= 0)
            return false;
    }
    return true;
}

static void gather(struct log_queue *q)
{
    int64_t until = clock_monotonic_us() + GATHER_MS * 1000;
    pthread_mutex_lock(&q->mu);
    while (!q->stopping && q->filling.len < LOG_QUEUE_BYTES / 2 &&
           clock_wait(&q->hurry, &q->mu, until))
        continue;
    pthread_mutex_unlock(&q->mu);
}

static void drain(struct log_queue *q)
{
    int left_ms = END_MS;
    const char *line = q->draining.text, *end = line + q->draining.len;
    while (line < end && wait_for_reader(q, &left_ms)) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t len = (size_t)((newline ? newline + 1 : end) - line);
        /* Nobody can be told that the log is gone. */
        if (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
            continue;
        line += len;
    }
    q->draining.len = 0;
}

/* Holds mu. */
static void append(struct log_queue *q, const char *line, size_t len)
{
    memcpy(q->filling.text + q->filling.len, line, len);
    q->filling.len += len;
}

/* Holds mu. Into the half that has just become empty: while lines are lost, any other is full. */
static void tell_dropped(struct log_queue *q, ...)
{
    va_list ap;
    va_start(ap, q);
    CLEANUP(cleanup_free) char *line = log_text("warning", "log_lines_dropped", ap);
    va_end(ap);
    if (!line)
        return; /* the next time */
    append(q, line, strlen(line));
    q->dropped = 0;
}

static void *run(void *context)
{
    struct log_queue *q = context;
    pthread_setname_np(pthread_self(), "log");
    for (;;) {
        pthread_mutex_lock(&q->mu);
        while (!q->filling.len && !q->stopping)
            pthread_cond_wait(&q->wanted, &q->mu);
        struct half full = q->filling;
        q->filling = q->draining;
        q->draining = full;
        char count[24];
        snprintf(count, sizeof count, "%" PRIu64, q->dropped);
        if (q->dropped)
            tell_dropped(q, "count", count, NULL);
        pthread_mutex_unlock(&q->mu);
        if (!full.len)
            return NULL;
        drain(q);
        gather(q);
    }
}

bool log_queue_put(struct log_queue *q, const char *line, size_t len)
{
    pthread_mutex_lock(&q->mu);
    bool fits = len <= LOG_LINE_MAX && len <= LOG_QUEUE_BYTES - q->filling.len;
    if (fits) {
        append(q, line, len);
        pthread_cond_signal(&q->wanted);
        if (q->filling.len >= LOG_QUEUE_BYTES / 2)
            pthread_cond_signal(&q->hurry);
    } else {
        q->dropped++;
    }
    pthread_mutex_unlock(&q->mu);
    return fits;
}

void log_queue_event(struct log_queue *q, const char *level, const char *event, ...)
{
    va_list ap;
    va_start(ap, event);
    CLEANUP(cleanup_free) char *line = log_text(level, event, ap);
    va_end(ap);
    if (line)
        log_queue_put(q, line, strlen(line));
}

CLEANUP_DEFINE(struct log_queue, log_queue_free);

enum err_code log_queue_new(struct log_queue **ret, struct err *e)
{
    CLEANUP(log_queue_free_p) struct log_queue *q = calloc(1, sizeof *q);
    if (!q)
        return err_set(e, ERR_NOMEM, "no memory for the log");
    pthread_mutex_init(&q->mu, NULL);
    pthread_cond_init(&q->wanted, NULL);
    pthread_cond_init(&q->hurry, NULL);
    q->filling.text = malloc(LOG_QUEUE_BYTES);
    q->draining.text = malloc(LOG_QUEUE_BYTES);
    if (!q->filling.text || !q->draining.text)
        return err_set(e, ERR_NOMEM, "no memory for the log");
    int failed = pthread_create(&q->thread, NULL, run, q);
    if (failed)
        return err_errno(e, failed, "cannot start the log's thread");
    q->started = true;
    *ret = STEAL(q);
    return ERR_OK;
}

static void end_thread(struct log_queue *q)
{
    pthread_mutex_lock(&q->mu);
    q->stopping = true;
    pthread_cond_signal(&q->wanted);
    pthread_cond_signal(&q->hurry);
    pthread_mutex_unlock(&q->mu);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CANCEL_SECONDS;
    if (pthread_timedjoin_np(q->thread, NULL, &until) == 0)
        return;
    pthread_cancel(q->thread);
    pthread_join(q->thread, NULL);
}

void log_queue_free(struct log_queue *q)
{
    if (!q)
        return;
    if (q->started)
        end_thread(q);
    pthread_cond_destroy(&q->wanted);
    pthread_cond_destroy(&q->hurry);
    pthread_mutex_destroy(&q->mu);
    free(q->filling.text);
    free(q->draining.text);
    free(q);
}

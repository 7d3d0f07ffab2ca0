/* log_queue.h -- lines for standard error from threads that must not wait for its reader.
 *
 * A bounded buffer and a thread that writes: when nobody reads, the buffer fills, and what does not
 * fit is dropped and counted; once there is room again a line says how many were lost. A line is
 * one write(2), as log_event()'s are. Threads: log_queue_put() and log_queue_event() any; they hold
 * a lock for a copy of the line. */
#ifndef KENNEL_LOG_QUEUE_H
#define KENNEL_LOG_QUEUE_H

#include "data/base/err.h"

struct log_queue;

enum {
    LOG_QUEUE_BYTES = 1 << 20,
    LOG_LINE_MAX = 4096 /* POSIX's smallest atomic write to a pipe is less; Linux' is this */
};

enum err_code log_queue_new(struct log_queue **ret, struct err *e) MUST_USE;
/* Writes what is left, for a second at most: a reader that has stalled does not hold up the end. */
void log_queue_free(struct log_queue *q);

/* line: whole, with its newline, at most LOG_LINE_MAX bytes. False: dropped. */
bool log_queue_put(struct log_queue *q, const char *line, size_t len);
/* As log_event(). */
void log_queue_event(struct log_queue *q, const char *level, const char *event, ...)
    __attribute__((sentinel));

#endif

/* log.h -- one JSON line per event on standard error.
 *
 * Only the edges log (the HTTP layer, the job runner, main); libraries return
 * errors. A line is lost when the reader of standard error has stalled for a second; threads that
 * must not wait even for that have data/base/log_queue.h. Fields are key, value string pairs ended
 * by NULL. Threads: any; a line is one write(2), so lines never mix. */
#ifndef KENNEL_LOG_H
#define KENNEL_LOG_H

#include <stdarg.h>

/* log_event("info", "listening", "address", "127.0.0.1:5001", NULL) ->
 * {"time":"...","level":"info","event":"listening","address":"127.0.0.1:5001"} */
void log_event(const char *level, const char *event, ...) __attribute__((sentinel));

/* The line, with its newline; the caller frees it. NULL: no memory. */
char *log_text(const char *level, const char *event, va_list ap);

#endif

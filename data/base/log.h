/* log.h -- one JSON line per event on standard error.
 *
 * Only the edges log (the HTTP layer, the job runner, main); libraries return
 * errors. Fields are key, value string pairs ended by NULL. Threads: any; a line is
 * one write(2), so lines never mix. */
#ifndef KENNEL_LOG_H
#define KENNEL_LOG_H

/* log_event("info", "listening", "address", "127.0.0.1:5001", NULL) ->
 * {"time":"...","level":"info","event":"listening","address":"127.0.0.1:5001"} */
void log_event(const char *level, const char *event, ...) __attribute__((sentinel));

#endif

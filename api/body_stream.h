/* body_stream.h -- a bounded ring between the HTTP thread and the task that reads an upload.
 *
 * The HTTP thread never waits: what does not fit stays in the socket, and the connection is
 * suspended until wake() says that there is room. So an upload of any size takes the ring's memory.
 * Invariant: wake() is called at the reader's first read and when a full ring has room again, never
 * with the lock held.
 * Threads: one writer (_write, _end, _abort), one reader (_read, _close). */
#ifndef KENNEL_BODY_STREAM_H
#define KENNEL_BODY_STREAM_H

#include "data/base/err.h"

#include <stdint.h>
#include <sys/types.h>

struct body_stream;

/* gone: the sender has hung up and nothing of what it sent is left to be read. Asked about once a
 * second while the reader waits, on its thread, without the lock: the HTTP library may not notice
 * a hang-up that came together with bytes before its own time-out. */
enum err_code body_stream_new(size_t capacity, void (*wake)(void *context),
                              bool (*gone)(void *context), void *context, struct body_stream **ret,
                              struct err *e) MUST_USE;
void body_stream_free(struct body_stream *s);

/* Takes as many bytes as fit and returns how many; all of them (thrown away) once the reader has
 * closed or the stream was aborted. */
size_t body_stream_write(struct body_stream *s, const void *bytes, size_t len);
/* The reader has begun to read. */
bool body_stream_wanted(struct body_stream *s);
void body_stream_end(struct body_stream *s);
/* The reader gets this refusal after at most what it holds already; the first one counts. */
void body_stream_abort(struct body_stream *s, const struct err *reason);

/* An archive_read_fn whose context is the stream: waits for bytes; 0 at the end, -1 with *e set.
 * A sender slower than 1 KiB/s beyond the first minute is refused, so that it cannot hold a task
 * thread for ever. */
ssize_t body_stream_read(void *stream, void *bytes, size_t len, struct err *e);
/* Nothing more is read. Wakes nobody: who closes then finishes the request, which does. */
void body_stream_close(struct body_stream *s);

#endif

/* buf.h -- a growable byte buffer with a cap.
 *
 * Every byte that comes from outside is collected in one of these, so that no
 * input can take more memory than its limit.
 * Invariants: len <= cap <= max; data[len] is a zero byte once anything was
 * appended, so text can be used as a C string. Threads: one owner at a time. */
#ifndef KENNEL_BUF_H
#define KENNEL_BUF_H

#include "data/base/err.h"

#include <stdint.h>

struct buf {
    uint8_t *data; /* owned; NULL while empty */
    size_t len;    /* bytes */
    size_t cap;    /* bytes that fit without growing */
    size_t max;    /* cap's limit; an append past it is refused */
};

/* An empty buffer that will hold at most max bytes. No allocation. */
void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
/* Forgets the content, keeps the memory. */
void buf_reset(struct buf *b);

/* ERR_BODY_TOO_LARGE when max would be passed (nothing is appended), ERR_NOMEM. */
enum err_code buf_append(struct buf *b, const void *bytes, size_t len, struct err *e) MUST_USE;
enum err_code buf_printf(struct buf *b, struct err *e, const char *format, ...) MUST_USE
    __attribute__((format(printf, 3, 4)));
/* Room for len more bytes behind data + len; the caller writes there and adds to
 * len itself, then calls buf_terminate(). */
enum err_code buf_reserve(struct buf *b, size_t len, struct err *e) MUST_USE;
void buf_terminate(struct buf *b);

#endif

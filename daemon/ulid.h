/* ulid.h -- names of jobs that sort by age: 48 bits of Unix milliseconds and 80 random bits as 26
 * letters of Crockford's base 32, lower case (github.com/ulid/spec). Within one millisecond, and
 * when the clock steps back, the last name plus one is given, so that a source's names only rise.
 * Threads: any. */
#ifndef KENNEL_ULID_H
#define KENNEL_ULID_H

#include "data/base/err.h"

#include <pthread.h>
#include <stdint.h>

enum { ULID_TEXT = 27 };

struct ulid_source {
    pthread_mutex_t mu;
    uint8_t last[16]; /* big-endian; guarded by mu */
};

void ulid_source_init(struct ulid_source *s);
void ulid_source_fini(struct ulid_source *s);
/* ERR_INTERNAL when the system gives no random bytes. */
enum err_code ulid_next(struct ulid_source *s, int64_t utc_ms, char ret[ULID_TEXT], struct err *e)
    MUST_USE;

#endif

/* idempotency.h -- requests that may be sent again: the same key and the same request give the same
 * job (the Idempotency-Key header, draft-ietf-httpapi-idempotency-key-header).
 *
 * A key belongs to the one who sent it and is kept for IDEMPOTENCY_DAYS. Both functions run in the
 * write transaction that makes the job, so of two requests at once exactly one makes it.
 * Threads: the transaction's. */
#ifndef KENNEL_IDEMPOTENCY_H
#define KENNEL_IDEMPOTENCY_H

#include "daemon/db.h"
#include "daemon/ulid.h"

enum { IDEMPOTENCY_KEY_MAX = 255, IDEMPOTENCY_DAYS = 7 };

struct idempotency {
    const char *who, *key;
    struct digest request; /* of everything that was asked */
};

/* The job of an earlier request; an empty text when there was none. ERR_IDEMPOTENCY_REUSED when
 * the key came with another request. */
enum err_code idempotency_find(struct db_tx *t, const struct idempotency *i, char ret[ULID_TEXT],
                               struct err *e) MUST_USE;
/* Keeps the key, and forgets those that are too old. */
enum err_code idempotency_add(struct db_tx *t, const struct idempotency *i, const char *job,
                              struct err *e) MUST_USE;

#endif

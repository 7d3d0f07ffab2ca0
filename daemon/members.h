/* members.h -- the pictures of a dataset inside a write transaction, and the version that seals a
 * change of them.
 *
 * A change is: members_begin(), rows of `member` with added or removed = number, members_seal().
 * Private to datasets.c and import.c.
 * Threads: the transaction's. */
#ifndef KENNEL_MEMBERS_H
#define KENNEL_MEMBERS_H

#include "daemon/db.h"
#include "daemon/state.h"
#include "data/image.h"
#include "data/layout.h"

struct members_change {
    const char *name;  /* of the dataset */
    const char *cause; /* "import", "put", "delete" */
    const char *who;
    int64_t dataset; /* its id */
    int64_t number;  /* of the version to be made */
    int64_t added, removed, duplicates, rejected;
};

struct members_picture {
    struct digest digest;
    uint64_t bytes;
    enum image_format format;
    int width, height;
};

const char *members_format_text(enum image_format format);

/* The id of a dataset. ERR_DATASET_UNKNOWN. */
enum err_code members_dataset(struct db_tx *t, const char *name, int64_t *ret, struct err *e)
    MUST_USE;
/* The latest version's number; 0: none. */
enum err_code members_latest(struct db_tx *t, int64_t dataset, int64_t *ret, struct err *e)
    MUST_USE;

/* Fills dataset and number from name. */
enum err_code members_begin(struct db_tx *t, struct members_change *c, struct err *e) MUST_USE;
enum err_code members_add(struct db_tx *t, const struct members_change *c,
                          const struct members_picture *p, const char *label, enum split split,
                          struct err *e) MUST_USE;
/* Writes the manifest (a durable blob when this returns), the version's row and the audit line.
 * ERR_LABELS_TOO_MANY. */
enum err_code members_seal(struct db_tx *t, struct state *s, const struct members_change *c,
                           struct err *e) MUST_USE;

#endif

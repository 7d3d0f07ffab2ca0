/* manifest.h -- an immutable dataset version as text, and back.
 *
 * Format: one line a picture, `DIGEST<TAB>SPLIT<TAB>LABEL\n`, sorted by digest, no digest
 * twice. Its SHA-256 is the dataset version's digest, so equal content has an equal
 * digest however it came about.
 * Threads: plain data, one owner. */
#ifndef KENNEL_MANIFEST_H
#define KENNEL_MANIFEST_H

#include "data/base/buf.h"
#include "data/layout.h"

struct manifest_item {
    struct digest picture;
    enum split split; /* never SPLIT_AUTO */
    int label;        /* index into labels */
};

struct manifest {
    struct manifest_item *items; /* count of them, sorted by digest */
    size_t count;
    char **labels; /* label_count names in byte order; all that occur in any split */
    int label_count;
};

/* One line, appended. Lines must be added in the order of their digests. */
enum err_code manifest_line(struct buf *ret, const struct digest *picture, enum split split,
                            const char *label, struct err *e) MUST_USE;

/* ERR_BLOB_CORRUPT naming the line. */
enum err_code manifest_parse(const char *text, size_t len, struct manifest *ret, struct err *e)
    MUST_USE;
void manifest_fini(struct manifest *m);

#endif

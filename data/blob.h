/* blob.h -- content-addressed files: ROOT/sha256/ab/abcdef...
 *
 * Invariants: a file under its final name is whole and has that digest (it is written
 * as ROOT/tmp/..., then renamed); a put of what is there already writes nothing (a file of the
 * wrong size, as a power cut can leave it, is not there: it is replaced).
 * blobs_put() is not yet durable: call blobs_sync() before committing a row that names
 * the blob, so that no row ever names a missing one. What a crash leaves unnamed is
 * found with blobs_walk().
 * Threads: any; the store is immutable after opening, the file system does the rest. */
#ifndef KENNEL_BLOB_H
#define KENNEL_BLOB_H

#include "data/base/buf.h"
#include "data/base/digest.h"

struct blobs;
struct blob_writer;

/* Opens or creates the store; empties ROOT/tmp when sweep is set (only the one daemon
 * that owns the state folder does that). */
enum err_code blobs_open(const char *root, bool sweep, struct blobs **ret, struct err *e) MUST_USE;
void blobs_close(struct blobs *b);

enum err_code blobs_put(struct blobs *b, const void *bytes, size_t len, struct digest *ret,
                        struct err *e) MUST_USE;
/* Everything put before is on the disk when this returns (one syncfs(2) for many). */
enum err_code blobs_sync(struct blobs *b, struct err *e) MUST_USE;

/* Streamed put. _end() takes the writer whatever it returns; _abort() drops it (NULL is
 * fine). */
enum err_code blob_writer_new(struct blobs *b, struct blob_writer **ret, struct err *e) MUST_USE;
enum err_code blob_writer_add(struct blob_writer *w, const void *bytes, size_t len, struct err *e)
    MUST_USE;
enum err_code blob_writer_end(struct blob_writer *w, struct digest *ret, struct err *e) MUST_USE;
void blob_writer_abort(struct blob_writer *w);

/* Appends the blob to ret. ERR_BLOB_MISSING, ERR_BLOB_CORRUPT when verify is set and the
 * content does not have the digest, ERR_BODY_TOO_LARGE past ret->max. */
enum err_code blobs_get(struct blobs *b, const struct digest *d, bool verify, struct buf *ret,
                        struct err *e) MUST_USE;
/* The file, for reading; the caller closes *ret. ERR_BLOB_MISSING. */
enum err_code blobs_open_one(struct blobs *b, const struct digest *d, int *ret, uint64_t *ret_size,
                             struct err *e) MUST_USE;
bool blobs_has(struct blobs *b, const struct digest *d);
/* The path of the file; the caller owns *ret. */
enum err_code blobs_path(struct blobs *b, const struct digest *d, char **ret, struct err *e)
    MUST_USE;
/* A missing blob is no error. */
enum err_code blobs_remove(struct blobs *b, const struct digest *d, struct err *e) MUST_USE;

/* Calls fn for each blob, in no order; stops at its first error and returns that. */
typedef enum err_code (*blob_visit)(void *context, const struct digest *d, struct err *e);
enum err_code blobs_walk(struct blobs *b, blob_visit fn, void *context, struct err *e) MUST_USE;

#endif

/* pack.h -- a stream of files one behind another, as a tar archive: of our own making, so without
 * the caution and the limits of archive.h, and with files of any size, in constant memory.
 *
 * The same files give the same bytes, and their number is known before: pack_file_bytes() of each
 * and PACK_END_BYTES.
 * Threads: one a writer or reader. */
#ifndef KENNEL_PACK_H
#define KENNEL_PACK_H

#include "data/archive.h"
#include "data/base/cleanup.h"

struct pack_writer;
struct pack_reader;

enum { PACK_BLOCK = 512, PACK_END_BYTES = 2 * PACK_BLOCK, PACK_PATH_MAX = 100 };

static inline uint64_t pack_file_bytes(uint64_t size)
{
    return PACK_BLOCK + (size + PACK_BLOCK - 1) / PACK_BLOCK * PACK_BLOCK;
}

/* Takes all of it or fails; its error is then that of the call that wrote. */
typedef enum err_code (*pack_write_fn)(void *context, const void *bytes, size_t len, struct err *e);

enum err_code pack_writer_new(pack_write_fn write, void *context, struct pack_writer **ret,
                              struct err *e) MUST_USE;
/* path: below PACK_PATH_MAX bytes. Then exactly size bytes are added. */
enum err_code pack_file(struct pack_writer *w, const char *path, uint64_t size, struct err *e)
    MUST_USE;
enum err_code pack_add(struct pack_writer *w, const void *bytes, size_t len, struct err *e)
    MUST_USE;
enum err_code pack_end(struct pack_writer *w, struct err *e) MUST_USE;
/* NULL is fine. */
void pack_writer_free(struct pack_writer *w);

enum err_code pack_reader_new(archive_read_fn read, void *context, struct pack_reader **ret,
                              struct err *e) MUST_USE;
/* The next file's path, borrowed until the next call; NULL at the end. What is no regular file is
 * ERR_ARCHIVE_FORMAT. ERR_ARCHIVE_TRUNCATED, ERR_ARCHIVE_CORRUPT. */
enum err_code pack_next(struct pack_reader *r, const char **ret_path, uint64_t *ret_size,
                        struct err *e) MUST_USE;
/* Of the present file; *ret 0 at its end. */
enum err_code pack_read(struct pack_reader *r, void *bytes, size_t len, size_t *ret, struct err *e)
    MUST_USE;
/* NULL is fine. */
void pack_reader_free(struct pack_reader *r);

CLEANUP_DEFINE(struct pack_writer, pack_writer_free);
CLEANUP_DEFINE(struct pack_reader, pack_reader_free);

#endif

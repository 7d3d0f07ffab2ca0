/* zip_directory.h -- what the directory at the end of a zip says about its members.
 *
 * Takes the bytes behind the last member, in pieces of any size, and holds one record's head. What
 * stands before the first record (the tail of a last folder's member) is passed over.
 * APPNOTE 6.3.10, 4.3.12 to 4.3.16. Private to archive.c. */
#ifndef KENNEL_ZIP_DIRECTORY_H
#define KENNEL_ZIP_DIRECTORY_H

#include "data/base/err.h"

#include <stdint.h>

enum { ZIP_RECORD_HEAD = 46, ZIP_NAME_KEPT = 128 };

struct zip_directory {
    uint8_t head[ZIP_RECORD_HEAD + ZIP_NAME_KEPT]; /* of the record being read */
    uint32_t have;                                 /* bytes of it */
    uint32_t need;                                 /* bytes of it that are wanted next */
    uint32_t skip;                                 /* bytes to pass over before the next record */
    uint64_t members;
    bool started; /* the first record was found */
    bool ended;
};

void zip_directory_init(struct zip_directory *d);
/* ERR_ARCHIVE_LINK, _DEVICE by the mode that Unix tools store; ERR_ARCHIVE_CORRUPT. */
enum err_code zip_directory_add(struct zip_directory *d, const uint8_t *bytes, size_t len,
                                struct err *e) MUST_USE;
/* At the end of the stream. members: how many the stream had. ERR_ARCHIVE_TRUNCATED, _CORRUPT. */
enum err_code zip_directory_end(const struct zip_directory *d, uint64_t members, struct err *e)
    MUST_USE;

#endif

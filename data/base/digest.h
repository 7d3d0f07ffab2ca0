/* digest.h -- SHA-256 (FIPS 180-4), the name of every blob.
 *
 * In text a digest is 64 lower-case hexadecimal digits. Threads: any; a struct
 * digest_stream has one owner. */
#ifndef KENNEL_DIGEST_H
#define KENNEL_DIGEST_H

#include "data/base/err.h"

#include <stdint.h>

enum { DIGEST_BYTES = 32, DIGEST_HEX = 64 };

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

struct digest_stream;

enum err_code digest_of(const void *bytes, size_t len, struct digest *ret, struct err *e) MUST_USE;

enum err_code digest_stream_new(struct digest_stream **ret, struct err *e) MUST_USE;
enum err_code digest_stream_add(struct digest_stream *s, const void *bytes, size_t len,
                                struct err *e) MUST_USE;
/* What has been added since _new(). The stream stays to be freed. */
void digest_stream_end(struct digest_stream *s, struct digest *ret);
void digest_stream_free(struct digest_stream *s);

void digest_hex(const struct digest *d, char ret[DIGEST_HEX + 1]);
/* False (ret untouched) unless text is exactly 64 lower-case hex digits. */
bool digest_parse(const char *text, struct digest *ret);
int digest_compare(const struct digest *a, const struct digest *b);

#endif

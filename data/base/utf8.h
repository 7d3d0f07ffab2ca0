/* utf8.h -- well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates).
 *
 * Names from archives are any bytes; what goes into JSON must be UTF-8. Threads: any. */
#ifndef KENNEL_UTF8_H
#define KENNEL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes (1..4) of the sequence that text, len bytes long, begins with, and its code point; 0
 * (ret untouched) when it begins with none. */
size_t utf8_next(const char *text, size_t len, uint32_t *ret);

/* C0, DEL, C1. */
bool utf8_is_control(uint32_t code_point);

#endif

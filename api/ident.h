/* ident.h -- identifiers that nobody can guess, and those that callers bring along.
 * Threads: any. */
#ifndef KENNEL_IDENT_H
#define KENNEL_IDENT_H

#include "data/base/err.h"

enum { IDENT_TEXT = 32, IDENT_MAX = 64 };

/* 128 random bits as 32 hexadecimal digits. */
enum err_code ident_random(char ret[IDENT_TEXT + 1], struct err *e) MUST_USE;
/* 1 to IDENT_MAX of letters, digits and -_.:@+/= : safe in a log, a header, a database. */
bool ident_is_sane(const char *text);

#endif

/* memory_limit.h -- private to worker: what a job may take of memory, and a reason where it was too
 * little.
 *
 * Of memory that is written to, not of addresses: threads reserve much that they never touch
 * (RLIMIT_DATA). Whoever asks for an allocation past it is refused, and this program says so; but
 * there are libraries that write to what they were refused (oneDNN to its code). Such a crash with
 * little of the limit left is told as what it is, and not tried again.
 * Threads: memory_limit_set() once, before there are others. */
#ifndef KENNEL_MEMORY_LIMIT_H
#define KENNEL_MEMORY_LIMIT_H

#include "data/base/err.h"

#include <stdint.h>

/* A crash with less than this left is for want of memory. */
enum { MEMORY_LIMIT_LITTLE = 16 << 20 };

/* From here on this process has at most that many bytes; a crash for want of them writes
 * {"error":{"code":"no_memory",...}} to standard output and exits with status 1. */
enum err_code memory_limit_set(int64_t bytes, struct err *e) MUST_USE;

#endif

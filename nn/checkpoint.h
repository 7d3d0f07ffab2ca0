/* checkpoint.h -- where a training stands, in a file that is whole or not there.
 *
 *   "KNLCKPT1"                    8 bytes
 *   length of the header          u64, then the header: a JSON object, any
 *   for each array: its length in floats, u64, and the floats
 *   CRC-32 of all before it       u32
 * Numbers are of the machine that wrote it: a checkpoint is gone on with where it was made. The
 * arrays are written from where they stand, so that it costs no memory.
 * Threads: any; one writer a path. */
#ifndef KENNEL_CHECKPOINT_H
#define KENNEL_CHECKPOINT_H

#include "data/base/err.h"

#include <jansson.h>

struct checkpoint_array {
    float *data;
    size_t count;
};

/* Replaces path durably (written beside it, synced, renamed). On failure path is as it was. */
enum err_code checkpoint_write(const char *path, const json_t *header,
                               const struct checkpoint_array *arrays, size_t count, struct err *e)
    MUST_USE;

/* *ret_header is a new object, or NULL with ERR_OK when there is no sound checkpoint at path: none
 * at all, cut short, changed. Its arrays are left for checkpoint_read(). */
enum err_code checkpoint_header(const char *path, json_t **ret_header, struct err *e) MUST_USE;

/* Into the arrays as they were written; ERR_INTERNAL when number or lengths are others, ERR_IO.
 * What the arrays hold after a failure is undefined. */
enum err_code checkpoint_read(const char *path, const struct checkpoint_array *arrays, size_t count,
                              struct err *e) MUST_USE;

#endif

/* feature_cache.h -- feature vectors that were computed once, kept on disk.
 *
 * One append-only file per key: FOLDER/KEY. The key is a digest over everything that
 * decides the numbers (backbone digest, feature tensor, preprocessing, instruction set,
 * oneDNN version), the record's key is (picture digest, view).
 * File: a header (magic, format version, vector width, key), then records of fixed size
 * (picture digest, view, width x float32 little-endian, CRC-32 over all of it). A record
 * whose checksum is wrong is as if it were not there; a torn tail is cut off by the next
 * writer. One writer at a time (flock), any number of readers.
 * A failed append (full disk) leaves what was there readable. The file's time is that of its last
 * opening or append, by which data/feature_folder.h removes files.
 * Threads: one owner at a time. */
#ifndef KENNEL_FEATURE_CACHE_H
#define KENNEL_FEATURE_CACHE_H

#include "data/base/digest.h"

struct feature_cache;

/* Opens or creates; reads the index of what is there. width: floats a vector. ERR_BUSY
 * when another process holds the writer's lock for longer than wait_ms. */
enum err_code feature_cache_open(const char *folder, const struct digest *key, int width,
                                 int wait_ms, struct feature_cache **ret, struct err *e) MUST_USE;
void feature_cache_close(struct feature_cache *c);

/* True and ret[width] filled when there is a sound record. */
bool feature_cache_get(struct feature_cache *c, const struct digest *picture, int view, float *ret);
/* Buffered; written out in large pieces and by _flush(). */
enum err_code feature_cache_put(struct feature_cache *c, const struct digest *picture, int view,
                                const float *vector, struct err *e) MUST_USE;
/* To the disk (fsync). */
enum err_code feature_cache_flush(struct feature_cache *c, struct err *e) MUST_USE;
/* Lets the next writer in. What is there can still be read; a put is then ERR_BUSY. Flushes. */
enum err_code feature_cache_share(struct feature_cache *c, struct err *e) MUST_USE;
/* A damaged record counts until it was asked for once. */
size_t feature_cache_count(const struct feature_cache *c);

#endif

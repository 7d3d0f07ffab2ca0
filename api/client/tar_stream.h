/* tar_stream.h -- a folder as a tar archive, made while it is sent: nothing is written to the disk.
 *
 * Regular files only, in the order of their names, with paths relative to the folder; hidden files
 * and symbolic links are left out. Memory: one file's piece. */
#ifndef KENNEL_CLIENT_TAR_STREAM_H
#define KENNEL_CLIENT_TAR_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tar_stream;

/* NULL after a message on standard error. */
struct tar_stream *tar_stream_new(const char *folder);
void tar_stream_free(struct tar_stream *t);
/* About how many bytes it will be, and the files. */
int64_t tar_stream_size(const struct tar_stream *t);
int64_t tar_stream_files(const struct tar_stream *t);
/* 0 at the end, -1 after a message. */
ssize_t tar_stream_read(void *stream, void *bytes, size_t len);

#endif

/* source.h -- a set of labelled pictures as files: what `kennel-render` writes, one by one.
 *
 * File `index` is a function of the options and index. Threads: one owner. */
#ifndef KENNEL_RENDER_SOURCE_H
#define KENNEL_RENDER_SOURCE_H

#include "data/base/buf.h"

enum source_kind { SOURCE_SURFACE, SOURCE_STREAM };

enum {
    SOURCE_SIZE_MIN = 32,
    SOURCE_SIZE_MAX = 1024,
    SOURCE_CLASSES_MAX = 10000,
    SOURCE_PATH = 64,
    SOURCE_FILE_MAX = 8 << 20, /* bytes; more than the largest picture takes */
};

struct source_options {
    enum source_kind kind;
    uint64_t seed;
    int size;        /* pixels of a side, SOURCE_SIZE_MIN..SOURCE_SIZE_MAX */
    int classes;     /* of the stream, 2..SOURCE_CLASSES_MAX; the surface set has its own */
    int val_percent; /* of each class's pictures, spread evenly, 0..99 */
};

struct source;

/* ERR_FIELD_RANGE naming the option. */
enum err_code source_new(const struct source_options *o, struct source **ret, struct err *e)
    MUST_USE;
void source_free(struct source *s);

/* SPLIT/LABEL/NUMBER.jpg, and the file appended to ret. */
enum err_code source_file(struct source *s, uint64_t index, char ret_path[SOURCE_PATH],
                          struct buf *ret, struct err *e) MUST_USE;

#endif

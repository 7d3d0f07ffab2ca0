/* labels.h -- class names as a model file's metadata holds them: a JSON array of text.
 * Threads: plain data, one owner. */
#ifndef KENNEL_LABELS_H
#define KENNEL_LABELS_H

#include "data/base/buf.h"

struct labels {
    char **names; /* owned, [count] */
    int count;
};

/* text may be NULL: the file has none. ERR_ONNX_GRAPH saying what is wrong. */
enum err_code labels_parse(const char *text, struct labels *ret, struct err *e) MUST_USE;
void labels_fini(struct labels *l);

/* Appends the JSON text; equal labels give equal bytes. */
enum err_code labels_write(const char *const *names, int count, struct buf *ret, struct err *e)
    MUST_USE;

#endif

/* layout.h -- what a path inside an upload says: [.../](train|val|test)/LABEL/FILE or
 * LABEL/FILE; and the stable split for pictures that come without one. */
#ifndef KENNEL_LAYOUT_H
#define KENNEL_LAYOUT_H

#include "data/base/digest.h"

enum split { SPLIT_TRAIN, SPLIT_VAL, SPLIT_TEST, SPLIT_AUTO };

enum { LABEL_MAX = 200 }; /* bytes; UTF-8, no control characters, no '/' */

struct layout {
    enum split split; /* SPLIT_AUTO when the path names none */
    char label[LABEL_MAX + 1];
};

/* ERR_LAYOUT with what was expected. ret_skip is set for what archivers add and nobody
 * means (.DS_Store, Thumbs.db, __MACOSX/, ._*). */
enum err_code layout_parse(const char *path, struct layout *ret, bool *ret_skip, struct err *e)
    MUST_USE;
enum err_code layout_check_label(const char *label, struct err *e) MUST_USE;

/* SPLIT_VAL for one picture in five, by the content alone: the same picture always falls
 * on the same side, in every dataset and on every machine. */
enum split layout_auto_split(const struct digest *picture);

/* "train", "val", "test"; NULL for SPLIT_AUTO. */
const char *split_text(enum split s);
bool split_parse(const char *text, enum split *ret);

#endif

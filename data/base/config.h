/* config.h -- settings from a file, one `NAME = VALUE` a line.
 *
 * Blanks around name and value do not count, nor do empty lines and those that begin with #. A
 * value goes to the end of its line. Threads: any. */
#ifndef KENNEL_CONFIG_H
#define KENNEL_CONFIG_H

#include "data/base/buf.h"

/* Called for each line in turn; name and value live as long as the text does. */
typedef enum err_code (*config_take)(void *context, const char *name, const char *value,
                                     struct err *e);

/* Reads the file into *ret_text (to be given to buf_fini() in any case) and hands its lines to
 * take. ERR_IO when it cannot be read, ERR_FIELD_RANGE for a line without `=`, and what take
 * refuses; all name the file and the line. */
enum err_code config_read(const char *path, config_take take, void *context, struct buf *ret_text,
                          struct err *e) MUST_USE;

#endif

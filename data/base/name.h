/* name.h -- the rule for names that users give to datasets, backbones, models and
 * aliases: 1 to 64 of a-z A-Z 0-9 . _ -, beginning with a letter or digit. Such a name
 * needs no escaping in a path, a URL or a label of a metric. */
#ifndef KENNEL_NAME_H
#define KENNEL_NAME_H

#include "data/base/err.h"

/* what says whose name it is ("dataset name"). ERR_NAME_SYNTAX. */
enum err_code name_check(const char *name, const char *what, struct err *e) MUST_USE;

#endif

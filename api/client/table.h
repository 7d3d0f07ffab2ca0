/* table.h -- aligned columns on standard output. */
#ifndef KENNEL_CLIENT_TABLE_H
#define KENNEL_CLIENT_TABLE_H

#include <jansson.h>

enum { TABLE_COLUMNS = 9 };

struct table {
    int columns;
    size_t count;
    char **cells; /* owned, [count], row after row, each owned */
};

/* The heads of the columns, ended by NULL. */
void table_init(struct table *t, ...) __attribute__((sentinel));
void table_fini(struct table *t);
/* A cell more, row after row. Without memory it stays empty. */
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A member of a JSON object: text as it is, numbers, "-" for null or none. */
void table_member(struct table *t, const json_t *object, const char *name);
void table_print(const struct table *t);

/* "name  value" lines of an object's plain members, in their order; objects and arrays inside are
 * written as JSON. */
void table_print_object(const json_t *object);

#endif

/* json.h -- JSON from outside, read strictly; and small conveniences to build it.
 *
 * Text is parsed with a depth limit; an object's members are then taken by a
 * table of fields, so that a wrong type, a value out of range, a missing or an
 * unknown member is a refusal that names the member. jansson holds the values.
 * Threads: any; a json_t has one owner at a time. */
#ifndef KENNEL_JSON_H
#define KENNEL_JSON_H

#include "data/base/buf.h"

#include <jansson.h>
#include <stdint.h>

/* The depth that every document of ours keeps far below. */
enum { JSON_DEPTH_MAX = 32 };

/* Parses one JSON value and nothing behind it. The caller owns *ret. ERR_JSON_SYNTAX
 * (with line and column), ERR_JSON_DEPTH. */
enum err_code json_read(const char *text, size_t len, json_t **ret, struct err *e) MUST_USE;

/* The same with at most `values` values in it, counted before any is made: numbers in a list take
 * many times the memory of their text. ERR_JSON_VALUES too. */
enum err_code json_read_values(const char *text, size_t len, size_t values, json_t **ret,
                               struct err *e) MUST_USE;

enum json_kind {
    JSON_KIND_STRING, /* into: const char *  (borrowed from the object) */
    JSON_KIND_INT,    /* into: int64_t */
    JSON_KIND_REAL,   /* into: double; an integer is taken too */
    JSON_KIND_BOOL,   /* into: bool */
    JSON_KIND_OBJECT, /* into: json_t *  (borrowed) */
    JSON_KIND_ARRAY,  /* into: json_t *  (borrowed) */
    JSON_KIND_ANY,    /* into: json_t *  (borrowed); whoever takes it checks it */
};

struct json_field {
    const char *name;
    enum json_kind kind;
    bool required;
    void *into;      /* untouched when the member is absent or null */
    double min, max; /* numbers: inclusive; strings: length in bytes; both 0: no limit */
};

/* what names the object in errors ("the request", "recipe"). A null member counts as
 * absent. Refuses members that no field names. ERR_JSON_TYPE, ERR_FIELD_UNKNOWN,
 * ERR_FIELD_MISSING, ERR_FIELD_RANGE. */
enum err_code json_take(const json_t *object, const char *what, const struct json_field *fields,
                        size_t count, struct err *e) MUST_USE;

/* Appends the compact text with sorted keys, so that equal values have equal
 * bytes. Reals are written with 17 significant digits. */
enum err_code json_write(const json_t *value, struct buf *ret, struct err *e) MUST_USE;

/* Sets a member, taking value (which may be NULL after an allocation failure).
 * ERR_NOMEM. */
enum err_code json_put(json_t *object, const char *name, json_t *value, struct err *e) MUST_USE;

static inline void json_decref_p(json_t **value)
{
    json_decref(*value);
}

#endif

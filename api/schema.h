/* schema.h -- values checked against JSON Schema, as much of it as the description of the API uses.
 *
 * Schemas live in one document and may refer to each other ("#/components/..."). Keywords that are
 * not known here are refused when the document is read, so that none is passed over: what a schema
 * says is what is checked. A schema may name the error code
 * of what is not allowed in it ("x-kennel-code"); otherwise that is ERR_FIELD_RANGE.
 * Lengths are in characters, as JSON Schema has them. Threads: schemas_new() and schemas_free()
 * alone; checks on any thread, they only read. */
#ifndef KENNEL_SCHEMA_H
#define KENNEL_SCHEMA_H

#include "data/base/json.h"

struct schemas;

/* Borrows document, which must outlive *ret. ERR_INTERNAL for what is no schema of ours: the
 * document is a part of the program. */
enum err_code schemas_new(const json_t *document, struct schemas **ret, struct err *e) MUST_USE;
void schemas_free(struct schemas *s);

/* Refuses schema, at any depth, when it uses a keyword that schemas_check() does not know. */
enum err_code schemas_know(const struct schemas *s, const json_t *schema, struct err *e) MUST_USE;

/* node, or what its $ref points at; NULL when that is nothing. */
const json_t *schemas_resolve(const struct schemas *s, const json_t *node);

/* what names the value in errors ("the request"). ERR_JSON_TYPE, ERR_FIELD_UNKNOWN,
 * ERR_FIELD_MISSING, ERR_FIELD_RANGE, or the code that the schema names. */
enum err_code schemas_check(const struct schemas *s, const json_t *schema, const json_t *value,
                            const char *what, struct err *e) MUST_USE;

/* The same for a parameter, which is text: an integer's, number's or boolean's is read first. */
enum err_code schemas_check_text(const struct schemas *s, const json_t *schema, const char *text,
                                 const char *what, struct err *e) MUST_USE;

#endif

/* retention.h -- how many versions of a model or a dataset keep their bytes. daemon/gc.h acts on
 * it. Threads: any. */
#ifndef KENNEL_RETENTION_H
#define KENNEL_RETENTION_H

#include "daemon/state.h"

#include <jansson.h>

enum retention_of { RETENTION_MODEL, RETENTION_DATASET };

enum { RETENTION_KEEP_MAX = 1000000 };

/* *ret: {"model", "keep_last": number or null, "keep_promoted"}, or {"dataset", "keep_last"}; null:
 * everything is kept. ERR_MODEL_UNKNOWN, ERR_DATASET_UNKNOWN. */
enum err_code retention_show(struct state *s, enum retention_of of, const char *name, json_t **ret,
                             struct err *e) MUST_USE;
/* keep_last 1..RETENTION_KEEP_MAX. keep_promoted: of a model alone. *ret as retention_show(). */
enum err_code retention_set(struct state *s, enum retention_of of, const char *name,
                            int64_t keep_last, bool keep_promoted, const char *who, json_t **ret,
                            struct err *e) MUST_USE;
/* From now on everything is kept. */
enum err_code retention_remove(struct state *s, enum retention_of of, const char *name,
                               const char *who, struct err *e) MUST_USE;

#endif

/* models.h -- models (a dataset, a backbone, a recipe, a gate) and their versions.
 * Threads: any. */
#ifndef KENNEL_MODELS_H
#define KENNEL_MODELS_H

#include "daemon/state.h"

#include <jansson.h>

struct db_tx;

/* The id of its row. ERR_MODEL_UNKNOWN. */
enum err_code models_find(struct db_tx *t, const char *name, int64_t *ret, struct err *e) MUST_USE;

/* recipe, gate and limits (daemon/job_limits.h) are objects or NULL; all are checked and stored
 * with every default spelled out. strip_prefix: 1 drops a leading nNNNNNNNN- from labels in
 * answers, 0 keeps it, -1 drops it when every label has one. Reply and _show: {"name", "dataset",
 * "backbone", "recipe", "gate", "limits", "strip_label_prefix" (true, false, null), "created",
 * "production": version or null, "versions": count}. ERR_NAME_TAKEN, ERR_DATASET_UNKNOWN,
 * ERR_BACKBONE_UNKNOWN, ERR_RECIPE... */
enum err_code models_create(struct state *s, const char *name, const char *dataset,
                            const char *backbone, const json_t *recipe, const json_t *gate,
                            const json_t *limits, int strip_prefix, const char *who, json_t **ret,
                            struct err *e) MUST_USE;
/* By name, those behind `after` (NULL: from the first on), at most limit (MODELS_ALL: all). */
enum { MODELS_ALL = -1 };
enum err_code models_list(struct state *s, const char *after, int64_t limit, json_t **ret,
                          struct err *e) MUST_USE;
enum err_code models_show(struct state *s, const char *name, json_t **ret, struct err *e) MUST_USE;
/* Members of change: dataset, backbone, recipe, gate, limits, strip_label_prefix; absent: as it
 * was. */
enum err_code models_patch(struct state *s, const char *name, const json_t *change, const char *who,
                           json_t **ret, struct err *e) MUST_USE;

/* Newest first; each without "report", its "metrics" without the tables per class. */
enum err_code models_versions(struct state *s, const char *name, struct state_page page,
                              json_t **ret, struct err *e) MUST_USE;
/* Numbers of those whose bytes are kept, newest first. */
enum err_code models_version_numbers(struct state *s, const char *name, json_t **ret, struct err *e)
    MUST_USE;
/* {"model", "version", "digest", "bytes", "created", "job", "requested_by", "tags", "recipe",
 *  "seed", "dataset", "dataset_version", "dataset_digest", "backbone", "backbone_digest",
 *  "duration_seconds", "purged": since when its bytes are gone or null, "aliases": [...],
 * "metrics": {...}, "gate": {decision}, "report": {...}}: metrics and report as nn/retrain.h writes
 * them, the decision as daemon/gate.h does. */
enum err_code models_version_show(struct state *s, const char *name, int64_t version, json_t **ret,
                                  struct err *e) MUST_USE;
/* The version that an alias ("production") names. ERR_MODEL_UNKNOWN, ERR_VERSION_UNKNOWN. */
enum err_code models_alias(struct state *s, const char *name, const char *alias, int64_t *ret,
                           struct err *e) MUST_USE;
/* The artifact's path; the caller owns it. */
enum err_code models_version_path(struct state *s, const char *name, int64_t version, char **ret,
                                  struct err *e) MUST_USE;

#endif

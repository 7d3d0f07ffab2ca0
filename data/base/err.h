/* err.h -- the one way a fallible function says what went wrong.
 *
 * A fallible function returns an enum err_code and, on failure, fills the
 * struct err given as its last argument (NULL is allowed: nobody wants the
 * text). Outputs are untouched on failure. A *refusal* is the caller's doing
 * (bad input, wrong state) and is told to the caller; a *fault* is ours or the
 * machine's and is also logged, once, at the edge.
 * Threads: any; nothing here is shared. */
#ifndef KENNEL_ERR_H
#define KENNEL_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))

/* X(name, slug, is_fault). The slug is the stable `code` of an HTTP problem, of
 * a rejected file and of a failed job; it is never renamed. */
#define ERR_TABLE(X)                                                                               \
    X(OK, "ok", 0)                                                                                 \
    /* requests */                                                                                 \
    X(JSON_SYNTAX, "json_syntax", 0)                                                               \
    X(JSON_DEPTH, "json_depth", 0)                                                                 \
    X(JSON_TYPE, "json_type", 0)                                                                   \
    X(FIELD_UNKNOWN, "field_unknown", 0)                                                           \
    X(FIELD_MISSING, "field_missing", 0)                                                           \
    X(FIELD_RANGE, "field_range", 0)                                                               \
    X(NAME_SYNTAX, "name_syntax", 0)                                                               \
    X(BASE64_SYNTAX, "base64_syntax", 0)                                                           \
    X(BODY_TOO_LARGE, "body_too_large", 0)                                                         \
    X(BODY_INCOMPLETE, "body_incomplete", 0)                                                       \
    X(BODY_MISSING, "body_missing", 0)                                                             \
    X(MEDIA_TYPE, "media_type", 0)                                                                 \
    X(ROUTE_UNKNOWN, "route_unknown", 0)                                                           \
    X(METHOD_NOT_ALLOWED, "method_not_allowed", 0)                                                 \
    X(PATH_FORBIDDEN, "path_forbidden", 0)                                                         \
    X(BODY_CODING, "body_coding", 0)                                                               \
    X(BODY_BOMB, "body_bomb", 0)                                                                   \
    X(JSON_VALUES, "json_values", 0)                                                               \
    X(TENSOR_UNKNOWN, "tensor_unknown", 0)                                                         \
    X(TENSOR_SHAPE, "tensor_shape", 0)                                                             \
    X(TENSOR_DATA, "tensor_data", 0)                                                               \
    X(BATCH_TOO_LARGE, "batch_too_large", 0)                                                       \
    X(KEY_MISSING, "key_missing", 0)                                                               \
    X(KEY_INVALID, "key_invalid", 0)                                                               \
    X(ROLE, "role", 0)                                                                             \
    X(ORIGIN, "origin", 0)                                                                         \
    X(RATE, "rate_limited", 0)                                                                     \
    X(KEY_UNKNOWN, "key_unknown", 0)                                                               \
    X(KEY_LIMIT, "key_limit", 0)                                                                   \
    X(KEY_ADMIN, "key_admin", 0)                                                                   \
    X(BUSY, "busy", 0)                                                                             \
    X(CLIENT_GONE, "client_gone", 0)                                                               \
    X(DEADLINE, "deadline", 0)                                                                     \
    /* pictures */                                                                                 \
    X(PICTURE_FORMAT, "picture_format", 0)                                                         \
    X(PICTURE_UNSUPPORTED, "picture_unsupported", 0)                                               \
    X(PICTURE_CORRUPT, "picture_corrupt", 0)                                                       \
    X(PICTURE_TRUNCATED, "picture_truncated", 0)                                                   \
    X(PICTURE_PIXELS, "picture_pixels", 0)                                                         \
    X(PICTURE_BYTES, "picture_bytes", 0)                                                           \
    X(PICTURE_BOMB, "picture_bomb", 0)                                                             \
    X(PICTURE_LABEL_CONFLICT, "picture_label_conflict", 0)                                         \
    X(PICTURE_UNKNOWN, "picture_unknown", 0)                                                       \
    /* archives */                                                                                 \
    X(ARCHIVE_FORMAT, "archive_format", 0)                                                         \
    X(ARCHIVE_CORRUPT, "archive_corrupt", 0)                                                       \
    X(ARCHIVE_TRUNCATED, "archive_truncated", 0)                                                   \
    X(ARCHIVE_PATH, "archive_path", 0)                                                             \
    X(ARCHIVE_LINK, "archive_link", 0)                                                             \
    X(ARCHIVE_DEVICE, "archive_device", 0)                                                         \
    X(ARCHIVE_ENTRIES, "archive_entries", 0)                                                       \
    X(ARCHIVE_BOMB, "archive_bomb", 0)                                                             \
    X(LAYOUT, "layout", 0)                                                                         \
    /* networks */                                                                                 \
    X(ONNX_SYNTAX, "onnx_syntax", 0)                                                               \
    X(ONNX_OPERATOR, "onnx_operator", 0)                                                           \
    X(ONNX_INPUT, "onnx_input", 0)                                                                 \
    X(ONNX_GRAPH, "onnx_graph", 0)                                                                 \
    X(ONNX_LIMIT, "onnx_limit", 0)                                                                 \
    X(ONNX_FEATURE, "onnx_feature", 0)                                                             \
    X(ONNX_PREPROCESS, "onnx_preprocess", 0)                                                       \
    /* the registry */                                                                             \
    X(DATASET_UNKNOWN, "dataset_unknown", 0)                                                       \
    X(BACKBONE_UNKNOWN, "backbone_unknown", 0)                                                     \
    X(MODEL_UNKNOWN, "model_unknown", 0)                                                           \
    X(VERSION_UNKNOWN, "version_unknown", 0)                                                       \
    X(JOB_UNKNOWN, "job_unknown", 0)                                                               \
    X(NAME_TAKEN, "name_taken", 0)                                                                 \
    X(DATASET_EMPTY, "dataset_empty", 0)                                                           \
    X(DATASET_ONE_CLASS, "dataset_one_class", 0)                                                   \
    X(CLASS_TOO_SMALL, "class_too_small", 0)                                                       \
    X(HOLDOUT_EMPTY, "holdout_empty", 0)                                                           \
    X(RECIPE, "recipe", 0)                                                                         \
    X(IDEMPOTENCY_REUSED, "idempotency_reused", 0)                                                 \
    X(URL, "url", 0)                                                                               \
    X(URL_FORBIDDEN, "url_forbidden", 0)                                                           \
    X(WEBHOOK_UNKNOWN, "webhook_unknown", 0)                                                       \
    X(WEBHOOKS_TOO_MANY, "webhooks_too_many", 0)                                                   \
    X(DELIVERY_UNKNOWN, "delivery_unknown", 0)                                                     \
    X(DELIVERY_STATE, "delivery_state", 0)                                                         \
    X(SCHEDULE_UNKNOWN, "schedule_unknown", 0)                                                     \
    X(CRON, "cron", 0)                                                                             \
    X(JOB_STATE, "job_state", 0)                                                                   \
    X(GATE_REFUSED, "gate_refused", 0)                                                             \
    X(ROLLBACK_EMPTY, "rollback_empty", 0)                                                         \
    X(ALIAS_UNKNOWN, "alias_unknown", 0)                                                           \
    X(ALIAS_KEPT, "alias_kept", 0)                                                                 \
    X(ROLLOUT_OPEN, "rollout_open", 0)                                                             \
    X(ROLLOUT_STATE, "rollout_state", 0)                                                           \
    X(ROLLOUT_UNKNOWN, "rollout_unknown", 0)                                                       \
    X(PREDICTION_UNKNOWN, "prediction_unknown", 0)                                                 \
    X(NOT_PROMOTED, "not_promoted", 0)                                                             \
    X(MODEL_UNLOADED, "model_unloaded", 0)                                                         \
    X(MODEL_AMBIGUOUS, "model_ambiguous", 0)                                                       \
    X(LABELS_TOO_MANY, "labels_too_many", 0)                                                       \
    X(SPOOL_FULL, "spool_full", 0)                                                                 \
    X(FOLLOWER, "follower", 0)                                                                     \
    X(CANCELLED, "cancelled", 0)                                                                   \
    /* faults */                                                                                   \
    X(NOMEM, "no_memory", 1)                                                                       \
    X(IO, "io", 1)                                                                                 \
    X(DISK_FULL, "disk_full", 1)                                                                   \
    X(BLOB_MISSING, "blob_missing", 1)                                                             \
    X(BLOB_CORRUPT, "blob_corrupt", 1)                                                             \
    X(DATABASE, "database", 1)                                                                     \
    X(DNN, "dnn", 1)                                                                               \
    X(DIVERGED, "diverged", 1)                                                                     \
    X(WORKER_DIED, "worker_died", 1)                                                               \
    X(VERSION_PURGED, "version_purged", 0)                                                         \
    X(STATE_RESTORING, "state_restoring", 0)                                                       \
    X(STATE_NOT_EMPTY, "state_not_empty", 0)                                                       \
    X(BACKUP_FORMAT, "backup_format", 0)                                                           \
    X(STATE_LOCKED, "state_locked", 1)                                                             \
    X(TRAINER, "trainer", 1)                                                                       \
    X(INTERNAL, "internal", 1)

enum err_code {
#define X(name, slug, fault) ERR_##name,
    ERR_TABLE(X)
#undef X
};

struct err {
    enum err_code code;
    char message[512];
};

/* Fills e (if any) and returns code, so that `return err_set(...)` reads well.
 * A message longer than the field is cut; it always is UTF-8 in one line (what is not is
 * replaced), so it can go into JSON as it is. e's old message may be an argument. */
enum err_code err_set(struct err *e, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum err_code err_setv(struct err *e, enum err_code code, const char *format, va_list ap)
    __attribute__((format(printf, 3, 0)));

/* As err_set(), with ": " and the text of errno_value behind the message, and
 * the code that fits it: ENOSPC, EDQUOT, EFBIG -> DISK_FULL, ENOMEM, EAGAIN -> NOMEM,
 * else IO. */
enum err_code err_errno(struct err *e, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

const char *err_slug(enum err_code code);
bool err_is_fault(enum err_code code);

/* The code with that slug; ERR_INTERNAL when there is none. */
enum err_code err_from_slug(const char *slug);

#endif

#include "api/problem.h"

#include "data/base/json.h"
#include "data/base/log.h"
#include "data/base/log_queue.h"

#include <string.h>

/* Without a default, so that a new code cannot be forgotten here. */
int problem_status(enum err_code code)
{
    switch (code) {
    case ERR_OK:
        return 200;
    case ERR_JSON_SYNTAX:
    case ERR_JSON_DEPTH:
    case ERR_JSON_TYPE:
    case ERR_FIELD_UNKNOWN:
    case ERR_FIELD_MISSING:
    case ERR_FIELD_RANGE:
    case ERR_NAME_SYNTAX:
    case ERR_BASE64_SYNTAX:
    case ERR_BODY_INCOMPLETE:
    case ERR_BODY_MISSING:
    case ERR_BODY_CODING:
    case ERR_TENSOR_UNKNOWN:
    case ERR_TENSOR_SHAPE:
    case ERR_TENSOR_DATA:
    case ERR_URL:
    case ERR_CRON:
        return 400;
    case ERR_KEY_MISSING:
    case ERR_KEY_INVALID:
        return 401;
    case ERR_PATH_FORBIDDEN:
    case ERR_ROLE:
    case ERR_ORIGIN:
        return 403;
    case ERR_ROUTE_UNKNOWN:
    case ERR_PICTURE_UNKNOWN:
    case ERR_DATASET_UNKNOWN:
    case ERR_BACKBONE_UNKNOWN:
    case ERR_MODEL_UNKNOWN:
    case ERR_VERSION_UNKNOWN:
    case ERR_JOB_UNKNOWN:
    case ERR_KEY_UNKNOWN:
    case ERR_WEBHOOK_UNKNOWN:
    case ERR_DELIVERY_UNKNOWN:
    case ERR_SCHEDULE_UNKNOWN:
    case ERR_ALIAS_UNKNOWN:
    case ERR_ROLLOUT_UNKNOWN:
    case ERR_PREDICTION_UNKNOWN:
        return 404;
    case ERR_METHOD_NOT_ALLOWED:
        return 405;
    case ERR_PICTURE_LABEL_CONFLICT:
    case ERR_NAME_TAKEN:
    case ERR_JOB_STATE:
    case ERR_WEBHOOKS_TOO_MANY:
    case ERR_DELIVERY_STATE:
    case ERR_GATE_REFUSED:
    case ERR_ROLLBACK_EMPTY:
    case ERR_ALIAS_KEPT:
    case ERR_ROLLOUT_OPEN:
    case ERR_ROLLOUT_STATE:
    case ERR_MODEL_AMBIGUOUS:
    case ERR_KEY_LIMIT:
    case ERR_KEY_ADMIN:
    case ERR_STATE_RESTORING:
    case ERR_STATE_NOT_EMPTY:
    case ERR_BACKUP_FORMAT:
        return 409;
    case ERR_VERSION_PURGED:
        return 410;
    case ERR_BODY_TOO_LARGE:
    case ERR_PICTURE_BYTES:
    case ERR_BODY_BOMB:
    case ERR_JSON_VALUES:
    case ERR_BATCH_TOO_LARGE:
        return 413;
    case ERR_MEDIA_TYPE:
        return 415;
    case ERR_PICTURE_FORMAT:
    case ERR_PICTURE_UNSUPPORTED:
    case ERR_PICTURE_CORRUPT:
    case ERR_PICTURE_TRUNCATED:
    case ERR_PICTURE_PIXELS:
    case ERR_PICTURE_BOMB:
    case ERR_ARCHIVE_FORMAT:
    case ERR_ARCHIVE_CORRUPT:
    case ERR_ARCHIVE_TRUNCATED:
    case ERR_ARCHIVE_PATH:
    case ERR_ARCHIVE_LINK:
    case ERR_ARCHIVE_DEVICE:
    case ERR_ARCHIVE_ENTRIES:
    case ERR_ARCHIVE_BOMB:
    case ERR_LAYOUT:
    case ERR_ONNX_SYNTAX:
    case ERR_ONNX_OPERATOR:
    case ERR_ONNX_INPUT:
    case ERR_ONNX_GRAPH:
    case ERR_ONNX_LIMIT:
    case ERR_ONNX_FEATURE:
    case ERR_ONNX_PREPROCESS:
    case ERR_DATASET_EMPTY:
    case ERR_DATASET_ONE_CLASS:
    case ERR_CLASS_TOO_SMALL:
    case ERR_HOLDOUT_EMPTY:
    case ERR_RECIPE:
    case ERR_IDEMPOTENCY_REUSED:
    case ERR_URL_FORBIDDEN:
    case ERR_LABELS_TOO_MANY:
        return 422;
    case ERR_FOLLOWER:
        return 421;
    case ERR_RATE:
        return 429;
    case ERR_BUSY:
    case ERR_SPOOL_FULL:
    case ERR_NOT_PROMOTED:
    case ERR_MODEL_UNLOADED:
    case ERR_CANCELLED:
    case ERR_CLIENT_GONE: /* for the record: nobody reads it */
        return 503;
    case ERR_DEADLINE:
        return 504;
    case ERR_DISK_FULL:
        return 507;
    case ERR_NOMEM:
    case ERR_IO:
    case ERR_BLOB_MISSING:
    case ERR_BLOB_CORRUPT:
    case ERR_DATABASE:
    case ERR_DNN:
    case ERR_DIVERGED:
    case ERR_WORKER_DIED:
    case ERR_STATE_LOCKED:
    case ERR_TRAINER:
    case ERR_INTERNAL:
        return 500;
    }
    return 500;
}

static const char *title(int status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 413:
        return "Content Too Large";
    case 415:
        return "Unsupported Media Type";
    case 421:
        return "Misdirected Request";
    case 422:
        return "Unprocessable Content";
    case 429:
        return "Too Many Requests";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 507:
        return "Insufficient Storage";
    default:
        return "Internal Server Error";
    }
}

static const char *fault_text(enum err_code code)
{
    if (code == ERR_DISK_FULL)
        return "the disk is full; nothing was stored";
    if (code == ERR_NOMEM)
        return "out of memory; nothing was stored";
    return "a fault inside the server; its log has the details under this request_id";
}

enum problem_form problem_form(const char *path)
{
    static const char *const families[] = { "/v1", "/v2" };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        size_t len = strlen(families[i]);
        if (strncmp(path, families[i], len) == 0 && (path[len] == '/' || path[len] == 0))
            return PROBLEM_ERROR;
    }
    return PROBLEM_DETAILS;
}

/* What the caller sent may stand in the message and need not be UTF-8. */
static json_t *detail_text(const struct err *err)
{
    json_t *detail = json_string(err_is_fault(err->code) ? fault_text(err->code) : err->message);
    return detail ? detail : json_string("the request has bytes that are not UTF-8");
}

/* Clients of these protocols tell "not there" from "not good" and no more. */
static int coarse_status(int status)
{
    return status == 409 || status == 415 || status == 422 ? 400 : status;
}

static json_t *error_json(const struct problem *p)
{
    json_t *o = json_object();
    if (o && json_object_set_new(o, "error", detail_text(p->err)) == 0)
        return o;
    json_decref(o);
    return NULL;
}

static json_t *problem_json(const struct problem *p, int status)
{
    json_t *o =
        json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title", title(status),
                  "status", status, "code", err_slug(p->err->code), "request_id", p->request_id);
    json_t *detail = detail_text(p->err);
    if (!o || !detail || json_object_set_new(o, "detail", detail) < 0 ||
        (p->extra_name && json_object_set(o, p->extra_name, p->extra) < 0)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

void problem_reply(const struct problem *p, struct reply *ret)
{
    static const char no_memory[] = "{\"type\":\"about:blank\",\"title\":\"Internal Server Error\","
                                    "\"status\":500,\"code\":\"no_memory\","
                                    "\"detail\":\"out of memory\",\"request_id\":\"\"}\n";
    static const char no_memory_error[] = "{\"error\":\"out of memory\"}\n";
    enum err_code code = p->err->code;
    bool details = p->form == PROBLEM_DETAILS;
    int status = details ? problem_status(code) : coarse_status(problem_status(code));
    if (err_is_fault(code) && p->log)
        log_queue_event(p->log, "error", "fault", "request_id", p->request_id, "route", p->route,
                        "code", err_slug(code), "detail", p->err->message, NULL);
    else if (err_is_fault(code))
        log_event("error", "fault", "request_id", p->request_id, "route", p->route, "code",
                  err_slug(code), "detail", p->err->message, NULL);

    reply_reset(ret);
    json_t *o = details ? problem_json(p, status) : error_json(p);
    if (!o || reply_json(ret, status, o, NULL)) {
        reply_reset(ret);
        if (details)
            reply_fixed(ret, 500, NULL, no_memory, sizeof no_memory - 1);
        else
            reply_fixed(ret, 500, NULL, no_memory_error, sizeof no_memory_error - 1);
    }
    ret->type = details ? "application/problem+json" : "application/json";
    json_decref(o);
    if (!details)
        reply_header(ret, "X-Kennel-Error", "%s", err_slug(code));
    if (p->allow)
        reply_header(ret, "Allow", "%s", p->allow);
    if (code == ERR_SPOOL_FULL)
        reply_header(ret, "Retry-After", "60");
    if (code == ERR_BUSY || code == ERR_CANCELLED)
        reply_header(ret, "Retry-After", "1");
    if (code == ERR_RATE)
        reply_header(ret, "Retry-After", "%d", p->retry_after);
    if (code == ERR_KEY_MISSING || code == ERR_KEY_INVALID)
        reply_header(ret, "WWW-Authenticate", "Bearer");
    if (code == ERR_NOT_PROMOTED)
        reply_header(ret, "Retry-After", "10");
}

/* Which version is production, and what other names point at. */
#include "api/request.h"
#include "api/routes.h"
#include "daemon/aliases.h"
#include "daemon/promotion.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <string.h>

enum { REASON_MAX = 1000 };

static enum err_code promote(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    enum err_code code = request_json(r, &body, e);
    if (code)
        return code;
    int64_t version = 0;
    bool force = false;
    const char *reason = NULL, *alias = "production";
    const struct json_field fields[] = {
        { .name = "version", .kind = JSON_KIND_INT, .required = true, .into = &version },
        { .name = "alias", .kind = JSON_KIND_STRING, .into = &alias },
        { .name = "force", .kind = JSON_KIND_BOOL, .into = &force },
        { .name = "reason", .kind = JSON_KIND_STRING, .into = &reason },
    };
    code = json_take(body, "the request", fields, sizeof fields / sizeof *fields, e);
    if (code)
        return code;
    json_t *moved, *decision = NULL;
    if (strcmp(alias, "production") != 0) {
        code = aliases_set(r->server->parts.state, r->server->parts.serve, request_param(r, "m"),
                           alias, version, reason, r->who, &moved, e);
        return code ? code : reply_json_take(&r->reply, 200, moved, e);
    }
    code = promotion_promote(r->server->parts.state, r->server->parts.serve, request_param(r, "m"),
                             version, force, reason, r->who, &moved, &decision, e);
    if (code) {
        r->problem_name = "gate";
        r->problem_extra = decision;
        return code;
    }
    json_decref(decision);
    return reply_json_take(&r->reply, 200, moved, e);
}

static enum err_code rollback(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    enum err_code code = request_json(r, &body, e);
    if (code)
        return code;
    const char *reason = NULL;
    const struct json_field fields[] = {
        { .name = "reason", .kind = JSON_KIND_STRING, .into = &reason },
    };
    code = json_take(body, "the request", fields, 1, e);
    json_t *moved;
    if (!code)
        code = promotion_rollback(r->server->parts.state, r->server->parts.serve,
                                  request_param(r, "m"), reason, r->who, &moved, e);
    return code ? code : reply_json_take(&r->reply, 200, moved, e);
}

static enum err_code history(struct request *r, struct err *e)
{
    json_t *all;
    enum err_code code = promotion_history(r->server->parts.state, request_param(r, "m"),
                                           request_query(r, "alias"), request_page(r), &all, e);
    return code ? code : reply_list(&r->reply, "promotions", all, e);
}

static enum err_code list_aliases(struct request *r, struct err *e)
{
    json_t *all;
    enum err_code code = aliases_list(r->server->parts.state, request_param(r, "m"), &all, e);
    return code ? code : reply_list(&r->reply, "aliases", all, e);
}

static enum err_code remove_alias(struct request *r, struct err *e)
{
    json_t *moved;
    enum err_code code =
        aliases_remove(r->server->parts.state, r->server->parts.serve, request_param(r, "m"),
                       request_param(r, "alias"), r->who, &moved, e);
    return code ? code : reply_json_take(&r->reply, 200, moved, e);
}

const struct route routes_promotion[] = {
    { "POST", "/api/v1/models/{m}/promote", BODY_JSON, RUN_TASK, promote,
      "Make a version production, or point another alias at it", ACCESS_PROMOTE },
    { "POST", "/api/v1/models/{m}/rollback", BODY_JSON_OPTIONAL, RUN_TASK, rollback,
      "Go back to the version before", ACCESS_PROMOTE },
    { "GET", "/api/v1/models/{m}/promotions", BODY_NONE, RUN_TASK, history,
      "List moves of aliases, newest first", ACCESS_TRAIN },
    { "GET", "/api/v1/models/{m}/aliases", BODY_NONE, RUN_TASK, list_aliases,
      "List a model's aliases", ACCESS_TRAIN },
    { "DELETE", "/api/v1/models/{m}/aliases/{alias}", BODY_NONE, RUN_TASK, remove_alias,
      "Remove an alias", ACCESS_PROMOTE },
    { 0 },
};

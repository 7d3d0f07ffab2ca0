/* API keys: who may do what. */
#include "api/request.h"
#include "api/routes.h"
#include "daemon/keys.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

static enum err_code create(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    enum err_code code = request_json(r, &body, e);
    if (code)
        return code;
    struct key_request q = { 0 };
    const char *role = NULL;
    const struct json_field fields[] = {
        { .name = "name", .kind = JSON_KIND_STRING, .required = true, .into = &q.name },
        { .name = "role", .kind = JSON_KIND_STRING, .required = true, .into = &role },
        { .name = "expires_in_days", .kind = JSON_KIND_INT, .into = &q.days },
        { .name = "rate", .kind = JSON_KIND_REAL, .into = &q.rate },
    };
    code = json_take(body, "the request", fields, sizeof fields / sizeof *fields, e);
    if (code)
        return code;
    if (!role_parse(role, &q.role))
        return err_set(e, ERR_FIELD_RANGE,
                       "role must be score, train, promote or admin, is \"%.40s\"", role);
    json_t *made;
    code = keys_create(r->server->parts.keys, &q, r->who, &made, e);
    return code ? code : reply_json_take(&r->reply, 201, made, e);
}

static enum err_code list(struct request *r, struct err *e)
{
    json_t *all;
    enum err_code code = keys_list(r->server->parts.keys, &all, e);
    return code ? code : reply_list(&r->reply, "keys", all, e);
}

static enum err_code delete (struct request *r, struct err *e) {
    enum err_code code = keys_delete(r->server->parts.keys, request_param(r, "id"), r->who, e);
    if (!code) r->reply.status = 204;
    return code;
}

const struct route routes_keys[] = {
    { "POST", "/api/v1/keys", BODY_JSON, RUN_TASK, create, "Make an API key", ACCESS_ADMIN },
    { "GET", "/api/v1/keys", BODY_NONE, RUN_TASK, list, "List API keys", ACCESS_ADMIN },
    { "DELETE", "/api/v1/keys/{id}", BODY_NONE, RUN_TASK, delete, "Take an API key back",
      ACCESS_ADMIN },
    { 0 },
};

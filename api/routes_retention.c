/* How much of the past keeps its bytes, and giving up what does not. */
#include "api/request.h"
#include "api/routes.h"
#include "daemon/gc.h"
#include "daemon/retention.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

static struct state *state_of(const struct request *r)
{
    return r->server->parts.state;
}

/* The path says of what: it has a {d} or an {m}. */
static enum retention_of of_request(const struct request *r, const char **ret_name)
{
    bool is_dataset = request_param(r, "d")[0];
    *ret_name = request_param(r, is_dataset ? "d" : "m");
    return is_dataset ? RETENTION_DATASET : RETENTION_MODEL;
}

static enum err_code set(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    const char *name;
    enum retention_of of = of_request(r, &name);
    int64_t keep_last = 0;
    bool keep_promoted = true;
    json_t *one;
    const struct json_field fields[] = {
        { .name = "keep_last", .kind = JSON_KIND_INT, .required = true, .into = &keep_last },
        { .name = "keep_promoted", .kind = JSON_KIND_BOOL, .into = &keep_promoted },
    };
    enum err_code code = request_json(r, &body, e);
    if (!code)
        code = json_take(body, "the request", fields, of == RETENTION_MODEL ? 2 : 1, e);
    if (!code)
        code = retention_set(state_of(r), of, name, keep_last, keep_promoted, r->who, &one, e);
    return code ? code : reply_json_take(&r->reply, 200, one, e);
}

static enum err_code show(struct request *r, struct err *e)
{
    const char *name;
    enum retention_of of = of_request(r, &name);
    json_t *one;
    enum err_code code = retention_show(state_of(r), of, name, &one, e);
    return code ? code : reply_json_take(&r->reply, 200, one, e);
}

static enum err_code remove_one(struct request *r, struct err *e)
{
    const char *name;
    enum retention_of of = of_request(r, &name);
    enum err_code code = retention_remove(state_of(r), of, name, r->who, e);
    if (!code)
        reply_fixed(&r->reply, 204, NULL, "", 0);
    return code;
}

static enum err_code collect(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    bool dry_run = false;
    json_t *done;
    const struct json_field fields[] = {
        { .name = "dry_run", .kind = JSON_KIND_BOOL, .into = &dry_run },
    };
    enum err_code code = request_json(r, &body, e);
    if (!code)
        code = json_take(body, "the request", fields, 1, e);
    if (!code)
        code = gc_run(state_of(r), dry_run, r->who, &done, e);
    return code ? code : reply_json_take(&r->reply, 200, done, e);
}

const struct route routes_retention[] = {
    { "PUT", "/api/v1/models/{m}/retention", BODY_JSON, RUN_TASK, set,
      "Say how many versions keep their bytes", ACCESS_ADMIN },
    { "GET", "/api/v1/models/{m}/retention", BODY_NONE, RUN_TASK, show,
      "How many versions keep their bytes", ACCESS_TRAIN },
    { "DELETE", "/api/v1/models/{m}/retention", BODY_NONE, RUN_TASK, remove_one,
      "Keep every version", ACCESS_ADMIN },
    { "PUT", "/api/v1/datasets/{d}/retention", BODY_JSON, RUN_TASK, set,
      "Say how many versions keep their bytes", ACCESS_ADMIN },
    { "GET", "/api/v1/datasets/{d}/retention", BODY_NONE, RUN_TASK, show,
      "How many versions keep their bytes", ACCESS_TRAIN },
    { "DELETE", "/api/v1/datasets/{d}/retention", BODY_NONE, RUN_TASK, remove_one,
      "Keep every version", ACCESS_ADMIN },
    { "POST", "/api/v1/gc", BODY_JSON_OPTIONAL, RUN_TASK, collect,
      "Give up what retention does not keep", ACCESS_ADMIN },
    { 0 },
};

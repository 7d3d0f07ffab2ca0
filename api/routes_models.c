/* Models and their versions. */
#include "api/request.h"
#include "api/routes.h"
#include "daemon/models.h"
#include "daemon/serve.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

static struct state *state_of(const struct request *r)
{
    return r->server->parts.state;
}

static enum err_code create(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    enum err_code code = request_json(r, &body, e);
    if (code)
        return code;
    const char *name = NULL, *dataset = NULL, *backbone = NULL;
    json_t *recipe = NULL, *gate = NULL, *limits = NULL;
    bool strip = false;
    const struct json_field fields[] = {
        { .name = "name", .kind = JSON_KIND_STRING, .required = true, .into = &name },
        { .name = "dataset", .kind = JSON_KIND_STRING, .required = true, .into = &dataset },
        { .name = "backbone", .kind = JSON_KIND_STRING, .required = true, .into = &backbone },
        { .name = "recipe", .kind = JSON_KIND_ANY, .into = &recipe },
        { .name = "gate", .kind = JSON_KIND_OBJECT, .into = &gate },
        { .name = "limits", .kind = JSON_KIND_OBJECT, .into = &limits },
        { .name = "strip_label_prefix", .kind = JSON_KIND_BOOL, .into = &strip },
    };
    code = json_take(body, "the request", fields, sizeof fields / sizeof *fields, e);
    if (code)
        return code;
    bool said = json_is_boolean(json_object_get(body, "strip_label_prefix"));
    json_t *made;
    code = models_create(state_of(r), name, dataset, backbone, recipe, gate, limits,
                         said ? strip : -1, r->who, &made, e);
    if (code)
        return code;
    reply_header(&r->reply, "Location", "/api/v1/models/%s", name);
    return reply_json_take(&r->reply, 201, made, e);
}

static enum err_code list(struct request *r, struct err *e)
{
    json_t *all;
    enum err_code code =
        models_list(state_of(r), request_query(r, "after"), request_page(r).limit, &all, e);
    return code ? code : reply_list(&r->reply, "models", all, e);
}

static enum err_code show(struct request *r, struct err *e)
{
    json_t *one;
    enum err_code code = models_show(state_of(r), request_param(r, "m"), &one, e);
    return code ? code : reply_json_take(&r->reply, 200, one, e);
}

/* Answers' labels are made when a version is loaded: what is loaded is loaded anew. */
static enum err_code reload(struct request *r, const json_t *model, struct err *e)
{
    const json_t *production = json_object_get(model, "production");
    struct serve *serve = r->server->parts.serve;
    struct serve_ref *next;
    serve_forget(serve, request_param(r, "m"));
    if (!json_is_integer(production))
        return ERR_OK;
    enum err_code code =
        serve_load(serve, request_param(r, "m"), json_integer_value(production), &next, e);
    if (!code)
        serve_swap(serve, next);
    return code;
}

static enum err_code patch(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *change = NULL;
    json_t *one;
    enum err_code code = request_json(r, &change, e);
    if (code)
        return code;
    if (!json_is_object(change))
        return err_set(e, ERR_JSON_TYPE, "the request must be a JSON object");
    /* The gate decides what may be promoted. */
    if (json_object_get(change, "gate") && r->role < ROLE_PROMOTE)
        return err_set(e, ERR_ROLE, "to change a gate needs the role \"promote\"");
    bool relabel = json_object_get(change, "strip_label_prefix") != NULL;
    struct serve *serve = r->server->parts.serve;
    if (relabel)
        serve_moves_lock(serve);
    code = models_patch(state_of(r), request_param(r, "m"), change, r->who, &one, e);
    bool changed = !code;
    if (changed && relabel)
        code = reload(r, one, e);
    if (relabel)
        serve_moves_unlock(serve);
    if (!code)
        return reply_json_take(&r->reply, 200, one, e);
    if (changed)
        json_decref(one);
    return code;
}

static enum err_code versions(struct request *r, struct err *e)
{
    json_t *all;
    struct state_page page = request_page(r);
    enum err_code code = models_versions(state_of(r), request_param(r, "m"), page, &all, e);
    return code ? code : reply_list(&r->reply, "versions", all, e);
}

static enum err_code version(struct request *r, struct err *e)
{
    int64_t n;
    json_t *one;
    enum err_code code = request_version(r, &n, e);
    if (!code)
        code = models_version_show(state_of(r), request_param(r, "m"), n, &one, e);
    return code ? code : reply_json_take(&r->reply, 200, one, e);
}

static enum err_code reply_file(struct request *r, const char *path, struct err *e)
{
    struct stat st;
    r->reply.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->reply.fd < 0 || fstat(r->reply.fd, &st) < 0)
        return err_errno(e, errno, "cannot open %s", path);
    r->reply.status = 200;
    r->reply.type = "application/octet-stream";
    r->reply.fd_size = (uint64_t)st.st_size;
    return ERR_OK;
}

/* "W/"x", "y"" holds "x"? A digest cannot stand inside another one. */
static bool holds_tag(const char *if_none_match, const char *digest)
{
    return strcmp(if_none_match, "*") == 0 || strstr(if_none_match, digest);
}

static enum err_code artifact(struct request *r, struct err *e)
{
    const char *model = request_param(r, "m");
    int64_t n;
    CLEANUP(json_decref_p) json_t *one = NULL;
    CLEANUP(cleanup_free) char *path = NULL;
    enum err_code code = request_version(r, &n, e);
    if (!code)
        code = models_version_show(state_of(r), model, n, &one, e);
    if (!code)
        code = models_version_path(state_of(r), model, n, &path, e);
    if (code)
        return code;
    const char *digest = json_string_value(json_object_get(one, "digest"));
    if (!digest)
        return err_set(e, ERR_INTERNAL, "version %" PRId64 " of %s has no digest", n, model);
    if (holds_tag(r->if_none_match, digest))
        reply_fixed(&r->reply, 304, NULL, "", 0);
    else
        code = reply_file(r, path, e);
    if (code)
        return code;
    reply_header(&r->reply, "ETag", "\"%s\"", digest);
    reply_header(&r->reply, "Content-Disposition", "attachment; filename=\"%s-v%" PRId64 ".onnx\"",
                 model, n);
    return ERR_OK;
}

const struct route routes_models[] = {
    { "POST", "/api/v1/models", BODY_JSON, RUN_TASK, create, "Create a model", ACCESS_TRAIN },
    { "GET", "/api/v1/models", BODY_NONE, RUN_TASK, list, "List models", ACCESS_TRAIN },
    { "GET", "/api/v1/models/{m}", BODY_NONE, RUN_TASK, show, "Show a model", ACCESS_TRAIN },
    { "PATCH", "/api/v1/models/{m}", BODY_JSON, RUN_TASK, patch, "Change a model", ACCESS_TRAIN },
    { "GET", "/api/v1/models/{m}/versions", BODY_NONE, RUN_TASK, versions,
      "List a model's versions", ACCESS_TRAIN },
    { "GET", "/api/v1/models/{m}/versions/{v}", BODY_NONE, RUN_TASK, version,
      "Show a version with its report", ACCESS_TRAIN },
    { "GET", "/api/v1/models/{m}/versions/{v}/model.onnx", BODY_NONE, RUN_TASK, artifact,
      "Download a version's ONNX file", ACCESS_TRAIN },
    { 0 },
};

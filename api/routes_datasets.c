/* Datasets, their versions, imports and single pictures. */
#include "api/import_path.h"
#include "api/media.h"
#include "api/request.h"
#include "api/routes.h"
#include "daemon/datasets.h"
#include "daemon/import.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <string.h>

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
    const char *name = NULL;
    const struct json_field fields[] = {
        { .name = "name", .kind = JSON_KIND_STRING, .required = true, .into = &name },
    };
    code = json_take(body, "the request", fields, 1, e);
    json_t *made;
    if (!code)
        code = datasets_create(state_of(r), name, r->who, &made, e);
    if (code)
        return code;
    reply_header(&r->reply, "Location", "/api/v1/datasets/%s", name);
    return reply_json_take(&r->reply, 201, made, e);
}

static enum err_code list(struct request *r, struct err *e)
{
    json_t *all;
    enum err_code code = datasets_list(state_of(r), &all, e);
    return code ? code : reply_list(&r->reply, "datasets", all, e);
}

static enum err_code show(struct request *r, struct err *e)
{
    json_t *one;
    enum err_code code = datasets_show(state_of(r), request_param(r, "d"), &one, e);
    return code ? code : reply_json_take(&r->reply, 200, one, e);
}

static enum err_code versions(struct request *r, struct err *e)
{
    json_t *all;
    struct state_page page = request_page(r);
    enum err_code code = datasets_versions(state_of(r), request_param(r, "d"), page, &all, e);
    return code ? code : reply_list(&r->reply, "versions", all, e);
}

static enum err_code version(struct request *r, struct err *e)
{
    int64_t n;
    json_t *one;
    enum err_code code = request_version(r, &n, e);
    if (!code)
        code = datasets_version_show(state_of(r), request_param(r, "d"), n, &one, e);
    return code ? code : reply_json_take(&r->reply, 200, one, e);
}

static enum err_code import_from(struct request *r, const struct import_source *source,
                                 struct err *e)
{
    json_t *report;
    enum err_code code = import_run(state_of(r), request_param(r, "d"), source,
                                    r->server->options.import_threads, r->who, &report, e);
    return code ? code : reply_json_take(&r->reply, 200, report, e);
}

static enum err_code import_named(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    enum err_code code = request_json(r, &body, e);
    if (code)
        return code;
    const char *path = NULL;
    const struct json_field fields[] = {
        { .name = "path", .kind = JSON_KIND_STRING, .required = true, .into = &path },
    };
    code = json_take(body, "the request", fields, 1, e);
    if (code)
        return code;
    struct import_path opened;
    code = import_path_open(r->server->import_root, path, &opened, e);
    if (code)
        return code;
    struct import_source source = { .read = opened.folder ? NULL : import_path_read,
                                    .context = &opened,
                                    .folder = opened.folder };
    code = import_from(r, &source, e);
    import_path_close(&opened);
    return code;
}

/* An import may take long, so a dataset that is not there is told before the body is read. */
static enum err_code import(struct request *r, struct err *e)
{
    json_t *dataset;
    enum err_code code = datasets_show(state_of(r), request_param(r, "d"), &dataset, e);
    if (code)
        return code;
    json_decref(dataset);
    if (!r->stream)
        return import_named(r, e);
    if (!r->has_body)
        return err_set(e, ERR_BODY_MISSING, "an archive is expected (tar, tar.gz or zip)");
    struct import_source source = { .read = body_stream_read, .context = r->stream };
    return import_from(r, &source, e);
}

static enum split read_split(const struct request *r)
{
    const char *text = request_query(r, "split");
    enum split split = SPLIT_AUTO;
    return text && split_parse(text, &split) ? split : SPLIT_AUTO;
}

static enum err_code put_picture(struct request *r, struct err *e)
{
    const char *label = request_query(r, "label");
    json_t *report;
    if (!r->body.len)
        return err_set(e, ERR_BODY_MISSING, "a picture is expected");
    enum err_code code =
        datasets_put_picture(state_of(r), request_param(r, "d"), label, read_split(r), r->body.data,
                             r->body.len, r->who, &report, e);
    return code ? code : reply_json_take(&r->reply, 200, report, e);
}

static enum err_code delete_picture(struct request *r, struct err *e)
{
    struct digest digest;
    json_t *report;
    const char *text = request_param(r, "digest");
    if (strlen(text) != DIGEST_HEX || !digest_parse(text, &digest))
        return err_set(e, ERR_PICTURE_UNKNOWN, "\"%.80s\" is no picture's digest", text);
    enum err_code code =
        datasets_delete_picture(state_of(r), request_param(r, "d"), &digest, r->who, &report, e);
    return code ? code : reply_json_take(&r->reply, 200, report, e);
}

const struct route routes_datasets[] = {
    { "POST", "/api/v1/datasets", BODY_JSON, RUN_TASK, create, "Create a dataset", ACCESS_TRAIN },
    { "GET", "/api/v1/datasets", BODY_NONE, RUN_TASK, list, "List datasets", ACCESS_TRAIN },
    { "GET", "/api/v1/datasets/{d}", BODY_NONE, RUN_TASK, show, "Show a dataset", ACCESS_TRAIN },
    { "POST", "/api/v1/datasets/{d}/import", BODY_IMPORT, RUN_UPLOAD, import,
      "Import an archive or a folder of labelled pictures", ACCESS_TRAIN },
    { "PUT", "/api/v1/datasets/{d}/images", BODY_PICTURE, RUN_TASK, put_picture, "Add one picture",
      ACCESS_TRAIN },
    { "DELETE", "/api/v1/datasets/{d}/images/{digest}", BODY_NONE, RUN_TASK, delete_picture,
      "Remove one picture", ACCESS_TRAIN },
    { "GET", "/api/v1/datasets/{d}/versions", BODY_NONE, RUN_TASK, versions,
      "List a dataset's versions", ACCESS_TRAIN },
    { "GET", "/api/v1/datasets/{d}/versions/{v}", BODY_NONE, RUN_TASK, version,
      "Show a dataset's version", ACCESS_TRAIN },
    { 0 },
};

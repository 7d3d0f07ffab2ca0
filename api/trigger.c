#include "api/trigger.h"

#include "daemon/jobs.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <string.h>

static enum err_code check_tags(const json_t *tags, struct err *e)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)tags, name, value)
        if (!json_is_string(value))
            return err_set(e, ERR_JSON_TYPE, "the request: tags.%.100s must be a string", name);
    return ERR_OK;
}

/* Everything that was asked, so that the same request in another layout has the same digest. */
static enum err_code digest_request(const char *model, const json_t *body, struct digest *ret,
                                    struct err *e)
{
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    enum err_code code = buf_append(&text, model, strlen(model) + 1, e);
    if (!code)
        code = json_write(body, &text, e);
    return code ? code : digest_of(text.data, text.len, ret, e);
}

static enum err_code read_request(const json_t *body, struct retrain_request *ret, struct err *e)
{
    json_t *recipe = NULL, *tags = NULL, *limits = NULL;
    ret->coalesce = true;
    const struct json_field fields[] = {
        { .name = "mode", .kind = JSON_KIND_STRING, .into = &ret->mode, .min = 1, .max = 64 },
        { .name = "dataset_version",
          .kind = JSON_KIND_INT,
          .into = &ret->dataset_version,
          .min = 1,
          .max = 1e15 },
        { .name = "recipe", .kind = JSON_KIND_OBJECT, .into = &recipe },
        { .name = "seed", .kind = JSON_KIND_INT, .into = &ret->seed },
        { .name = "tags", .kind = JSON_KIND_OBJECT, .into = &tags },
        { .name = "limits", .kind = JSON_KIND_OBJECT, .into = &limits },
        { .name = "priority",
          .kind = JSON_KIND_INT,
          .into = &ret->priority,
          .min = JOBS_PRIORITY_MIN,
          .max = JOBS_PRIORITY_MAX },
        { .name = "coalesce", .kind = JSON_KIND_BOOL, .into = &ret->coalesce },
    };
    enum err_code code = json_take(body, "the request", fields, sizeof fields / sizeof *fields, e);
    if (!code && tags)
        code = check_tags(tags, e);
    ret->recipe = recipe;
    ret->tags = tags;
    ret->limits = limits;
    return code;
}

enum err_code trigger_submit(struct request *r, const char *model, const json_t *body, json_t **ret,
                             struct err *e)
{
    struct retrain_request q = { 0 };
    enum err_code code = read_request(body, &q, e);
    if (!code && r->idempotency_key[0]) {
        q.key = r->idempotency_key;
        code = digest_request(model, body, &q.request, e);
    }
    json_t *job;
    if (!code)
        code = jobs_submit(r->server->parts.jobs, model, &q, r->who, &job, e);
    if (code)
        return code;
    const char *id = json_string_value(json_object_get(job, "id"));
    reply_header(&r->reply, "Location", "/api/v1/jobs/%s", id ? id : "");
    reply_header(&r->reply, "Retry-After", "1");
    *ret = job;
    return ERR_OK;
}

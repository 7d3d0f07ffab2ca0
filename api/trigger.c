#include "api/trigger.h"

#include "daemon/jobs.h"
#include "daemon/webhook_sender.h"
#include "daemon/webhooks.h"
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

static enum err_code read_request(const json_t *body, struct retrain_request *ret,
                                  const char **ret_secret, struct err *e)
{
    json_t *recipe = NULL, *tags = NULL, *limits = NULL;
    ret->coalesce = true;
    const struct json_field fields[] = {
        { .name = "mode", .kind = JSON_KIND_STRING, .into = &ret->mode },
        { .name = "dataset_version", .kind = JSON_KIND_INT, .into = &ret->dataset_version },
        { .name = "recipe", .kind = JSON_KIND_ANY, .into = &recipe },
        { .name = "seed", .kind = JSON_KIND_INT, .into = &ret->seed },
        { .name = "tags", .kind = JSON_KIND_OBJECT, .into = &tags },
        { .name = "limits", .kind = JSON_KIND_OBJECT, .into = &limits },
        { .name = "priority", .kind = JSON_KIND_INT, .into = &ret->priority },
        { .name = "coalesce", .kind = JSON_KIND_BOOL, .into = &ret->coalesce },
        { .name = "callback_url", .kind = JSON_KIND_STRING, .into = &ret->callback },
        { .name = "callback_secret", .kind = JSON_KIND_STRING, .into = ret_secret },
    };
    enum err_code code = json_take(body, "the request", fields, sizeof fields / sizeof *fields, e);
    if (!code && tags)
        code = check_tags(tags, e);
    ret->recipe = recipe;
    ret->tags = tags;
    ret->limits = limits;
    return code;
}

/* Given, or a new one. */
static enum err_code read_callback(const struct request *r, const struct retrain_request *q,
                                   const char *secret, struct webhook_secret *ret, struct err *e)
{
    if (!q->callback)
        return secret ? err_set(e, ERR_FIELD_MISSING,
                                "the request: field \"callback_url\" is missing; callback_secret "
                                "needs it")
                      : ERR_OK;
    enum err_code code =
        webhook_check_url(webhook_sender_allow(r->server->parts.webhooks), q->callback, e);
    if (code)
        return code;
    return secret ? webhook_secret_parse(secret, ret, e) : webhook_secret_new(ret, e);
}

/* To the one who asked for the callback, and at that time only. */
static enum err_code show_secret(const struct webhook_secret *secret, json_t *job, struct err *e)
{
    char text[WEBHOOK_SECRET_TEXT];
    if (json_is_true(json_object_get(job, "repeated")))
        return ERR_OK;
    enum err_code code = webhook_secret_text(secret, text, e);
    return code ? code : json_put(job, "callback_secret", json_string(text), e);
}

enum err_code trigger_submit(struct request *r, const char *model, const json_t *body, json_t **ret,
                             struct err *e)
{
    struct webhook_secret secret;
    struct retrain_request q = { .callback_secret = &secret };
    const char *given = NULL;
    enum err_code code = read_request(body, &q, &given, e);
    if (!code)
        code = read_callback(r, &q, given, &secret, e);
    if (!code && r->idempotency_key[0]) {
        q.key = r->idempotency_key;
        code = digest_request(model, body, &q.request, e);
    }
    CLEANUP(json_decref_p) json_t *job = NULL;
    if (!code)
        code = jobs_submit(r->server->parts.jobs, model, &q, r->who, &job, e);
    if (!code && q.callback && !given)
        code = show_secret(&secret, job, e);
    if (code)
        return code;
    const char *id = json_string_value(json_object_get(job, "id"));
    reply_header(&r->reply, "Location", "/api/v1/jobs/%s", id ? id : "");
    reply_header(&r->reply, "Retry-After", "1");
    *ret = STEAL(job);
    return ERR_OK;
}

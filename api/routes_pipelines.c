/* The trigger as Azure ML's published pipelines take it, so that a caller of those needs another
 * URL only. */
#include "api/routes.h"
#include "api/trigger.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <string.h>

/* That client sends every parameter as a string: "7", "0.01" and "true" mean what they look like.
 */
static json_t *plain(json_t *value)
{
    const char *text = json_string_value(value);
    json_t *parsed = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    if (json_is_number(parsed) || json_is_boolean(parsed))
        return parsed;
    json_decref(parsed);
    return json_incref(value);
}

static bool is_option(const char *name)
{
    static const char *const options[] = { "mode",           "dataset_version", "seed",
                                           "priority",       "coalesce",        "callback_url",
                                           "callback_secret" };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (strcmp(name, options[i]) == 0)
            return true;
    return false;
}

/* Names that are no option of a retrain request are members of the recipe, which refuses by name
 * those that it does not know. */
static enum err_code sort_parameters(json_t *parameters, json_t *body, struct err *e)
{
    json_t *recipe = json_object();
    enum err_code code = json_put(body, "recipe", recipe, e);
    const char *name;
    json_t *value;
    json_object_foreach (parameters, name, value) {
        if (!code)
            code = json_put(is_option(name) ? body : recipe, name, plain(value), e);
    }
    return code;
}

/* What such a request may hold beside its parameters. */
struct pipeline_run {
    const char *experiment, *source, *description;
    json_t *tags, *parameters, *datasets, *paths;
};

static enum err_code put_tag(json_t *tags, const char *name, const char *value, struct err *e)
{
    return value ? json_put(tags, name, json_string(value), e) : ERR_OK;
}

static enum err_code put_tags(const struct pipeline_run *run, json_t *body, struct err *e)
{
    json_t *tags = run->tags ? json_copy(run->tags) : json_object();
    enum err_code code = json_put(body, "tags", tags, e);
    if (!code)
        code = put_tag(tags, "experiment", run->experiment, e);
    if (!code)
        code = put_tag(tags, "run_source", run->source, e);
    return code ? code : put_tag(tags, "description", run->description, e);
}

/* Clients send them empty; what they would change is the model's here. */
static enum err_code check_empty(const json_t *assignments, const char *name, struct err *e)
{
    return json_object_size(assignments)
               ? err_set(e, ERR_FIELD_RANGE,
                         "the request: %s must be empty: a model trains on its own dataset; "
                         "dataset_version in ParameterAssignments names a version of it",
                         name)
               : ERR_OK;
}

static enum err_code read_run(const json_t *body, struct pipeline_run *ret, struct err *e)
{
    const struct json_field fields[] = {
        { .name = "ExperimentName", .kind = JSON_KIND_STRING, .into = &ret->experiment },
        { .name = "Description", .kind = JSON_KIND_STRING, .into = &ret->description },
        { .name = "Tags", .kind = JSON_KIND_OBJECT, .into = &ret->tags },
        { .name = "RunSource", .kind = JSON_KIND_STRING, .into = &ret->source },
        { .name = "ParameterAssignments", .kind = JSON_KIND_OBJECT, .into = &ret->parameters },
        { .name = "DataSetDefinitionValueAssignments",
          .kind = JSON_KIND_OBJECT,
          .into = &ret->datasets },
        { .name = "DataPathAssignments", .kind = JSON_KIND_OBJECT, .into = &ret->paths },
    };
    enum err_code code = json_take(body, "the request", fields, sizeof fields / sizeof *fields, e);
    if (!code)
        code = check_empty(ret->datasets, "DataSetDefinitionValueAssignments", e);
    return code ? code : check_empty(ret->paths, "DataPathAssignments", e);
}

static enum err_code run_pipeline(struct request *r, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = NULL;
    CLEANUP(json_decref_p) json_t *job = NULL;
    CLEANUP(json_decref_p) json_t *retrain = json_object();
    struct pipeline_run run = { 0 };
    enum err_code code = request_json(r, &body, e);
    if (!code)
        code = read_run(body, &run, e);
    if (!code && !retrain)
        code = err_set(e, ERR_NOMEM, "no memory for a request");
    if (!code)
        code = put_tags(&run, retrain, e);
    if (!code)
        code = sort_parameters(run.parameters, retrain, e);
    if (!code)
        code = trigger_submit(r, request_param(r, "m"), retrain, &job, e);
    if (code)
        return code;
    json_t *reply = json_pack("{s:O}", "Id", json_object_get(job, "id"));
    return reply ? reply_json_take(&r->reply, 200, reply, e)
                 : err_set(e, ERR_NOMEM, "no memory for a reply");
}

const struct route routes_pipelines[] = {
    { "POST", "/api/v1/pipelines/{m}", BODY_JSON_OPTIONAL, RUN_TASK, run_pipeline,
      "Retrain a model, asked for as Azure ML's pipelines are", ACCESS_TRAIN },
    { 0 },
};

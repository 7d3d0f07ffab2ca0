#include "daemon/spec.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"

enum { THREADS_MAX = 1024, RESIZE_MAX = 4096, TEXT_MAX = 4096 };

static json_t *digest_json(const struct digest *d)
{
    char hex[DIGEST_HEX + 1];
    digest_hex(d, hex);
    return json_string(hex);
}

/* Text came out of a request, so jansson has checked it once; it is checked again because a
 * caller may have it from elsewhere. */
static enum err_code put_text(json_t *object, const char *name, const char *text, struct err *e)
{
    if (!text)
        return ERR_OK;
    json_t *value = json_string(text);
    if (!value)
        return err_set(e, ERR_FIELD_RANGE, "override %s is not UTF-8 (or no memory is left)", name);
    return json_put(object, name, value, e);
}

static enum err_code overrides_json(const struct backbone_overrides *o, json_t **ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *object = json_object();
    if (!object)
        return err_set(e, ERR_NOMEM, "no memory for a job's specification");
    enum err_code r = put_text(object, "feature", o->feature, e);
    if (!r)
        r = put_text(object, "mean", o->mean, e);
    if (!r)
        r = put_text(object, "std", o->std, e);
    if (!r)
        r = put_text(object, "color", o->color, e);
    if (!r && o->resize)
        r = json_put(object, "resize", json_integer(o->resize), e);
    if (!r)
        *ret = STEAL(object);
    return r;
}

enum err_code spec_to_json(const struct retrain_spec *spec, const struct job_limits *limits,
                           json_t **ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *object = json_object();
    json_t *overrides = NULL;
    if (!object)
        return err_set(e, ERR_NOMEM, "no memory for a job's specification");
    enum err_code r = overrides_json(&spec->overrides, &overrides, e);
    if (!r)
        r = json_put(object, "overrides", overrides, e);
    if (!r)
        r = json_put(object, "manifest", digest_json(&spec->manifest), e);
    if (!r)
        r = json_put(object, "backbone", digest_json(&spec->backbone), e);
    if (!r)
        r = json_put(object, "recipe", recipe_json(&spec->recipe), e);
    if (!r)
        r = json_put(object, "seed", json_integer(spec->seed), e);
    if (!r)
        r = json_put(object, "champion",
                     spec->has_champion ? digest_json(&spec->champion) : json_null(), e);
    if (!r)
        r = json_put(object, "threads", json_integer(spec->threads), e);
    if (!r)
        r = json_put(object, "measure_latency", json_boolean(spec->measure_latency), e);
    if (!r)
        r = json_put(object, "job_limits", job_limits_json(limits), e);
    if (!r)
        r = json_put(object, "max_pixels", json_integer((json_int_t)spec->limits.max_pixels), e);
    if (!r)
        *ret = STEAL(object);
    return r;
}

static enum err_code take_digest(const char *text, const char *name, struct digest *ret,
                                 struct err *e)
{
    if (digest_parse(text, ret))
        return ERR_OK;
    return err_set(e, ERR_FIELD_RANGE, "specification: %s must be 64 lower-case hex digits", name);
}

static enum err_code take_overrides(const json_t *object, struct backbone_overrides *ret,
                                    struct err *e)
{
    int64_t resize = 0;
    const struct json_field fields[] = {
        { "feature", JSON_KIND_STRING, false, &ret->feature, 1, TEXT_MAX },
        { "mean", JSON_KIND_STRING, false, &ret->mean, 1, TEXT_MAX },
        { "std", JSON_KIND_STRING, false, &ret->std, 1, TEXT_MAX },
        { "color", JSON_KIND_STRING, false, &ret->color, 1, TEXT_MAX },
        { "resize", JSON_KIND_INT, false, &resize, 1, RESIZE_MAX },
    };
    enum err_code r =
        json_take(object, "specification: overrides", fields, sizeof fields / sizeof *fields, e);
    if (!r)
        ret->resize = (int)resize;
    return r;
}

enum err_code spec_from_json(const json_t *object, struct retrain_spec *ret,
                             struct job_limits *ret_limits, struct err *e)
{
    struct retrain_spec spec = { 0 };
    const char *manifest = NULL, *backbone = NULL, *champion = NULL;
    json_t *overrides = NULL, *recipe = NULL, *job_limits = NULL;
    struct job_limits limits;
    int64_t threads = 0, max_pixels = 0;
    const struct json_field fields[] = {
        { "manifest", JSON_KIND_STRING, true, &manifest, 0, 0 },
        { "backbone", JSON_KIND_STRING, true, &backbone, 0, 0 },
        { "overrides", JSON_KIND_OBJECT, true, &overrides, 0, 0 },
        { "recipe", JSON_KIND_OBJECT, true, &recipe, 0, 0 },
        { "seed", JSON_KIND_INT, true, &spec.seed, 0, 0 },
        { "champion", JSON_KIND_STRING, false, &champion, 0, 0 },
        { "job_limits", JSON_KIND_OBJECT, true, &job_limits, 0, 0 },
        { "threads", JSON_KIND_INT, true, &threads, 1, THREADS_MAX },
        { "measure_latency", JSON_KIND_BOOL, true, &spec.measure_latency, 0, 0 },
        { "max_pixels", JSON_KIND_INT, true, &max_pixels, 1, (double)(1LL << 53) },
    };
    enum err_code r = json_take(object, "specification", fields, sizeof fields / sizeof *fields, e);
    if (!r)
        r = take_digest(manifest, "manifest", &spec.manifest, e);
    if (!r)
        r = take_digest(backbone, "backbone", &spec.backbone, e);
    if (!r && champion)
        r = take_digest(champion, "champion", &spec.champion, e);
    if (!r)
        r = take_overrides(overrides, &spec.overrides, e);
    if (!r)
        r = recipe_parse(recipe, &spec.recipe, e);
    if (!r)
        r = job_limits_merge(NULL, job_limits, &limits, e);
    if (r)
        return r;
    spec.has_champion = champion != NULL;
    spec.threads = (int)threads;
    spec.limits.max_pixels = (uint64_t)max_pixels;
    *ret = spec;
    *ret_limits = limits;
    return ERR_OK;
}

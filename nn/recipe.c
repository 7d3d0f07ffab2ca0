#include "nn/recipe.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"
#include "data/preprocess.h"
#include "nn/recipe_augment.h"
#include "nn/recipe_defaults.h"

#include <string.h>

/* Who knows a member. A head with sgd is of a kind of its own. */
enum {
    HEAD_LBFGS = 1,
    HEAD_SGD = 2,
    PARTIAL = 4,
    FINE_TUNE = 8,
    SCRATCH = 16,
    HEAD = HEAD_LBFGS | HEAD_SGD,
    BODY = PARTIAL | FINE_TUNE | SCRATCH,
    TRAINED = HEAD_SGD | BODY,
    STARTED = PARTIAL | FINE_TUNE,
    CACHED = HEAD | PARTIAL,
    ALL = HEAD | BODY
};
enum { CHOICES_MAX = 4 };

#define AT(member) offsetof(struct recipe, member)

static const struct {
    const char *name;
    enum json_kind kind;
    size_t at;
    int modes;
    double min, max;
} members[] = {
    { "folds", JSON_KIND_INT, AT(folds), HEAD_LBFGS | STARTED, 2, 10 },
    { "penalty", JSON_KIND_REAL, AT(penalty), HEAD_LBFGS | STARTED, 0, 1e6 },
    { "views", JSON_KIND_INT, AT(views), CACHED, 1, RECIPE_VIEWS_MAX },
    { "epochs", JSON_KIND_INT, AT(epochs), TRAINED, 1, 10000 },
    { "batch", JSON_KIND_INT, AT(batch), TRAINED, 1, 1024 },
    { "learning_rate", JSON_KIND_REAL, AT(learning_rate), TRAINED, 1e-12, 1000 },
    { "momentum", JSON_KIND_REAL, AT(momentum), TRAINED, 0, 0.9999 },
    { "nesterov", JSON_KIND_BOOL, AT(nesterov), TRAINED, 0, 0 },
    { "weight_decay", JSON_KIND_REAL, AT(weight_decay), TRAINED, 0, 1 },
    { "warmup", JSON_KIND_REAL, AT(warmup), TRAINED, 0, 10000 },
    { "clip", JSON_KIND_REAL, AT(clip), TRAINED, 0, 1e9 },
    { "ema", JSON_KIND_REAL, AT(ema), TRAINED, 0, 0.999999 },
    { "smoothing", JSON_KIND_REAL, AT(smoothing), TRAINED, 0, 0.9 },
    { "validation", JSON_KIND_REAL, AT(validation), TRAINED, 0, 0.5 },
    { "patience", JSON_KIND_INT, AT(patience), TRAINED, 0, 10000 },
    { "body_factor", JSON_KIND_REAL, AT(body_factor), STARTED, 0, 1 },
    { "cut_share", JSON_KIND_REAL, AT(cut_share), PARTIAL, 0, 1 },
    { "cut_bytes", JSON_KIND_INT, AT(cut_bytes), PARTIAL, 0, 1e15 },
    { "precision_margin", JSON_KIND_REAL, AT(precision_margin), ALL, 0, 1 },
};
enum { MEMBERS = sizeof members / sizeof *members };

static const struct {
    const char *name;
    size_t at;
    int modes;
    const char *texts[CHOICES_MAX];
} choices[] = {
    { "preset", AT(preset), ALL, { "default", "workshop" } },
    { "solver", AT(solver), HEAD, { "lbfgs", "sgd" } },
    { "optimiser", AT(optimiser), TRAINED, { "sgd", "adamw" } },
    { "norm", AT(norm), BODY, { "frozen", "batch" } },
    { "start", AT(start), STARTED, { "head", "random" } },
    { "precision",
      AT(precision),
      ALL,
      { [PRECISION_FP32] = "fp32", [PRECISION_INT8] = "int8", [PRECISION_AUTO] = "auto" } },
};
enum { CHOICES = sizeof choices / sizeof *choices };

static const char *const modes[] = { [RECIPE_HEAD] = "head",
                                     [RECIPE_PARTIAL] = "partial",
                                     [RECIPE_FINE_TUNE] = "fine_tune",
                                     [RECIPE_SCRATCH] = "scratch" };
enum { MODES = sizeof modes / sizeof *modes };

const char *recipe_mode_text(int mode)
{
    return modes[mode];
}

bool recipe_is_trained(const struct recipe *r)
{
    return r->mode != RECIPE_HEAD || r->solver == RECIPE_SGD;
}

static int kind_of(const struct recipe *r)
{
    static const int kinds[MODES] = { HEAD_LBFGS, PARTIAL, FINE_TUNE, SCRATCH };
    return r->mode == RECIPE_HEAD && r->solver == RECIPE_SGD ? HEAD_SGD : kinds[r->mode];
}

/* --- parsing --------------------------------------------------------------------------------- */

static enum err_code parse_mode(const char *text, int *ret, struct err *e)
{
    if (strcmp(text, "fixed_feature") == 0) {
        *ret = RECIPE_HEAD;
        return ERR_OK;
    }
    for (int i = 0; i < MODES; i++)
        if (strcmp(text, modes[i]) == 0) {
            *ret = i;
            return ERR_OK;
        }
    return err_set(e, ERR_RECIPE,
                   "recipe: mode must be \"head\", \"partial\", \"fine_tune\" or \"scratch\", is "
                   "\"%.60s\"",
                   text);
}

/* A text member that decides about others, before these are looked at. */
static enum err_code take_choice(const json_t *object, int choice, struct recipe *r, struct err *e)
{
    const json_t *value = json_object_get(object, choices[choice].name);
    if (!value || json_is_null(value))
        return ERR_OK;
    const char *text = json_string_value(value);
    int *into = (int *)((char *)r + choices[choice].at);
    for (int i = 0; text && i < CHOICES_MAX && choices[choice].texts[i]; i++)
        if (strcmp(text, choices[choice].texts[i]) == 0) {
            *into = i;
            return ERR_OK;
        }
    const char *const *texts = choices[choice].texts;
    return err_set(e, text ? ERR_RECIPE : ERR_JSON_TYPE,
                   "recipe: %s must be \"%s\"%s%s%s or \"%s\", is %s%.60s", choices[choice].name,
                   texts[0], texts[2] ? ", \"" : "", texts[2] ? texts[2] : "", texts[2] ? "\"" : "",
                   texts[1], text ? "" : "no text", text ? text : "");
}

static enum err_code take_defaults(const json_t *object, struct recipe *r, struct err *e)
{
    int mode = RECIPE_HEAD;
    const json_t *value = json_object_get(object, "mode");
    if (value && !json_is_null(value) && !json_is_string(value))
        return err_set(e, ERR_JSON_TYPE, "recipe: mode must be a string");
    enum err_code code =
        json_is_string(value) ? parse_mode(json_string_value(value), &mode, e) : ERR_OK;
    struct recipe preset = { 0 };
    if (!code)
        code = take_choice(object, 0, &preset, e);
    if (code)
        return code;
    if (preset.preset == RECIPE_WORKSHOP && mode != RECIPE_HEAD && mode != RECIPE_FINE_TUNE)
        return err_set(e, ERR_RECIPE,
                       "recipe: \"workshop\" is for the modes head (fixed_feature) and fine_tune, "
                       "not %s",
                       modes[mode]);
    recipe_set_defaults(r, mode, preset.preset);
    return ERR_OK;
}

static enum err_code take_balanced(const json_t *value, struct recipe *r, struct err *e)
{
    if (!value || json_is_null(value))
        return ERR_OK;
    bool is_auto = json_is_string(value) && strcmp(json_string_value(value), "auto") == 0;
    if (!json_is_boolean(value) && !is_auto)
        return err_set(e, ERR_JSON_TYPE, "recipe: balanced must be true, false or \"auto\"");
    r->balanced_auto = is_auto;
    r->balanced = json_is_true(value);
    return ERR_OK;
}

static enum err_code take_schedule(const json_t *value, struct recipe *r, struct err *e)
{
    if (!value || json_is_null(value))
        return ERR_OK;
    const char *kind = json_string_value(value);
    const struct json_field fields[] = {
        { "kind", JSON_KIND_STRING, true, &kind, 1, 32 },
        { "every", JSON_KIND_REAL, false, &r->every, 1e-3, 10000 },
        { "factor", JSON_KIND_REAL, false, &r->factor, 0, 1 },
        { "last", JSON_KIND_REAL, false, &r->last, 0, 1000 },
    };
    enum err_code code =
        kind ? ERR_OK
             : json_take(value, "recipe: schedule", fields, sizeof fields / sizeof *fields, e);
    if (!code && !schedule_parse(kind, &r->schedule))
        code = err_set(e, ERR_RECIPE,
                       "recipe: schedule must be constant, step, cosine or one_cycle, is \"%.60s\"",
                       kind);
    return code;
}

/* Absent: the mode's default. null: none. */
static enum err_code take_augment(const json_t *object, struct recipe *r, struct err *e)
{
    const json_t *value = json_object_get(object, "augment");
    if (!value)
        return ERR_OK;
    r->has_augment = !json_is_null(value);
    return r->has_augment ? recipe_augment_parse(value, &r->augment, e) : ERR_OK;
}

static enum err_code take_cut(const json_t *value, struct recipe *r, struct err *e)
{
    if (!value || json_is_null(value))
        return ERR_OK;
    size_t len = json_string_length(value);
    if (!json_is_string(value) || len == 0 || len >= sizeof r->cut ||
        strlen(json_string_value(value)) != len)
        return err_set(e, json_is_string(value) ? ERR_FIELD_RANGE : ERR_JSON_TYPE,
                       "recipe: cut must be a value's name of 1 to %d bytes, or \"auto\"",
                       RECIPE_CUT_MAX - 1);
    memcpy(r->cut, json_string_value(value), len + 1);
    return ERR_OK;
}

static enum err_code check_views(struct recipe *r, bool said, struct err *e)
{
    if (!(kind_of(r) & CACHED))
        return ERR_OK;
    if (!said)
        r->views = recipe_usual_views(r);
    if (r->has_augment && said && r->views < 2)
        return err_set(e, ERR_FIELD_RANGE,
                       "recipe: views must be at least 2 with augment: the centre crop and others");
    if (!r->has_augment && r->views > PREPROCESS_VIEWS_MAX)
        return err_set(e, ERR_FIELD_RANGE,
                       "recipe: views must be at most %d without augment, is %d",
                       PREPROCESS_VIEWS_MAX, (int)r->views);
    if (r->has_augment && (r->augment.mixup > 0 || r->augment.cutmix > 0))
        return err_set(e, ERR_RECIPE,
                       "recipe: augment: mixup and cutmix mix pictures, mode %s trains on cached "
                       "values",
                       modes[r->mode]);
    return ERR_OK;
}

/* The members that have no form of their own, and none but those that the mode knows. */
static enum err_code take_members(const json_t *object, struct recipe *r, struct err *e)
{
    static const struct {
        const char *name;
        int modes;
    } special[] = { { "mode", ALL },
                    { "balanced", ALL },
                    { "augment", ALL },
                    { "schedule", TRAINED },
                    { "cut", PARTIAL } };
    CLEANUP(json_decref_p) json_t *rest = json_copy((json_t *)object);
    if (!rest)
        return err_set(e, ERR_NOMEM, "no memory for a recipe");
    int kind = kind_of(r);
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (special[i].modes & kind)
            json_object_del(rest, special[i].name);
    for (int i = 0; i < CHOICES; i++)
        if (choices[i].modes & kind)
            json_object_del(rest, choices[i].name);
    struct json_field fields[MEMBERS];
    size_t count = 0;
    for (int i = 0; i < MEMBERS; i++)
        if (members[i].modes & kind)
            fields[count++] = (struct json_field){ .name = members[i].name,
                                                   .kind = members[i].kind,
                                                   .into = (char *)r + members[i].at,
                                                   .min = members[i].min,
                                                   .max = members[i].max };
    char what[64];
    snprintf(what, sizeof what, "recipe of mode %s%s", modes[r->mode],
             kind == HEAD_SGD ? " with solver sgd" : "");
    return json_take(rest, what, fields, count, e);
}

static enum err_code parse_object(const json_t *object, struct recipe *ret, struct err *e)
{
    struct recipe r;
    enum err_code code = take_defaults(object, &r, e);
    for (int i = 0; !code && i < CHOICES; i++)
        if (choices[i].modes & (i == 0 ? ALL : kind_of(&r) | (r.mode == RECIPE_HEAD ? HEAD : 0)))
            code = take_choice(object, i, &r, e);
    if (!code)
        code = take_members(object, &r, e);
    if (!code)
        code = take_balanced(json_object_get(object, "balanced"), &r, e);
    if (!code)
        code = take_augment(object, &r, e);
    if (!code && kind_of(&r) & TRAINED)
        code = take_schedule(json_object_get(object, "schedule"), &r, e);
    if (!code && kind_of(&r) & PARTIAL)
        code = take_cut(json_object_get(object, "cut"), &r, e);
    const json_t *views = json_object_get(object, "views");
    if (!code)
        code = check_views(&r, views && !json_is_null(views), e);
    if (!code && r.nesterov && (r.momentum == 0 || r.optimiser != OPTIMISER_SGD))
        code = err_set(e, ERR_RECIPE, "recipe: nesterov needs optimiser sgd and a momentum");
    if (!code)
        *ret = r;
    return code;
}

/* "workshop" and null as the objects that they stand for. *ret is a new reference. */
static enum err_code as_object(const json_t *value, json_t **ret, struct err *e)
{
    const char *name = json_string_value(value);
    if (value && !json_is_null(value) && !json_is_object(value) &&
        !(name && strcmp(name, "workshop") == 0))
        return err_set(e, ERR_JSON_TYPE, "recipe must be a JSON object or \"workshop\"");
    *ret = json_is_object(value) ? json_copy((json_t *)value)
           : name                ? json_pack("{s:s}", "preset", name)
                                 : json_object();
    return *ret ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for a recipe");
}

enum err_code recipe_parse(const json_t *value, struct recipe *ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *object = NULL;
    enum err_code r = as_object(value, &object, e);
    return r ? r : parse_object(object, ret, e);
}

/* Leaves of object what every mode has a use for. */
static enum err_code keep_shared(json_t *object, struct err *e)
{
    static const char *const shared[] = { "balanced", "preset", "precision", "precision_margin" };
    CLEANUP(json_decref_p) json_t *all = json_copy(object);
    enum err_code r = all ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for a recipe");
    json_object_clear(object);
    for (size_t i = 0; !r && i < sizeof shared / sizeof *shared; i++) {
        json_t *value = json_object_get(all, shared[i]);
        r = value ? json_put(object, shared[i], json_incref(value), e) : ERR_OK;
    }
    return r;
}

/* Whether the two say other things about a member that many defaults hang on. */
static bool differs(const json_t *base_object, const json_t *change, const char *name,
                    const char *otherwise)
{
    const json_t *a = json_object_get(base_object, name), *b = json_object_get(change, name);
    const char *was = json_is_string(a) ? json_string_value(a) : otherwise;
    return json_is_string(b) && strcmp(was, json_string_value(b)) != 0;
}

enum err_code recipe_merge(const json_t *from, const json_t *change, const char *mode,
                           struct recipe *ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *object = NULL;
    CLEANUP(json_decref_p) json_t *over = NULL;
    enum err_code r = as_object(from, &object, e);
    if (!r)
        r = as_object(change, &over, e);
    if (!r && mode)
        r = json_put(over, "mode", json_string(mode), e);
    int wanted = RECIPE_HEAD;
    const char *text = json_string_value(json_object_get(over, "mode"));
    if (!r && text)
        r = parse_mode(text, &wanted, e);
    if (!r && text)
        r = json_put(over, "mode", json_string(modes[wanted]), e);
    if (r)
        return r;
    if (differs(object, over, "mode", modes[RECIPE_HEAD]) ||
        differs(object, over, "preset", "default") || differs(object, over, "solver", "lbfgs")) {
        if (!text && json_is_string(json_object_get(object, "mode")))
            r = json_put(over, "mode", json_incref(json_object_get(object, "mode")), e);
        if (!r)
            r = keep_shared(object, e);
    }
    if (!r && json_object_update(object, over) < 0)
        r = err_set(e, ERR_NOMEM, "no memory for a recipe");
    return r ? r : parse_object(object, ret, e);
}

/* --- writing --------------------------------------------------------------------------------- */

static json_t *member_json(const struct recipe *r, int i)
{
    const void *at = (const char *)r + members[i].at;
    if (members[i].kind == JSON_KIND_INT)
        return json_integer((json_int_t) * (const int64_t *)at);
    if (members[i].kind == JSON_KIND_BOOL)
        return json_boolean(*(const bool *)at);
    return json_real(*(const double *)at);
}

static enum err_code put_special(const struct recipe *r, int kind, json_t *object)
{
    json_t *balanced = r->balanced_auto ? json_string("auto") : json_boolean(r->balanced);
    enum err_code code = json_put(object, "balanced", balanced, NULL);
    if (!code)
        code = json_put(object, "mode", json_string(modes[r->mode]), NULL);
    if (!code)
        code = json_put(object, "augment",
                        r->has_augment ? recipe_augment_json(&r->augment) : json_null(), NULL);
    if (!code && kind & TRAINED)
        code = json_put(object, "schedule",
                        json_pack("{s:s, s:f, s:f, s:f}", "kind", schedule_text(r->schedule),
                                  "every", r->every, "factor", r->factor, "last", r->last),
                        NULL);
    if (!code && kind & PARTIAL)
        code = json_put(object, "cut", json_string(r->cut), NULL);
    return code;
}

json_t *recipe_json(const struct recipe *r)
{
    CLEANUP(json_decref_p) json_t *object = json_object();
    int kind = kind_of(r);
    enum err_code code = object ? put_special(r, kind, object) : ERR_NOMEM;
    for (int i = 0; !code && i < MEMBERS; i++)
        if (members[i].modes & kind)
            code = json_put(object, members[i].name, member_json(r, i), NULL);
    for (int i = 0; !code && i < CHOICES; i++)
        if (choices[i].modes & kind) {
            int value = *(const int *)((const char *)r + choices[i].at);
            code = json_put(object, choices[i].name, json_string(choices[i].texts[value]), NULL);
        }
    return code ? NULL : STEAL(object);
}

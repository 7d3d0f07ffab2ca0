#include "nn/recipe.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"
#include "data/preprocess.h"

#include <string.h>

static const char mode_head[] = "head";
static const double penalty_max = 1e6;
static const double margin_default = 0.005;

static enum err_code parse_balanced(const json_t *value, struct recipe *ret, struct err *e)
{
    if (!value || json_is_null(value))
        return ERR_OK;
    bool is_auto = json_is_string(value) && strcmp(json_string_value(value), "auto") == 0;
    if (!json_is_boolean(value) && !is_auto)
        return err_set(e, ERR_JSON_TYPE, "recipe: balanced must be true, false or \"auto\"");
    ret->balanced_auto = is_auto;
    ret->balanced = json_is_true(value);
    return ERR_OK;
}

enum err_code recipe_parse(const json_t *object, struct recipe *ret, struct err *e)
{
    struct recipe recipe = { .mode = mode_head,
                             .balanced_auto = true,
                             .precision = PRECISION_AUTO,
                             .precision_margin = margin_default };
    const char *mode = mode_head, *precision = precision_text(PRECISION_AUTO);
    int64_t views = 1, folds = 5;
    if (!object || json_is_null(object)) {
        recipe.views = (int)views;
        recipe.folds = (int)folds;
        *ret = recipe;
        return ERR_OK;
    }
    if (!json_is_object(object))
        return err_set(e, ERR_JSON_TYPE, "recipe must be a JSON object");
    enum err_code r = parse_balanced(json_object_get(object, "balanced"), &recipe, e);
    if (r)
        return r;
    /* The one member of two types is taken out before the table sees the rest. */
    CLEANUP(json_decref_p) json_t *rest = json_copy((json_t *)object);
    if (!rest)
        return err_set(e, ERR_NOMEM, "no memory for a recipe");
    json_object_del(rest, "balanced");
    const struct json_field fields[] = {
        { "mode", JSON_KIND_STRING, false, &mode, 1, 32 },
        { "views", JSON_KIND_INT, false, &views, 1, PREPROCESS_VIEWS_MAX },
        { "folds", JSON_KIND_INT, false, &folds, 2, 10 },
        { "penalty", JSON_KIND_REAL, false, &recipe.penalty, 0, penalty_max },
        { "precision", JSON_KIND_STRING, false, &precision, 1, 32 },
        { "precision_margin", JSON_KIND_REAL, false, &recipe.precision_margin, 0, 1 },
    };
    r = json_take(rest, "recipe", fields, sizeof fields / sizeof *fields, e);
    if (r)
        return r;
    if (strcmp(mode, mode_head) != 0)
        return err_set(e, ERR_RECIPE, "recipe: mode must be \"head\", is \"%s\"", mode);
    if (!precision_parse(precision, &recipe.precision))
        return err_set(e, ERR_RECIPE,
                       "recipe: precision must be \"fp32\", \"int8\" or \"auto\", is \"%s\"",
                       precision);
    recipe.views = (int)views;
    recipe.folds = (int)folds;
    *ret = recipe;
    return ERR_OK;
}

json_t *recipe_json(const struct recipe *r)
{
    json_t *balanced = r->balanced_auto ? json_string("auto") : json_boolean(r->balanced);
    /* json_pack() takes it, also where it fails. */
    return json_pack("{s:s, s:i, s:i, s:f, s:o, s:s, s:f}", "mode", r->mode, "views", r->views,
                     "folds", r->folds, "penalty", r->penalty, "balanced", balanced, "precision",
                     precision_text(r->precision), "precision_margin", r->precision_margin);
}

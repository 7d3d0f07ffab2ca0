#include "daemon/gate.h"

#include "daemon/mcnemar.h"
#include "daemon/paired_score.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Accuracies are ratios of counts: a difference below this many pictures is rounding. */
#define COUNT_EPSILON 1e-6
/* Of smallest_difference. */
#define SHOWN_ALPHA 0.05

struct rule {
    bool non_inferiority;
    double margin, max_p;
    double min_accuracy, min_recall, max_calibration_error;
    int64_t min_holdout;
    double max_latency_ms; /* 0: any */
    int64_t max_bytes;     /* 0: any */
};

static enum err_code parse(const json_t *gate, struct rule *ret, struct err *e)
{
    struct rule rule = { .max_p = 1, .max_calibration_error = 1 };
    const char *text = "superiority";
    const struct json_field fields[] = {
        { "rule", JSON_KIND_STRING, false, &text, 0, 0 },
        { "margin", JSON_KIND_REAL, false, &rule.margin, 0, 1 },
        { "max_p", JSON_KIND_REAL, false, &rule.max_p, 0, 1 },
        { "min_accuracy", JSON_KIND_REAL, false, &rule.min_accuracy, 0, 1 },
        { "min_recall", JSON_KIND_REAL, false, &rule.min_recall, 0, 1 },
        { "max_calibration_error", JSON_KIND_REAL, false, &rule.max_calibration_error, 0, 1 },
        { "min_holdout", JSON_KIND_INT, false, &rule.min_holdout, 0, 1e9 },
        { "max_latency_ms", JSON_KIND_REAL, false, &rule.max_latency_ms, 1e-3, 1e6 },
        { "max_bytes", JSON_KIND_INT, false, &rule.max_bytes, 1, 1e15 },
    };
    if (gate && !json_is_null(gate)) {
        enum err_code r = json_take(gate, "gate", fields, sizeof fields / sizeof *fields, e);
        if (r)
            return r;
    }
    rule.non_inferiority = strcmp(text, "non_inferiority") == 0;
    if (!rule.non_inferiority && strcmp(text, "superiority") != 0)
        return err_set(e, ERR_FIELD_RANGE,
                       "gate: rule must be \"superiority\" or \"non_inferiority\", is \"%.60s\"",
                       text);
    *ret = rule;
    return ERR_OK;
}

static json_t *rule_json(const struct rule *rule)
{
    return json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:I, s:o, s:o}", "rule",
                     rule->non_inferiority ? "non_inferiority" : "superiority", "margin",
                     rule->margin, "max_p", rule->max_p, "min_accuracy", rule->min_accuracy,
                     "min_recall", rule->min_recall, "max_calibration_error",
                     rule->max_calibration_error, "min_holdout", (json_int_t)rule->min_holdout,
                     "max_latency_ms",
                     rule->max_latency_ms > 0 ? json_real(rule->max_latency_ms) : json_null(),
                     "max_bytes", rule->max_bytes ? json_integer(rule->max_bytes) : json_null());
}

enum err_code gate_check(const json_t *gate, json_t **ret, struct err *e)
{
    struct rule rule = { 0 };
    enum err_code r = parse(gate, &rule, e);
    if (r)
        return r;
    json_t *full = rule_json(&rule);
    if (!full)
        return err_set(e, ERR_NOMEM, "no memory for a gate");
    *ret = full;
    return ERR_OK;
}

bool gate_wants_latency(const json_t *gate)
{
    struct rule rule = { 0 };
    return parse(gate, &rule, NULL) == ERR_OK && rule.max_latency_ms > 0;
}

/* -- what the decision is made from ---------------------------------------------------------- */

/* Borrowed from the report. */
struct facts {
    const char *split, *holdout;
    json_int_t count;
    double accuracy, majority, calibration_error;
    const json_t *worst; /* class of the least recall; NULL: none has pictures */
    double worst_recall;
    double latency_ms; /* 0: not measured */
    int64_t bytes;
    int64_t champion_version; /* 0: none, and so is what follows */
    double champion;          /* accuracy */
    const json_t *paired;
    json_int_t both, only_challenger, only_champion, neither;
};

static enum err_code incomplete(const json_error_t *error, struct err *e)
{
    return err_set(e, ERR_INTERNAL, "the training report is incomplete: %s", error->text);
}

static enum err_code read_classes(const json_t *classes, struct facts *f, struct err *e)
{
    size_t i;
    json_t *one;
    json_array_foreach ((json_t *)classes, i, one) {
        double recall;
        json_int_t support;
        json_error_t error;
        if (json_unpack_ex(one, &error, 0, "{s:F, s:I}", "recall", &recall, "support", &support))
            return incomplete(&error, e);
        if (support && (!f->worst || recall < f->worst_recall)) {
            f->worst = one;
            f->worst_recall = recall;
        }
    }
    return ERR_OK;
}

static enum err_code read_champion(const json_t *report, struct facts *f, struct err *e)
{
    json_error_t error;
    f->paired = json_object_get(report, "paired");
    if (json_unpack_ex((json_t *)report, &error, 0, "{s:{s:F}, s:{s:I, s:I, s:I, s:I}}",
                       "champion_metrics", "accuracy", &f->champion, "paired", "both", &f->both,
                       "only_challenger", &f->only_challenger, "only_champion", &f->only_champion,
                       "neither", &f->neither))
        return incomplete(&error, e);
    if (f->only_challenger < 0 || f->only_champion < 0 ||
        f->both + f->only_challenger + f->only_champion + f->neither != f->count)
        return err_set(e, ERR_INTERNAL,
                       "the training report's paired counts do not add up to the holdout's %" PRId64
                       " pictures",
                       (int64_t)f->count);
    return ERR_OK;
}

static enum err_code read_report(const json_t *report, struct facts *ret, struct err *e)
{
    const json_t *classes;
    json_error_t error;
    if (json_unpack_ex((json_t *)report, &error, 0,
                       "{s:{s:s, s:I, s:s}, s:{s:F, s:F, s:o}, s:F, s?F}", "holdout", "split",
                       &ret->split, "count", &ret->count, "digest", &ret->holdout, "metrics",
                       "accuracy", &ret->accuracy, "calibration_error", &ret->calibration_error,
                       "per_class", &classes, "majority_accuracy", &ret->majority, "latency_ms",
                       &ret->latency_ms))
        return incomplete(&error, e);
    enum err_code r = read_classes(classes, ret, e);
    return r || !ret->champion_version ? r : read_champion(report, ret, e);
}

/* -- the rules --------------------------------------------------------------------------------- */

static enum err_code reason(json_t *reasons, struct err *e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static enum err_code reason(json_t *reasons, struct err *e, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    json_t *text = json_vsprintf(format, ap);
    va_end(ap);
    if (!text || json_array_append_new(reasons, text) < 0)
        return err_set(e, ERR_NOMEM, "no memory for a gate decision");
    return ERR_OK;
}

static double non_inferiority_p(const struct rule *rule, const struct facts *f)
{
    return paired_score_p(f->only_challenger, f->only_champion, f->count, rule->margin);
}

/* In pictures, because both answered the same ones. */
static enum err_code against_champion(const struct rule *rule, const struct facts *f,
                                      json_t *reasons, struct err *e)
{
    double gain = (double)(f->only_challenger - f->only_champion);
    double margin = rule->margin * (double)f->count;
    bool ok =
        rule->non_inferiority ? gain >= -margin - COUNT_EPSILON : gain > margin + COUNT_EPSILON;
    if (!ok)
        return reason(reasons, e,
                      "accuracy %.4f is %s the margin %g %s the %.4f of version %" PRId64
                      " (%" PRId64 " pictures of %" PRId64
                      " right by the challenger alone, %" PRId64 " by the champion alone)",
                      f->accuracy, rule->non_inferiority ? "more than" : "not more than",
                      rule->margin, rule->non_inferiority ? "below" : "above", f->champion,
                      f->champion_version, (int64_t)f->only_challenger, (int64_t)f->count,
                      (int64_t)f->only_champion);
    double p = rule->non_inferiority ? non_inferiority_p(rule, f)
                                     : mcnemar_p(f->only_challenger, f->only_champion);
    if (rule->non_inferiority && p > rule->max_p)
        return reason(reasons, e,
                      "%" PRId64
                      " pictures cannot tell that it is not worse by the margin %g: with "
                      "a gain of %g pictures the one-sided p is %.4g, more than %g",
                      (int64_t)f->count, rule->margin, gain, p, rule->max_p);
    if (p > rule->max_p)
        return reason(reasons, e,
                      "the gain of %g pictures has an exact McNemar p of %.4g, more than %g", gain,
                      p, rule->max_p);
    return ERR_OK;
}

static enum err_code against_majority(const struct facts *f, json_t *reasons, struct err *e)
{
    if ((f->accuracy - f->majority) * (double)f->count > COUNT_EPSILON)
        return ERR_OK;
    return reason(reasons, e,
                  "accuracy %.4f on %" PRId64
                  " pictures is not above the %.4f of always answering the largest class",
                  f->accuracy, (int64_t)f->count, f->majority);
}

static enum err_code against_floors(const struct rule *rule, const struct facts *f, json_t *reasons,
                                    struct err *e)
{
    enum err_code r = ERR_OK;
    if (f->accuracy < rule->min_accuracy)
        r = reason(reasons, e, "accuracy %.4f is below the required minimum %g", f->accuracy,
                   rule->min_accuracy);
    if (!r && f->worst && f->worst_recall < rule->min_recall)
        r = reason(reasons, e, "recall %.4f of \"%s\" (%" PRId64 " pictures) is below the floor %g",
                   f->worst_recall, json_string_value(json_object_get(f->worst, "label")),
                   (int64_t)json_integer_value(json_object_get(f->worst, "support")),
                   rule->min_recall);
    if (!r && f->calibration_error > rule->max_calibration_error)
        r = reason(reasons, e, "calibration error %.4f is above the ceiling %g",
                   f->calibration_error, rule->max_calibration_error);
    if (!r && f->count < rule->min_holdout)
        r = reason(reasons, e,
                   "the holdout has %" PRId64 " pictures, fewer than the required %" PRId64,
                   (int64_t)f->count, rule->min_holdout);
    return r;
}

static enum err_code against_ceilings(const struct rule *rule, const struct facts *f,
                                      json_t *reasons, struct err *e)
{
    enum err_code r = ERR_OK;
    if (rule->max_latency_ms > 0 && !(f->latency_ms > 0))
        r = reason(reasons, e, "the latency was not measured, so the ceiling %g ms cannot be held",
                   rule->max_latency_ms);
    else if (rule->max_latency_ms > 0 && f->latency_ms > rule->max_latency_ms)
        r = reason(reasons, e, "a picture takes %.2f ms, more than the ceiling %g ms",
                   f->latency_ms, rule->max_latency_ms);
    if (!r && rule->max_bytes && f->bytes > rule->max_bytes)
        r = reason(reasons, e, "the file has %" PRId64 " bytes, more than the ceiling %" PRId64,
                   f->bytes, rule->max_bytes);
    return r;
}

/* -- the decision ------------------------------------------------------------------------------ */

static json_t *number_or_null(bool present, double value)
{
    return present ? json_real(value) : json_null();
}

static json_t *worst_json(const struct facts *f)
{
    if (!f->worst)
        return json_null();
    return json_pack("{s:O, s:f, s:O}", "label", json_object_get(f->worst, "label"), "recall",
                     f->worst_recall, "support", json_object_get(f->worst, "support"));
}

static json_t *decision_json(const struct rule *rule, const struct facts *f, json_t *reasons)
{
    bool champion = f->champion_version != 0;
    int64_t discordant = f->only_challenger + f->only_champion;
    json_t *o = rule_json(rule);
    CLEANUP(json_decref_p)
    json_t *found = json_pack(
        "{s:b, s:O, s:o, s:{s:s, s:I, s:s}, s:f, s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:f, s:o, s:I}",
        "passed", json_array_size(reasons) == 0, "reasons", reasons, "champion",
        champion ? json_integer(f->champion_version) : json_null(), "holdout", "split", f->split,
        "count", f->count, "digest", f->holdout, "accuracy", f->accuracy, "champion_accuracy",
        number_or_null(champion, f->champion), "majority_accuracy", f->majority, "paired",
        champion ? json_deep_copy(f->paired) : json_null(), "mcnemar_p",
        number_or_null(champion, mcnemar_p(f->only_challenger, f->only_champion)),
        "non_inferiority_p",
        number_or_null(champion && rule->non_inferiority && f->count > 0,
                       non_inferiority_p(rule, f)),
        "smallest_difference",
        number_or_null(champion && f->count > 0,
                       (double)mcnemar_smallest(discordant, SHOWN_ALPHA) / (double)f->count),
        "worst_recall", worst_json(f), "calibration_error", f->calibration_error, "latency_ms",
        number_or_null(f->latency_ms > 0, f->latency_ms), "bytes", (json_int_t)f->bytes);
    if (o && found && json_object_update(o, found) == 0)
        return o;
    json_decref(o);
    return NULL;
}

enum err_code gate_decide(const json_t *gate, const json_t *report, int64_t champion_version,
                          int64_t bytes, json_t **ret, struct err *e)
{
    struct rule rule = { 0 };
    struct facts f = { .champion_version = champion_version, .bytes = bytes };
    enum err_code r = parse(gate, &rule, e);
    if (!r)
        r = read_report(report, &f, e);
    if (r)
        return r;

    CLEANUP(json_decref_p) json_t *reasons = json_array();
    if (!reasons)
        return err_set(e, ERR_NOMEM, "no memory for a gate decision");
    r = champion_version ? against_champion(&rule, &f, reasons, e)
                         : against_majority(&f, reasons, e);
    if (!r)
        r = against_floors(&rule, &f, reasons, e);
    if (!r)
        r = against_ceilings(&rule, &f, reasons, e);
    if (r)
        return r;
    json_t *decision = decision_json(&rule, &f, reasons);
    if (!decision)
        return err_set(e, ERR_NOMEM, "no memory for a gate decision");
    *ret = decision;
    return ERR_OK;
}

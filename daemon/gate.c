#include "daemon/gate.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Accuracies are ratios of counts: a difference below this many pictures is rounding. */
#define COUNT_EPSILON 1e-6

struct rule {
    bool non_inferiority;
    double margin;
    double min_accuracy;
};

static const char *rule_text(const struct rule *rule)
{
    return rule->non_inferiority ? "non_inferiority" : "superiority";
}

static enum err_code parse(const json_t *gate, struct rule *ret, struct err *e)
{
    struct rule rule = { 0 };
    const char *text = "superiority";
    const struct json_field fields[] = {
        { "rule", JSON_KIND_STRING, false, &text, 0, 0 },
        { "margin", JSON_KIND_REAL, false, &rule.margin, 0, 1 },
        { "min_accuracy", JSON_KIND_REAL, false, &rule.min_accuracy, 0, 1 },
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

enum err_code gate_check(const json_t *gate, json_t **ret, struct err *e)
{
    struct rule rule = { 0 };
    enum err_code r = parse(gate, &rule, e);
    if (r)
        return r;
    json_t *full = json_pack("{s:s, s:f, s:f}", "rule", rule_text(&rule), "margin", rule.margin,
                             "min_accuracy", rule.min_accuracy);
    if (!full)
        return err_set(e, ERR_NOMEM, "no memory for a gate");
    *ret = full;
    return ERR_OK;
}

/* Two-sided exact conditional test: twice the lower tail of Binomial(b + c, 1/2) at min(b, c), at
 * most 1 (McNemar 1947; Fagerland, Lydersen & Laake 2013). Summed from the largest term down. */
static double mcnemar_exact(int64_t b, int64_t c)
{
    double n = (double)(b + c), k = (double)(b < c ? b : c);
    int sign;
    double log_term =
        lgamma_r(n + 1, &sign) - lgamma_r(k + 1, &sign) - lgamma_r(n - k + 1, &sign) - n * M_LN2;
    double ratio = 1, sum = 0;
    for (double i = k; i >= 0 && ratio > 1e-18; i--) {
        sum += ratio;
        ratio *= i / (n - i + 1);
    }
    double p = 2 * exp(log_term) * sum;
    return p < 1 ? p : 1;
}

/* What the decision is made from; borrowed from the report. */
struct facts {
    const char *split, *holdout;
    json_int_t count;
    double accuracy, majority;
    double champion; /* accuracy; only with paired */
    const json_t *paired;
    json_int_t both, only_challenger, only_champion, neither;
};

static enum err_code read_report(const json_t *report, int64_t champion_version, struct facts *ret,
                                 struct err *e)
{
    struct facts f = { 0 };
    json_error_t error;
    int bad = json_unpack_ex((json_t *)report, &error, 0, "{s:{s:s, s:I, s:s}, s:{s:F}, s:F}",
                             "holdout", "split", &f.split, "count", &f.count, "digest", &f.holdout,
                             "metrics", "accuracy", &f.accuracy, "majority_accuracy", &f.majority);
    if (!bad && champion_version) {
        f.paired = json_object_get(report, "paired");
        bad = json_unpack_ex((json_t *)report, &error, 0, "{s:{s:F}, s:{s:I, s:I, s:I, s:I}}",
                             "champion_metrics", "accuracy", &f.champion, "paired", "both", &f.both,
                             "only_challenger", &f.only_challenger, "only_champion",
                             &f.only_champion, "neither", &f.neither);
    }
    if (bad)
        return err_set(e, ERR_INTERNAL, "the training report is incomplete: %s", error.text);
    if (f.only_challenger < 0 || f.only_champion < 0 ||
        (champion_version && f.both + f.only_challenger + f.only_champion + f.neither != f.count))
        return err_set(e, ERR_INTERNAL,
                       "the training report's paired counts do not add up to the holdout's %" PRId64
                       " pictures",
                       (int64_t)f.count);
    *ret = f;
    return ERR_OK;
}

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

/* Against the champion, in pictures, because both answered the same ones. */
static enum err_code against_champion(const struct rule *rule, const struct facts *f,
                                      int64_t version, json_t *reasons, struct err *e)
{
    double gain = (double)(f->only_challenger - f->only_champion);
    double margin = rule->margin * (double)f->count;
    if (rule->non_inferiority && gain < -margin - COUNT_EPSILON)
        return reason(reasons, e,
                      "accuracy %.4f is more than the margin %g below the %.4f of version %" PRId64
                      " (%" PRId64 " pictures of %" PRId64
                      " right by the challenger alone, %" PRId64 " by the champion alone)",
                      f->accuracy, rule->margin, f->champion, version, (int64_t)f->only_challenger,
                      (int64_t)f->count, (int64_t)f->only_champion);
    if (!rule->non_inferiority && gain <= margin + COUNT_EPSILON)
        return reason(reasons, e,
                      "accuracy %.4f is not more than the margin %g above the %.4f of version "
                      "%" PRId64 " (%" PRId64 " pictures of %" PRId64
                      " right by the challenger alone, %" PRId64 " by the champion alone)",
                      f->accuracy, rule->margin, f->champion, version, (int64_t)f->only_challenger,
                      (int64_t)f->count, (int64_t)f->only_champion);
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

static json_t *number_or_null(bool present, double value)
{
    return present ? json_real(value) : json_null();
}

enum err_code gate_decide(const json_t *gate, const json_t *report, int64_t champion_version,
                          json_t **ret, struct err *e)
{
    struct rule rule = { 0 };
    struct facts f = { 0 };
    enum err_code r = parse(gate, &rule, e);
    if (!r)
        r = read_report(report, champion_version, &f, e);
    if (r)
        return r;

    CLEANUP(json_decref_p) json_t *reasons = json_array();
    if (!reasons)
        return err_set(e, ERR_NOMEM, "no memory for a gate decision");
    bool has_champion = champion_version != 0;
    r = has_champion ? against_champion(&rule, &f, champion_version, reasons, e)
                     : against_majority(&f, reasons, e);
    if (!r && f.accuracy < rule.min_accuracy)
        r = reason(reasons, e, "accuracy %.4f is below the required minimum %g", f.accuracy,
                   rule.min_accuracy);
    if (r)
        return r;

    json_t *decision = json_pack(
        "{s:b, s:s, s:f, s:f, s:O, s:o, s:{s:s, s:I, s:s}, s:f, s:o, s:f, s:o, s:o}", "passed",
        json_array_size(reasons) == 0, "rule", rule_text(&rule), "margin", rule.margin,
        "min_accuracy", rule.min_accuracy, "reasons", reasons, "champion",
        has_champion ? json_integer(champion_version) : json_null(), "holdout", "split", f.split,
        "count", f.count, "digest", f.holdout, "accuracy", f.accuracy, "champion_accuracy",
        number_or_null(has_champion, f.champion), "majority_accuracy", f.majority, "paired",
        has_champion ? json_deep_copy(f.paired) : json_null(), "mcnemar_p",
        number_or_null(has_champion, mcnemar_exact(f.only_challenger, f.only_champion)));
    if (!decision)
        return err_set(e, ERR_NOMEM, "no memory for a gate decision");
    *ret = decision;
    return ERR_OK;
}

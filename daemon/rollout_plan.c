#include "daemon/rollout_plan.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <string.h>

enum { REQUESTS_MAX = 100000000, SECONDS_MAX = 365 * 86400, REASON_MAX = 1000 };
static const double version_max = 1e15;
/* Bounds of a share that a test can be made of. */
static const double share_min = 0.0001, share_max = 0.99;
static const double tolerance = 0.05, excess = 0.15, expected_max = 0.8;
/* Of two shares that are to be told apart: a test of closer ones takes for ever. */
static const double least_ratio = 1.01;

static enum err_code read_version(const json_t *object, const char *what, int64_t *ret,
                                  int64_t *ret_percent, struct err *e)
{
    const struct json_field fields[] = {
        { "version", JSON_KIND_INT, true, ret, 1, version_max },
        { "percent", JSON_KIND_INT, false, ret_percent, 1, 99 },
    };
    return object ? json_take(object, what, fields, ret_percent ? 2 : 1, e) : ERR_OK;
}

static enum err_code read_steps(const json_t *list, int64_t percent, struct rollout_plan *p,
                                struct err *e)
{
    static const int usual[] = { 5, 25, 50, 100 };
    size_t count = list ? json_array_size(list) : sizeof usual / sizeof *usual;
    int before = 0;
    p->step_count = 0;
    if (percent)
        p->steps[p->step_count++] = (int)percent;
    for (size_t i = 0; i < count; i++) {
        json_int_t step = list ? json_integer_value(json_array_get(list, i)) : usual[i];
        if (step <= before || step > 100)
            return err_set(e, ERR_FIELD_RANGE,
                           "field \"steps\" must be whole numbers that rise from 1 to 100");
        before = (int)step;
        if (step <= percent)
            continue;
        if (p->step_count == ROLLOUT_STEPS)
            return err_set(e, ERR_FIELD_RANGE, "a rollout takes at most %d steps", ROLLOUT_STEPS);
        p->steps[p->step_count++] = before;
    }
    if (before != 100 || p->step_count < 2)
        return err_set(e, ERR_FIELD_RANGE,
                       "field \"steps\" must end with 100, and something less must come before");
    return ERR_OK;
}

static enum err_code read_rules(const json_t *rules, struct rollout_plan *p, struct err *e)
{
    const struct json_field fields[] = {
        { "alpha", JSON_KIND_REAL, false, &p->alpha, 1e-6, 0.5 },
        { "beta", JSON_KIND_REAL, false, &p->beta, 1e-6, 0.4 },
        { "expected_disagreement", JSON_KIND_REAL, false, &p->expected_disagreement, share_min,
          share_max },
        { "max_disagreement", JSON_KIND_REAL, false, &p->max_disagreement, share_min, share_max },
        { "max_error_rate", JSON_KIND_REAL, false, &p->max_error_rate, 0.001, share_max },
        { "max_p99_ratio", JSON_KIND_REAL, false, &p->max_p99_ratio, 1, 1000 },
        { "max_feedback_losses", JSON_KIND_REAL, false, &p->max_feedback_losses, 0.51, share_max },
        { "min_feedback", JSON_KIND_INT, false, &p->min_feedback, 0, REQUESTS_MAX },
    };
    return rules ? json_take(rules, "rules", fields, sizeof fields / sizeof *fields, e) : ERR_OK;
}

static enum err_code read_approve(const char *approve, struct rollout_plan *p, struct err *e)
{
    p->manual = strcmp(approve, "manual") == 0;
    if (p->manual || strcmp(approve, "auto") == 0)
        return ERR_OK;
    return err_set(e, ERR_FIELD_RANGE,
                   "field \"approve\" must be \"auto\" or \"manual\", is \"%.40s\"", approve);
}

enum err_code rollout_plan_read(const json_t *body, struct rollout_plan *ret,
                                const char **ret_reason, struct err *e)
{
    struct rollout_plan p = { .min_requests = 100,
                              .min_seconds = 60,
                              .alpha = 0.05,
                              .beta = 0.1,
                              .expected_disagreement = -1,
                              .max_disagreement = -1,
                              .max_error_rate = 0.05,
                              .max_p99_ratio = 3,
                              .max_feedback_losses = 0.75 };
    json_t *canary = NULL, *shadow = NULL, *steps = NULL, *rules = NULL;
    const char *approve = "auto", *reason = NULL;
    int64_t percent = 0;
    const struct json_field fields[] = {
        { "canary", JSON_KIND_OBJECT, false, &canary, 0, 0 },
        { "shadow", JSON_KIND_OBJECT, false, &shadow, 0, 0 },
        { "steps", JSON_KIND_ARRAY, false, &steps, 0, 0 },
        { "min_requests", JSON_KIND_INT, false, &p.min_requests, 1, REQUESTS_MAX },
        { "min_seconds", JSON_KIND_INT, false, &p.min_seconds, 0, SECONDS_MAX },
        { "approve", JSON_KIND_STRING, false, &approve, 0, 0 },
        { "force", JSON_KIND_BOOL, false, &p.force, 0, 0 },
        { "reason", JSON_KIND_STRING, false, &reason, 1, REASON_MAX },
        { "rules", JSON_KIND_OBJECT, false, &rules, 0, 0 },
    };
    enum err_code r = json_take(body, "the rollout", fields, sizeof fields / sizeof *fields, e);
    if (!r && !canary && !shadow)
        r = err_set(e, ERR_FIELD_MISSING, "the rollout: \"canary\" or \"shadow\" is missing");
    if (!r && p.force && !reason)
        r = err_set(e, ERR_FIELD_MISSING, "the rollout: \"force\" needs a \"reason\"");
    if (!r)
        r = read_version(canary, "canary", &p.canary, &percent, e);
    if (!r)
        r = read_version(shadow, "shadow", &p.shadow, NULL, e);
    if (!r && canary)
        r = read_steps(steps, percent, &p, e);
    if (!r)
        r = read_rules(rules, &p, e);
    if (!r)
        r = read_approve(approve, &p, e);
    if (r)
        return r;
    *ret = p;
    *ret_reason = reason;
    return ERR_OK;
}

enum err_code rollout_plan_expect(struct rollout_plan *p, double disagreement, struct err *e)
{
    double expected = p->expected_disagreement, most = p->max_disagreement;
    if (expected < 0)
        expected =
            disagreement + tolerance < expected_max ? disagreement + tolerance : expected_max;
    if (most < 0)
        most = expected + excess < share_max ? expected + excess : share_max;
    if (most < expected * least_ratio)
        return err_set(e, ERR_FIELD_RANGE,
                       "a share of %g of the answers is expected to differ from production's: "
                       "max_disagreement must be %g times that at least, is %g",
                       expected, least_ratio, most);
    p->expected_disagreement = expected;
    p->max_disagreement = most;
    return ERR_OK;
}

static json_t *steps_json(const struct rollout_plan *p)
{
    json_t *list = json_array();
    for (int i = 0; i < p->step_count; i++)
        if (json_array_append_new(list, json_integer(p->steps[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *version_json(int64_t version)
{
    return version ? json_pack("{s:I}", "version", (json_int_t)version) : json_null();
}

json_t *rollout_plan_json(const struct rollout_plan *p)
{
    return json_pack(
        "{s:o, s:o, s:o, s:I, s:I, s:s, s:b, s:{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I}}", "canary",
        version_json(p->canary), "shadow", version_json(p->shadow), "steps", steps_json(p),
        "min_requests", (json_int_t)p->min_requests, "min_seconds", (json_int_t)p->min_seconds,
        "approve", p->manual ? "manual" : "auto", "force", p->force, "rules", "alpha", p->alpha,
        "beta", p->beta, "expected_disagreement", p->expected_disagreement, "max_disagreement",
        p->max_disagreement, "max_error_rate", p->max_error_rate, "max_p99_ratio", p->max_p99_ratio,
        "max_feedback_losses", p->max_feedback_losses, "min_feedback", (json_int_t)p->min_feedback);
}

enum err_code rollout_plan_parse(const json_t *stored, struct rollout_plan *ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *body = json_copy((json_t *)stored);
    const char *reason;
    /* It was said when the rollout began. */
    enum err_code r = json_put(body, "reason", json_string("kept"), e);
    if (!r && !json_array_size(json_object_get(body, "steps")))
        json_object_del(body, "steps");
    return r ? r : rollout_plan_read(body, ret, &reason, e);
}

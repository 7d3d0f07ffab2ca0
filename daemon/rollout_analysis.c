#include "daemon/rollout_analysis.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[ROLLOUT_RULES] = { "errors", "latency", "disagreement", "feedback" };

static const char *const meanings[ROLLOUT_RULES] = {
    [RULE_ERRORS] = "failed where production did not",
    [RULE_LATENCY] = "were slower than production's p99 allows",
    [RULE_DISAGREEMENT] = "had another label than production's",
    [RULE_FEEDBACK] = "were wrong where production was right, of those on which one was",
};

void rollout_analysis_begin(struct rollout_analysis *a, const struct rollout_plan *p, bool first)
{
    if (first)
        memset(a, 0, sizeof *a);
    a->requests = a->told = 0;
    a->min_requests = p->min_requests;
    a->min_feedback = p->min_feedback;
    a->max_p99_ratio = p->max_p99_ratio;
    /* The last step is the promotion; a shadow alone has none. */
    int steps = p->step_count > 1 ? p->step_count - 1 : 1;
    double alpha = p->alpha / (ROLLOUT_RULES * steps);
    const double bounds[ROLLOUT_RULES][2] = {
        [RULE_ERRORS] = { p->max_error_rate / 10, p->max_error_rate },
        [RULE_LATENCY] = { 0.02, 0.1 },
        [RULE_DISAGREEMENT] = { p->expected_disagreement, p->max_disagreement },
        [RULE_FEEDBACK] = { 0.5, p->max_feedback_losses },
    };
    for (int i = 0; i < ROLLOUT_RULES; i++)
        sprt_watch_init(&a->rules[i], bounds[i][0], bounds[i][1], alpha, p->beta);
}

void rollout_analysis_pair(struct rollout_analysis *a, bool canary_failed, bool differs)
{
    a->requests++;
    sprt_watch_add(&a->rules[RULE_ERRORS], canary_failed);
    if (!canary_failed)
        sprt_watch_add(&a->rules[RULE_DISAGREEMENT], differs);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The nearest rank. */
static int64_t p99(const struct rollout_analysis *a)
{
    int64_t sorted[LATENCY_WINDOW];
    size_t count =
        a->latency_seen < LATENCY_WINDOW ? (size_t)a->latency_seen : (size_t)LATENCY_WINDOW;
    memcpy(sorted, a->latency, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare);
    return sorted[(count * 99 + 99) / 100 - 1];
}

void rollout_analysis_production_us(struct rollout_analysis *a, int64_t us)
{
    a->latency[a->latency_seen++ % LATENCY_WINDOW] = us;
    if (a->latency_seen >= LATENCY_LEAST && (!a->p99_us || a->latency_seen % 32 == 0))
        a->p99_us = p99(a);
}

void rollout_analysis_canary_us(struct rollout_analysis *a, int64_t us)
{
    if (a->p99_us)
        sprt_watch_add(&a->rules[RULE_LATENCY], (double)us > a->max_p99_ratio * (double)a->p99_us);
}

void rollout_analysis_feedback(struct rollout_analysis *a, bool canary_right, bool production_right)
{
    a->told++;
    if (canary_right != production_right)
        sprt_watch_add(&a->rules[RULE_FEEDBACK], production_right);
}

const char *rollout_analysis_failed(const struct rollout_analysis *a)
{
    for (int i = 0; i < ROLLOUT_RULES; i++)
        if (a->rules[i].failed)
            return names[i];
    return NULL;
}

enum rollout_verdict rollout_analysis_verdict(const struct rollout_analysis *a,
                                              char ret_reason[ROLLOUT_REASON])
{
    for (int i = 0; i < ROLLOUT_RULES; i++) {
        const struct sprt_watch *w = &a->rules[i];
        if (!w->failed)
            continue;
        snprintf(ret_reason, ROLLOUT_REASON,
                 "%s: %" PRId64 " of the canary's %" PRId64 " answers %s: a share of %.3g, not "
                 "%.3g (error rate %.2g)",
                 names[i], w->hits, w->count, meanings[i], w->p1, w->p0, w->alpha);
        return ROLLOUT_FAILS;
    }
    const struct sprt_watch *latency = &a->rules[RULE_LATENCY];
    bool passed = a->rules[RULE_ERRORS].passed && a->rules[RULE_DISAGREEMENT].passed &&
                  (latency->passed || !latency->count) && a->requests >= a->min_requests &&
                  a->told >= a->min_feedback;
    return passed ? ROLLOUT_PASSES : ROLLOUT_GOES_ON;
}

static json_t *rule_json(const struct sprt_watch *w, const char *name)
{
    return json_pack("{s:s, s:f, s:f, s:f, s:f, s:I, s:I, s:i, s:f, s:s, s:I}", "rule", name, "p0",
                     w->p0, "p1", w->p1, "alpha", w->alpha, "beta", w->beta, "count",
                     (json_int_t)w->count, "hits", (json_int_t)w->hits, "runs", w->run, "ratio",
                     w->test.ratio, "state",
                     w->failed   ? "failed"
                     : w->passed ? "passed"
                                 : "undecided",
                     "fastest_rejection", (json_int_t)sprt_watch_fastest(w));
}

static bool restore_rule(struct sprt_watch *w, const json_t *test, const char *name)
{
    struct sprt_watch left = { 0 };
    json_int_t count, hits;
    const char *rule;
    if (json_unpack((json_t *)test, "{s:s, s:I, s:I, s:i, s:F}", "rule", &rule, "count", &count,
                    "hits", &hits, "runs", &left.run, "ratio", &left.test.ratio) < 0)
        return false;
    left.count = count;
    left.hits = hits;
    return strcmp(rule, name) == 0 && sprt_watch_restore(w, &left);
}

bool rollout_analysis_restore(struct rollout_analysis *a, const json_t *kept)
{
    struct rollout_analysis next = *a;
    json_int_t requests, told;
    const json_t *tests;
    if (json_unpack((json_t *)kept, "{s:I, s:I, s:o}", "requests", &requests, "feedback", &told,
                    "tests", &tests) < 0 ||
        requests < 0 || told < 0)
        return false;
    for (int i = 0; i < ROLLOUT_RULES; i++)
        if (!restore_rule(&next.rules[i], json_array_get(tests, (size_t)i), names[i]))
            return false;
    next.requests = requests;
    next.told = told;
    *a = next;
    return true;
}

json_t *rollout_analysis_json(const struct rollout_analysis *a)
{
    json_t *tests = json_array();
    for (int i = 0; i < ROLLOUT_RULES; i++)
        if (json_array_append_new(tests, rule_json(&a->rules[i], names[i])) < 0) {
            json_decref(tests);
            return NULL;
        }
    return json_pack("{s:I, s:I, s:o, s:o}", "requests", (json_int_t)a->requests, "feedback",
                     (json_int_t)a->told, "production_p99_us",
                     a->p99_us ? json_integer(a->p99_us) : json_null(), "tests", tests);
}

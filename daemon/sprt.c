#include "daemon/sprt.h"

#include <assert.h>
#include <math.h>

void sprt_init(struct sprt *s, double p0, double p1, double alpha, double beta)
{
    assert(0 < p0 && p0 < p1 && p1 < 1 && 0 < alpha && 0 < beta && alpha + beta < 1);
    *s = (struct sprt){ .hit = log(p1 / p0),
                        .miss = log((1 - p1) / (1 - p0)),
                        .accept = log(beta / (1 - alpha)),
                        .reject = log((1 - beta) / alpha) };
}

enum sprt_verdict sprt_verdict(const struct sprt *s)
{
    if (s->ratio >= s->reject)
        return SPRT_REJECTS;
    return s->ratio <= s->accept ? SPRT_ACCEPTS : SPRT_GOES_ON;
}

enum sprt_verdict sprt_add(struct sprt *s, bool hit)
{
    if (sprt_verdict(s) == SPRT_GOES_ON)
        s->ratio += hit ? s->hit : s->miss;
    return sprt_verdict(s);
}

/* With alpha (1 - beta) Wald's upper bound is log(1 / alpha). */
static void begin_run(struct sprt_watch *w)
{
    w->run++;
    double alpha = w->alpha / ((double)w->run * (w->run + 1));
    sprt_init(&w->test, w->p0, w->p1, alpha * (1 - w->beta), w->beta);
}

void sprt_watch_init(struct sprt_watch *w, double p0, double p1, double alpha, double beta)
{
    *w = (struct sprt_watch){ .p0 = p0, .p1 = p1, .alpha = alpha, .beta = beta };
    begin_run(w);
}

enum { RUNS_MAX = 1 << 20 };

bool sprt_watch_restore(struct sprt_watch *w, const struct sprt_watch *left)
{
    struct sprt_watch next = { .p0 = w->p0, .p1 = w->p1, .alpha = w->alpha, .beta = w->beta };
    if (left->run < 1 || left->run > RUNS_MAX || left->hits < 0 || left->count < left->hits)
        return false;
    next.run = left->run - 1;
    begin_run(&next);
    next.test.ratio = left->test.ratio;
    enum sprt_verdict verdict = sprt_verdict(&next.test);
    if (!isfinite(left->test.ratio) || verdict == SPRT_ACCEPTS)
        return false;
    next.count = left->count;
    next.hits = left->hits;
    next.passed = left->run > 1;
    next.failed = verdict == SPRT_REJECTS;
    *w = next;
    return true;
}

void sprt_watch_add(struct sprt_watch *w, bool hit)
{
    if (w->failed)
        return;
    w->count++;
    w->hits += hit;
    switch (sprt_add(&w->test, hit)) {
    case SPRT_GOES_ON:
        break;
    case SPRT_ACCEPTS:
        w->passed = true;
        begin_run(w);
        break;
    case SPRT_REJECTS:
        w->failed = true;
        break;
    }
}

int64_t sprt_watch_fastest(const struct sprt_watch *w)
{
    struct sprt_watch fresh;
    sprt_watch_init(&fresh, w->p0, w->p1, w->alpha, w->beta);
    while (!fresh.failed)
        sprt_watch_add(&fresh, true);
    return fresh.count;
}

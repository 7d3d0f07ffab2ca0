#include "nn/schedule.h"

#include <math.h>
#include <string.h>

/* OneCycleLR's defaults. */
static const double rise = 0.3, start_divisor = 25, end_divisor = 25 * 1e4;

static const char *const texts[SCHEDULE_KINDS] = {
    [SCHEDULE_CONSTANT] = "constant",
    [SCHEDULE_STEP] = "step",
    [SCHEDULE_COSINE] = "cosine",
    [SCHEDULE_ONE_CYCLE] = "one_cycle",
};

const char *schedule_text(enum schedule_kind k)
{
    return texts[k];
}

bool schedule_parse(const char *text, enum schedule_kind *ret)
{
    for (int i = 0; i < SCHEDULE_KINDS; i++)
        if (strcmp(text, texts[i]) == 0) {
            *ret = (enum schedule_kind)i;
            return true;
        }
    return false;
}

/* Half a wave from a (at 0) to b (at 1). */
static double wave(double a, double b, double part)
{
    return b + (a - b) * (1 + cos(M_PI * part)) / 2;
}

/* Its phases end on steps, so that a cycle of a few steps has a peak still. */
static double one_cycle(double rate, double t, double n)
{
    double peak = rise * n - 1, end = n - 1;
    if (t <= peak)
        return wave(rate / start_divisor, rate, t / peak);
    return end > peak ? wave(rate, rate / end_divisor, (t - peak) / (end - peak)) : rate;
}

double schedule_rate(const struct schedule *s, int64_t step)
{
    if (step < s->warmup)
        return s->rate * (double)(step + 1) / (double)s->warmup;
    int64_t n = s->steps - s->warmup;
    int64_t t = step - s->warmup;
    if (t >= n)
        t = n > 0 ? n - 1 : 0;
    int64_t falls = t / s->every;
    switch (s->kind) {
    case SCHEDULE_STEP:
        return s->rate * pow(s->factor, (double)falls);
    case SCHEDULE_COSINE:
        return n > 0 ? wave(s->rate, s->last, (double)t / (double)n) : s->rate;
    case SCHEDULE_ONE_CYCLE:
        return n > 0 ? one_cycle(s->rate, (double)t, (double)n) : s->rate;
    case SCHEDULE_CONSTANT:
        break;
    }
    return s->rate;
}

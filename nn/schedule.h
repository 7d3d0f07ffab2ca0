/* schedule.h -- the learning rate as a function of the step alone.
 *
 * The first `warmup` steps rise linearly: rate (step + 1) / warmup. Behind them, with t = step -
 * warmup and n = steps - warmup (as PyTorch's SequentialLR of LinearLR and the schedule):
 *   constant   rate
 *   step       rate * factor ^ floor(t / every)                       (StepLR)
 *   cosine     last + (rate - last) (1 + cos(pi t / n)) / 2           (CosineAnnealingLR, per step)
 *   one_cycle  cosine from rate/25 up to rate at 0.3 n, then down to rate/250000
 *              (OneCycleLR; Smith, Topin 2018)
 * Threads: any; plain data. */
#ifndef KENNEL_SCHEDULE_H
#define KENNEL_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

enum schedule_kind { SCHEDULE_CONSTANT, SCHEDULE_STEP, SCHEDULE_COSINE, SCHEDULE_ONE_CYCLE };
enum { SCHEDULE_KINDS = SCHEDULE_ONE_CYCLE + 1 };

struct schedule {
    enum schedule_kind kind;
    double rate;   /* the largest */
    double last;   /* cosine: where it ends */
    double factor; /* step */
    int64_t every; /* >= 1; step: in steps */
    int64_t warmup, steps;
};

/* step counts from 0; past the end it stays at the last one's. */
double schedule_rate(const struct schedule *s, int64_t step);

/* "constant", "step", "cosine", "one_cycle". Static text. */
const char *schedule_text(enum schedule_kind k);
bool schedule_parse(const char *text, enum schedule_kind *ret);

#endif

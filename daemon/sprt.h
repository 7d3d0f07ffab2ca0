/* sprt.h -- is a proportion still p0, or has it become p1? Wald's sequential probability ratio test
 * (A. Wald, "Sequential Tests of Statistical Hypotheses", Annals of Mathematical Statistics 16,
 * 1945, section 5).
 *
 * Each observation moves the logarithm of the likelihood ratio of p1 over p0. At or above
 * log((1 - beta) / alpha) the test rejects p0, at or below log(beta / (1 - alpha)) it accepts it;
 * it may be looked at after every observation. With p0 it rejects with a probability of at most
 * alpha / (1 - beta), with p1 it accepts with at most beta / (1 - alpha), whatever the overshoot.
 *
 * A watch repeats it for as long as something has to be watched: run k = 1, 2, ... of it, each
 * begun when the one before has accepted, rejects only at log(1 / alpha_k), alpha_k = alpha / (k (k
 * + 1)). A likelihood ratio of mean 1 reaches 1 / alpha_k with a probability of at most alpha_k
 * (Ville's inequality), and all alpha_k together are alpha: with p0, or less, the watch ever fails
 * with a probability of at most alpha. Threads: any; pure functions of their arguments. */
#ifndef KENNEL_SPRT_H
#define KENNEL_SPRT_H

#include <stdbool.h>
#include <stdint.h>

enum sprt_verdict { SPRT_GOES_ON, SPRT_ACCEPTS, SPRT_REJECTS };

struct sprt {
    double hit, miss;      /* what an observation adds */
    double accept, reject; /* the bounds */
    double ratio;          /* logarithm */
};

/* 0 < p0 < p1 < 1; 0 < alpha, beta; alpha + beta < 1. */
void sprt_init(struct sprt *s, double p0, double p1, double alpha, double beta);
/* An observation after a verdict changes nothing. */
enum sprt_verdict sprt_add(struct sprt *s, bool hit);
enum sprt_verdict sprt_verdict(const struct sprt *s);

struct sprt_watch {
    double p0, p1, alpha, beta;
    struct sprt test; /* of the present run */
    int run;
    int64_t count, hits; /* of all runs */
    bool passed;         /* a run has accepted */
    bool failed;         /* a run has rejected: nothing counts any more */
};

void sprt_watch_init(struct sprt_watch *w, double p0, double p1, double alpha, double beta);
/* Goes on where one with the same bounds was left: its run, that run's ratio, and what it had seen
 * and said. False, with *w as it was, for numbers that no watch has. */
bool sprt_watch_restore(struct sprt_watch *w, const struct sprt_watch *left);
void sprt_watch_add(struct sprt_watch *w, bool hit);
/* How many observations a watch that has just begun needs to fail when every one is a hit. */
int64_t sprt_watch_fastest(const struct sprt_watch *w);

#endif

#include "nn/latency.h"

#include "data/base/cleanup.h"

#include <stdlib.h>
#include <time.h>

enum { WARM_RUNS = 3, RUNS = 21 };

CLEANUP_DEFINE(struct classifier_scratch, classifier_scratch_free);

static double thread_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Neither black nor flat: noughts may be cheaper than other numbers. */
static void fill(float *tensor, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tensor[i] = (float)(i * 7919 % 511) / 128 - 2;
}

enum err_code latency_measure(const struct classifier *c, double *ret_ms, struct err *e)
{
    size_t size = (size_t)classifier_preprocess(c)->size, count = 3 * size * size;
    CLEANUP(cleanup_free) float *tensor = malloc(count * sizeof *tensor);
    CLEANUP(cleanup_free) float *answer = malloc((size_t)classifier_classes(c) * sizeof *answer);
    CLEANUP(classifier_scratch_free_p) struct classifier_scratch *scratch = NULL;
    if (!tensor || !answer)
        return err_set(e, ERR_NOMEM, "no memory to measure a latency");
    fill(tensor, count);
    enum err_code r = classifier_scratch_new(c, &scratch, e);
    double times[RUNS] = { 0 };
    for (int i = -WARM_RUNS; !r && i < RUNS; i++) {
        double begun = thread_ms();
        r = classifier_score_tensor(c, scratch, tensor, answer, e);
        if (i >= 0)
            times[i] = thread_ms() - begun;
    }
    if (r)
        return r;
    qsort(times, RUNS, sizeof *times, ascending);
    *ret_ms = times[RUNS / 2];
    return ERR_OK;
}

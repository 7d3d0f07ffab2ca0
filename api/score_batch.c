#include "api/score_batch.h"

#include "api/version_choice.h"
#include "data/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

struct part {
    struct joined *owner;
    int place;
};

struct joined {
    struct score_batch batch; /* its ref is owned */
    struct score_batch_plan plan;
    struct part *parts; /* [count] */
    pthread_mutex_t mu;
    int left;           /* guarded by mu, as is all below */
    int failed;         /* place of the first failure; count: none */
    struct err failure; /* its */
};

static void joined_free(struct joined *j)
{
    if (!j)
        return;
    serve_release(j->batch.ref);
    free(j->batch.probabilities);
    free(j->batch.ranked);
    free(j->parts);
    pthread_mutex_destroy(&j->mu);
    free(j);
}

CLEANUP_DEFINE(struct joined, joined_free);

/* Nobody else has it any more. */
static void answer(struct joined *j)
{
    struct request *r = j->plan.request;
    struct err e = j->failure;
    enum err_code code = ERR_OK;
    if (j->failed < j->batch.count)
        code = j->batch.count == 1
                   ? e.code
                   : err_set(&e, e.code, "picture %d: %s", j->failed, j->failure.message);
    else
        code = j->plan.write(r, &j->batch, j->plan.context, &e);
    if (code)
        request_fail(r, &e);
    else
        version_choice_tell(r, serve_ref_version(j->batch.ref));
    j->plan.free_context(j->plan.context);
    joined_free(j);
    request_finish(r);
}

/* parts: how many are told of at once, from place on; err NULL: they are scored. */
static void arrive(struct joined *j, int place, int parts, const struct err *err)
{
    pthread_mutex_lock(&j->mu);
    if (err && place < j->failed) {
        j->failed = place;
        j->failure = *err;
    }
    j->left -= parts;
    bool last = j->left == 0;
    pthread_mutex_unlock(&j->mu);
    if (last)
        answer(j);
}

static bool gone(void *context)
{
    const struct part *p = context;
    return request_client_gone(p->owner->plan.request);
}

static void done(void *context, const struct score_result *result)
{
    const struct part *p = context;
    struct joined *j = p->owner;
    struct score_batch *b = &j->batch;
    if (p->place == 0) /* stands for all */
        request_scored(j->plan.request, result);
    const struct score_item *item = &j->plan.items[p->place];
    const struct version_choice_picture picture = {
        .input = item->input, .bytes = item->bytes, .len = item->len, .place = p->place
    };
    version_choice_answered(j->plan.request, result, &picture);
    if (result->code) {
        struct err e = result->err;
        e.code = result->code;
        arrive(j, p->place, 1, &e);
        return;
    }
    memcpy(b->probabilities + (size_t)p->place * (size_t)b->classes, result->probabilities,
           (size_t)b->classes * sizeof *b->probabilities);
    for (int i = 0; i < b->top; i++)
        b->ranked[p->place * b->top + i] = (struct score_class){ result->predictions[i].probability,
                                                                 result->predictions[i].index };
    arrive(j, p->place, 1, NULL);
}

static enum err_code joined_new(const struct score_batch_plan *plan, struct joined **ret,
                                struct err *e)
{
    CLEANUP(joined_free_p) struct joined *j = calloc(1, sizeof *j);
    if (!j)
        return err_set(e, ERR_NOMEM, "no memory to score");
    pthread_mutex_init(&j->mu, NULL);
    int classes = classifier_classes(serve_ref_classifier(plan->ref));
    j->plan = *plan;
    j->batch = (struct score_batch){ .count = plan->count,
                                     .classes = classes,
                                     .top = plan->top < classes ? plan->top : classes };
    j->left = j->failed = plan->count;
    size_t count = (size_t)plan->count;
    j->parts = calloc(count, sizeof *j->parts);
    j->batch.probabilities = calloc(count * (size_t)classes, sizeof *j->batch.probabilities);
    if (j->batch.top)
        j->batch.ranked = calloc(count * (size_t)j->batch.top, sizeof *j->batch.ranked);
    if (!j->parts || !j->batch.probabilities || (j->batch.top && !j->batch.ranked))
        return err_set(e, ERR_NOMEM, "no memory to score %d pictures", plan->count);
    *ret = STEAL(j);
    return ERR_OK;
}

static enum err_code submit_part(struct joined *j, int place, struct err *e)
{
    const struct score_item *item = &j->plan.items[place];
    j->parts[place] = (struct part){ j, place };
    struct score_request q = { .ref = j->batch.ref,
                               .input = item->input,
                               .bytes = item->bytes,
                               .len = item->len,
                               .top = j->batch.top ? j->batch.top : 1,
                               .deadline_us = j->plan.deadline_us,
                               .gone = gone,
                               .done = done,
                               .context = &j->parts[place] };
    serve_share(q.ref);
    enum err_code r = scorer_submit(j->plan.request->server->parts.scorer, &q, e);
    if (r)
        serve_release(q.ref);
    return r;
}

enum err_code score_batch_submit(const struct score_batch_plan *plan, struct err *e)
{
    CLEANUP(joined_free_p) struct joined *j = NULL;
    enum err_code r = joined_new(plan, &j, e);
    if (!r)
        r = version_choice_name(plan->request, e);
    if (r)
        return r;
    /* Whoever is told last may free the batch before this returns. */
    struct joined *batch = j;
    int count = plan->count;
    serve_share(plan->ref);
    j->batch.ref = plan->ref;
    plan->request->deferred = true;
    r = submit_part(j, 0, e);
    if (r) {
        plan->request->deferred = false;
        return r;
    }
    /* Taken from here on, since done() may have been called: the caller's borrow goes. */
    (void)STEAL(j);
    for (int i = 1; i < count; i++) {
        struct err failure;
        if (submit_part(batch, i, &failure)) {
            arrive(batch, i, count - i, &failure);
            break;
        }
    }
    serve_release(plan->ref);
    return ERR_OK;
}

enum err_code score_batch_check(size_t count, struct err *e)
{
    if (!count)
        return err_set(e, ERR_TENSOR_SHAPE, "there is no picture in the request");
    if (count > SCORE_BATCH_MAX)
        return err_set(e, ERR_BATCH_TOO_LARGE,
                       "%zu pictures are more than the limit of %d in a request", count,
                       SCORE_BATCH_MAX);
    return ERR_OK;
}

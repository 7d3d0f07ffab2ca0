#include "nn/classifier.h"

#include "data/base/cleanup.h"
#include "nn/head.h"
#include "nn/labels.h"
#include "nn/learner.h"
#include "nn/plan.h"
#include "nn/precision.h"
#include "nn/preprocess_meta.h"

#include <math.h>
#include <string.h>

enum { LABELS_TEXT_MAX = 1 << 24 };

struct classifier {
    struct plan *plan;
    struct preprocess pre;
    struct labels labels;
    char *input, *output; /* owned */
};

struct classifier_scratch {
    struct preprocess_scratch *pre;
    struct plan_scratch *plan;
    float *input; /* [3][size][size] */
};

CLEANUP_DEFINE(struct classifier, classifier_free);
CLEANUP_DEFINE(struct classifier_scratch, classifier_scratch_free);
CLEANUP_DEFINE(struct network, network_free);

enum err_code classifier_load(const void *bytes, size_t len, struct classifier **ret, struct err *e)
{
    CLEANUP(classifier_free_p) struct classifier *c = calloc(1, sizeof *c);
    CLEANUP(network_free_p) struct network *n = NULL;
    if (!c)
        return err_set(e, ERR_NOMEM, "no memory for a classifier");
    CLEANUP(integers_fini) struct integers integers = { 0 };
    struct plan_options options = { .batch = 1 };
    enum err_code r = network_load(bytes, len, &n, e);
    if (!r)
        r = labels_parse(network_meta(n, CLASSIFIER_META_LABELS), &c->labels, e);
    if (!r)
        r = preprocess_meta_read(n, NULL, &c->pre, e);
    if (!r)
        r = integers_of_network(n, &integers, e);
    if (integers.text) {
        options.precision = PLAN_INT8;
        options.ranges = &integers.ranges;
    }
    if (!r)
        r = plan_new(n, &options, &c->plan, e);
    if (r)
        return r;
    if (plan_output_size(c->plan) != (size_t)c->labels.count)
        return err_set(e, ERR_ONNX_GRAPH, "%zu outputs for %d labels", plan_output_size(c->plan),
                       c->labels.count);
    int height, width;
    c->input = strdup(network_input(n, &height, &width));
    c->output = strdup(network_output(n));
    if (!c->input || !c->output)
        return err_set(e, ERR_NOMEM, "no memory for a classifier");
    *ret = STEAL(c);
    return ERR_OK;
}

void classifier_free(struct classifier *c)
{
    if (!c)
        return;
    plan_free(c->plan);
    labels_fini(&c->labels);
    free(c->input);
    free(c->output);
    free(c);
}

int classifier_classes(const struct classifier *c)
{
    return c->labels.count;
}

const char *const *classifier_labels(const struct classifier *c)
{
    return (const char *const *)c->labels.names;
}

const struct preprocess *classifier_preprocess(const struct classifier *c)
{
    return &c->pre;
}

const char *classifier_input(const struct classifier *c)
{
    return c->input;
}

const char *classifier_output(const struct classifier *c)
{
    return c->output;
}

size_t classifier_bytes(const struct classifier *c)
{
    return plan_bytes(c->plan);
}

size_t classifier_scratch_bytes(const struct classifier *c)
{
    return plan_scratch_bytes(c->plan) + plan_input_size(c->plan) * sizeof(float);
}

enum err_code classifier_scratch_new(const struct classifier *c, struct classifier_scratch **ret,
                                     struct err *e)
{
    CLEANUP(classifier_scratch_free_p) struct classifier_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory to score");
    s->input = calloc(plan_input_size(c->plan), sizeof *s->input);
    if (!s->input)
        return err_set(e, ERR_NOMEM, "no memory to score");
    enum err_code r = preprocess_scratch_new(&s->pre, e);
    if (!r)
        r = plan_scratch_new(c->plan, &s->plan, e);
    if (!r)
        *ret = STEAL(s);
    return r;
}

void classifier_scratch_free(struct classifier_scratch *s)
{
    if (!s)
        return;
    preprocess_scratch_free(s->pre);
    plan_scratch_free(s->plan);
    free(s->input);
    free(s);
}

enum err_code classifier_score(const struct classifier *c, struct classifier_scratch *s,
                               const void *bytes, size_t len, const struct image_limits *limits,
                               float *ret, struct err *e)
{
    enum err_code r = classifier_decode(c, s, bytes, len, limits, e);
    return r ? r : classifier_run(c, s, ret, e);
}

enum err_code classifier_decode(const struct classifier *c, struct classifier_scratch *s,
                                const void *bytes, size_t len, const struct image_limits *limits,
                                struct err *e)
{
    return preprocess_file(&c->pre, s->pre, bytes, len, limits, 0, s->input, e);
}

enum err_code classifier_run(const struct classifier *c, struct classifier_scratch *s, float *ret,
                             struct err *e)
{
    return plan_run(c->plan, s->plan, s->input, ret, e);
}

static bool all_finite(const float *values, size_t count)
{
    size_t finite = 0;
    for (size_t i = 0; i < count; i++)
        finite += isfinite(values[i]) != 0;
    return finite == count;
}

/* A picture's numbers are small by construction; a tensor's may be anything. */
enum err_code classifier_score_tensor(const struct classifier *c, struct classifier_scratch *s,
                                      const void *tensor, float *ret, struct err *e)
{
    memcpy(s->input, tensor, plan_input_size(c->plan) * sizeof *s->input);
    if (!all_finite(s->input, plan_input_size(c->plan)))
        return err_set(e, ERR_TENSOR_DATA, "a number of the tensor is infinite or not a number");
    enum err_code r = plan_run(c->plan, s->plan, s->input, ret, e);
    if (!r && !all_finite(ret, (size_t)c->labels.count))
        return err_set(e, ERR_TENSOR_DATA,
                       "the tensor's numbers are so large that the network's "
                       "answer is not a number");
    return r;
}

/* What every file says about itself, and what else the caller has. */
struct meta {
    struct buf labels;
    struct preprocess_meta pre;
    char backbone[DIGEST_HEX + 1];
    struct network_meta_pair *pairs; /* owned */
    size_t count;
};

static void meta_fini(struct meta *m)
{
    buf_fini(&m->labels);
    free(m->pairs);
}

static enum err_code meta_make(const struct backbone *b, const char *const *labels, int classes,
                               const struct network_meta_pair *extra, size_t extra_count,
                               struct meta *m, struct err *e)
{
    enum { OWN = 3 };
    buf_init(&m->labels, LABELS_TEXT_MAX);
    enum err_code r = labels_write(labels, classes, &m->labels, e);
    if (r)
        return r;
    preprocess_meta_write(&b->pre, &m->pre);
    digest_hex(&b->digest, m->backbone);
    m->count = OWN + PREPROCESS_META_PAIRS + extra_count;
    m->pairs = calloc(m->count, sizeof *m->pairs);
    if (!m->pairs)
        return err_set(e, ERR_NOMEM, "no memory for a model's metadata");
    m->pairs[0] =
        (struct network_meta_pair){ CLASSIFIER_META_LABELS, (const char *)m->labels.data };
    m->pairs[1] = (struct network_meta_pair){ CLASSIFIER_META_BACKBONE, m->backbone };
    m->pairs[2] = (struct network_meta_pair){ CLASSIFIER_META_FEATURE, b->feature };
    memcpy(m->pairs + OWN, m->pre.pairs, sizeof m->pre.pairs);
    if (extra_count)
        memcpy(m->pairs + OWN + PREPROCESS_META_PAIRS, extra, extra_count * sizeof *extra);
    return ERR_OK;
}

enum err_code classifier_export(const struct backbone *b, const struct head *h,
                                const char *const *labels, const struct network_meta_pair *extra,
                                size_t extra_count, struct buf *ret, struct err *e)
{
    CLEANUP(meta_fini) struct meta m = { 0 };
    enum err_code r = meta_make(b, labels, h->classes, extra, extra_count, &m, e);
    return r ? r
             : network_export(b->network, b->feature, h->weight, h->bias, h->classes, m.pairs,
                              m.count, ret, e);
}

enum err_code classifier_export_trained(const struct backbone *b, const struct learner *l,
                                        const char *const *labels, int count,
                                        const struct network_meta_pair *extra, size_t extra_count,
                                        struct buf *ret, struct err *e)
{
    CLEANUP(meta_fini) struct meta m = { 0 };
    enum err_code r = meta_make(b, labels, count, extra, extra_count, &m, e);
    return r ? r : learner_export(l, m.pairs, m.count, ret, e);
}

#include "nn/champion.h"

#include "data/base/cleanup.h"
#include "nn/classifier.h"
#include "nn/preprocess_meta.h"

#include <string.h>

void champion_fini(struct champion *c)
{
    backbone_fini(&c->backbone);
    head_fini(&c->head);
    labels_fini(&c->labels);
    integers_fini(&c->integers);
}

/* As backbone_open(), but named by what the file says it was made from. */
static enum err_code read_backbone(struct backbone *b, struct err *e)
{
    const char *body = network_meta(b->network, CLASSIFIER_META_BODY);
    const char *digest = body ? body : network_meta(b->network, CLASSIFIER_META_BACKBONE);
    const char *feature = network_meta(b->network, CLASSIFIER_META_FEATURE);
    if (!digest || !digest_parse(digest, &b->digest) || !feature)
        return err_set(e, ERR_ONNX_GRAPH, "no backbone in the metadata: not a model version");
    b->feature = strdup(feature);
    if (!b->feature)
        return err_set(e, ERR_NOMEM, "no memory for a model version");
    return preprocess_meta_read(b->network, NULL, &b->pre, e);
}

enum err_code champion_open(const void *bytes, size_t len, struct champion *ret, struct err *e)
{
    CLEANUP(champion_fini) struct champion c = { 0 };
    struct network **n = &c.backbone.network;
    enum err_code r = network_load(bytes, len, n, e);
    if (!r)
        r = read_backbone(&c.backbone, e);
    if (!r)
        r = labels_parse(network_meta(*n, CLASSIFIER_META_LABELS), &c.labels, e);
    if (!r)
        r = integers_of_network(*n, &c.integers, e);
    if (!r)
        r = network_head(*n, &c.head.weight, &c.head.bias, &c.head.classes, &c.head.width, e);
    if (r)
        return r;
    if (c.head.classes != c.labels.count)
        return err_set(e, ERR_ONNX_GRAPH, "%d classes but %d labels", c.head.classes,
                       c.labels.count);
    c.backbone.width = c.head.width;
    *ret = c;
    c = (struct champion){ 0 };
    return ERR_OK;
}

static int find_name(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

enum err_code champion_map_init(const struct champion *c, char *const *dataset_labels, int count,
                                struct champion_map *ret, struct err *e)
{
    struct champion_map m = { .count = count };
    int most = count + c->labels.count;
    m.at = calloc((size_t)c->labels.count, sizeof *m.at);
    m.names = calloc((size_t)most, sizeof *m.names);
    if (!m.at || !m.names) {
        champion_map_fini(&m);
        return err_set(e, ERR_NOMEM, "no memory for %d labels", most);
    }
    for (int i = 0; i < count; i++)
        m.names[i] = dataset_labels[i];
    for (int i = 0; i < c->labels.count; i++) {
        m.at[i] = find_name(m.names, count, c->labels.names[i]);
        if (m.at[i] >= 0)
            continue;
        m.at[i] = m.count;
        m.names[m.count++] = c->labels.names[i];
    }
    *ret = m;
    return ERR_OK;
}

void champion_map_fini(struct champion_map *m)
{
    free(m->at);
    free(m->names);
    *m = (struct champion_map){ 0 };
}

enum err_code champion_score(const struct champion *c, const struct champion_map *m, const float *x,
                             size_t rows, float **ret, struct err *e)
{
    size_t own = (size_t)c->head.classes, all = (size_t)m->count;
    CLEANUP(cleanup_free) float *p = calloc(own, sizeof *p);
    CLEANUP(cleanup_free) float *spread = calloc(rows * all + 1, sizeof *spread);
    if (!p || !spread)
        return err_set(e, ERR_NOMEM, "no memory to score the champion");
    for (size_t i = 0; i < rows; i++) {
        head_apply(&c->head, x + i * (size_t)c->head.width, 1, p);
        for (size_t k = 0; k < own; k++)
            spread[i * all + (size_t)m->at[k]] = p[k];
    }
    *ret = STEAL(spread);
    return ERR_OK;
}

/* The head and the champion on the same holdout. */
#include "nn/retrain_parts.h"

#include "data/base/cleanup.h"

static bool is_right(const float *p, int classes, int y)
{
    int best = 0;
    for (int c = 1; c < classes; c++)
        best = p[c] > p[best] ? c : best;
    return best == y;
}

const struct backbone *retrain_body(const struct retrain *run)
{
    return run->own.backbone.network ? &run->own.backbone : &run->backbone;
}

const struct head *retrain_fitted(const struct retrain *run)
{
    return run->own.backbone.network ? &run->own.head : &run->head;
}

/* The champion's probabilities over the map's labels. */
static enum err_code score_champion(struct retrain *run, const struct champion *c,
                                    const struct champion_map *map, float **ret, struct err *e)
{
    struct digest own, other;
    const struct backbone *body = retrain_body(run);
    enum err_code r = precision_feature_key(body, retrain_served(run), &own, e);
    if (!r)
        r = precision_feature_key(&c->backbone, &c->integers, &other, e);
    if (r)
        return r;
    const float *x = retrain_holdout(run);
    CLEANUP(cleanup_free) float *computed = NULL;
    if (digest_compare(&own, &other) != 0 || c->backbone.width != body->width) {
        r = retrain_features(run, &c->backbone, &c->integers, run->set.items + run->set.train,
                             retrain_holdout_count(run), &computed, &run->champion_passes, e);
        x = computed;
    }
    return r ? r : champion_score(c, map, x, retrain_holdout_count(run), ret, e);
}

static enum err_code judge_champion(struct retrain *run, const float *challenger, struct err *e)
{
    CLEANUP(buf_fini) struct buf bytes;
    CLEANUP(champion_fini) struct champion champion = { 0 };
    CLEANUP(champion_map_fini) struct champion_map map = { 0 };
    CLEANUP(cleanup_free) float *p = NULL;
    const int *y = run->set.y + run->set.train;
    int classes = run->set.manifest.label_count;
    buf_init(&bytes, RETRAIN_BLOB_MAX);
    enum err_code r = blobs_get(run->places.blobs, &run->spec->champion, true, &bytes, e);
    if (!r)
        r = champion_open(bytes.data, bytes.len, &champion, e);
    if (!r)
        r = champion_map_init(&champion, run->set.manifest.labels, classes, &map, e);
    if (!r)
        r = score_champion(run, &champion, &map, &p, e);
    if (!r)
        r = metrics_of(p, y, (int64_t)retrain_holdout_count(run), map.count, &run->champion_metrics,
                       e);
    if (r)
        return r;
    for (size_t i = 0; i < retrain_holdout_count(run); i++) {
        bool first = is_right(challenger + i * (size_t)classes, classes, y[i]);
        bool second = is_right(p + i * (size_t)map.count, map.count, y[i]);
        run->paired[first][second]++;
    }
    run->champion_report = metrics_json(&run->champion_metrics, map.names);
    return run->champion_report ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for metrics");
}

enum err_code retrain_judge(struct retrain *run, struct err *e)
{
    size_t rows = retrain_holdout_count(run);
    int classes = run->set.manifest.label_count;
    CLEANUP(cleanup_free) float *p = calloc(rows, (size_t)classes * sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory to score %zu pictures", rows);
    head_apply(retrain_fitted(run), retrain_holdout(run), (int)rows, p);
    enum err_code r =
        metrics_of(p, run->set.y + run->set.train, (int64_t)rows, classes, &run->metrics, e);
    if (r)
        return r;
    run->metrics_report =
        metrics_json(&run->metrics, (const char *const *)run->set.manifest.labels);
    if (!run->metrics_report)
        return err_set(e, ERR_NOMEM, "no memory for metrics");
    return run->spec->has_champion ? judge_champion(run, p, e) : ERR_OK;
}

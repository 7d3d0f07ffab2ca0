#include "daemon/rollout_split.h"

#include "data/base/cleanup.h"

CLEANUP_DEFINE(struct serve_ref, serve_release);

enum err_code rollout_split(struct serve *serve, struct traffic *traffic,
                            const struct rollout_row *row, struct err *e)
{
    CLEANUP(serve_release_p) struct serve_ref *production = NULL;
    CLEANUP(serve_release_p) struct serve_ref *canary = NULL;
    CLEANUP(serve_release_p) struct serve_ref *shadow = NULL;
    enum err_code code = serve_borrow(serve, row->model, row->baseline, &production, e);
    if (!code && row->plan.canary)
        code = serve_borrow(serve, row->model, row->plan.canary, &canary, e);
    if (!code && row->plan.shadow)
        code = serve_borrow(serve, row->model, row->plan.shadow, &shadow, e);
    const struct traffic_split split = { .rollout = row->id,
                                         .production = production,
                                         .canary = canary,
                                         .shadow = shadow,
                                         .percent = rollout_row_percent(row) };
    if (!code)
        code = traffic_set(traffic, &split, e);
    if (!code)
        production = canary = shadow = NULL;
    return code;
}

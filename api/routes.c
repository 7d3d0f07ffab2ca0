#include "api/routes.h"

#include <stddef.h>

static const struct route *const tables[] = {
    routes_oip,       routes_oip_stats,
    routes_tfs, /* other servers' protocols */

    routes_system,    routes_score,
    routes_datasets,  routes_backbones,
    routes_explain,   routes_models,
    routes_jobs,      routes_pipelines,
    routes_events,    routes_webhooks,
    routes_schedules, routes_promotion,
    routes_keys,      routes_audit,
    routes_metrics,   routes_lineage,
    routes_rollout,   routes_feedback,
    routes_backup,    routes_retention,
    routes_follow,    NULL,
};

const struct route *const *routes(void)
{
    return tables;
}

/* routes.h -- the tables of routes, one a noun. Each ends with an empty row. */
#ifndef KENNEL_ROUTES_H
#define KENNEL_ROUTES_H

#include "api/router.h"

extern const struct route routes_system[];
extern const struct route routes_metrics[];
extern const struct route routes_score[];
extern const struct route routes_datasets[];
extern const struct route routes_backbones[];
extern const struct route routes_explain[];
extern const struct route routes_models[];
extern const struct route routes_jobs[];
extern const struct route routes_events[];
extern const struct route routes_pipelines[];
extern const struct route routes_schedules[];
extern const struct route routes_webhooks[];
extern const struct route routes_promotion[];
extern const struct route routes_oip[];
extern const struct route routes_oip_stats[];
extern const struct route routes_tfs[];
extern const struct route routes_keys[];
extern const struct route routes_audit[];
extern const struct route routes_lineage[];
extern const struct route routes_rollout[];
extern const struct route routes_feedback[];
extern const struct route routes_backup[];
extern const struct route routes_retention[];
extern const struct route routes_follow[];

#endif

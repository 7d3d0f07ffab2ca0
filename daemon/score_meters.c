#include "daemon/score_meters.h"

/* How many of a model's classes, over all models, are told apart. */
enum { MODELS_MAX = 100, LABELS_MAX = 2000, REASONS_MAX = 16, ARMS = 3, DECISIONS = 20 };

static const uint64_t batch_bounds[] = { 1, 2, 4, 8, 16, 32, 64 };

#define TIMES(n, text)                                                                             \
    {                                                                                              \
        .name = (n), .help = (text), .labels = { "model" }, .bounds = meter_times,                 \
        .bound_count = METER_TIMES, .unit = 1e-6, .series_max = MODELS_MAX                         \
    }

static const struct meter_spec specs[SCORE_METERS] = {
    [SCORE_QUEUE_SECONDS] =
        TIMES("kennel_score_queue_seconds", "From a picture's arrival in the queue to its turn."),
    [SCORE_DECODE_SECONDS] =
        TIMES("kennel_score_decode_seconds", "From a picture's file to the network's input."),
    [SCORE_COMPUTE_SECONDS] = TIMES("kennel_score_compute_seconds", "One picture in the network."),
    [SCORE_BATCH_PICTURES] = { .name = "kennel_score_batch_pictures",
                               .help = "Pictures that a scoring thread took at once.",
                               .labels = { "model" },
                               .bounds = batch_bounds,
                               .bound_count = sizeof batch_bounds / sizeof *batch_bounds,
                               .unit = 1,
                               .series_max = MODELS_MAX },
    [SCORE_PREDICTIONS] = { .name = "kennel_predictions_total",
                            .help = "Pictures by their most probable class.",
                            .labels = { "model", "label" },
                            .unit = 1,
                            .series_max = LABELS_MAX },
    [SCORE_DROPPED] = { .name = "kennel_score_dropped_total",
                        .help = "Pictures that were not scored, by why: busy (queue full), "
                                "deadline, client_gone, cancelled (the daemon stopped).",
                        .labels = { "reason" },
                        .unit = 1,
                        .series_max = REASONS_MAX },
    [SERVE_SWAPS] = { .name = "kennel_swaps_total",
                      .help = "Times that a version went into production.",
                      .labels = { "model" },
                      .unit = 1,
                      .series_max = MODELS_MAX },
    [SERVE_BORROWS] = { .name = "kennel_plan_cache_total",
                        .help = "Requests for a version, by whether it was loaded.",
                        .labels = { "result" },
                        .unit = 1,
                        .series_max = REASONS_MAX },
    [SERVE_LOADS] = { .name = "kennel_loads_total",
                      .help = "Versions loaded and warmed.",
                      .labels = { "model", "result" },
                      .unit = 1,
                      .series_max = 2 * MODELS_MAX },
    [SERVE_UNLOADS] = { .name = "kennel_unloads_total",
                        .help = "Versions given up because of --plan-memory.",
                        .labels = { "model" },
                        .unit = 1,
                        .series_max = MODELS_MAX },
    [ROLLOUT_ANSWERS] = { .name = "kennel_rollout_answers_total",
                          .help = "Answers that were looked at while a rollout was open, by who "
                                  "gave them: production, canary, or shadow, which nobody saw.",
                          .labels = { "model", "arm" },
                          .unit = 1,
                          .series_max = ARMS * MODELS_MAX },
    [ROLLOUT_DECISIONS] = { .name = "kennel_rollout_decisions_total",
                            .help = "What became of rollouts and of their steps, and why.",
                            .labels = { "model", "decision", "reason" },
                            .unit = 1,
                            .series_max = DECISIONS * MODELS_MAX },
};

enum err_code score_meters_new(struct meters **ret, struct err *e)
{
    return meters_new(specs, SCORE_METERS, ret, e);
}

/* gate.h -- may this challenger take the champion's place?
 *
 * Both answered the same pinned holdout; the decision is computed from the paired counts and kept
 * with its numbers whatever it is. Without a champion the challenger must beat the majority class.
 * Threads: any; pure functions. */
#ifndef KENNEL_GATE_H
#define KENNEL_GATE_H

#include "data/base/err.h"

#include <jansson.h>
#include <stdint.h>

/* Per model; JSON object with these members, all optional:
 *   "rule": "superiority" (default: challenger's accuracy - champion's > margin) or
 *           "non_inferiority" (challenger's accuracy >= champion's - margin)
 *   "margin": 0..1, default 0
 *   "max_p": 0..1, default 1: with superiority the exact McNemar p (daemon/mcnemar.h), with
 *           non-inferiority the one-sided p of daemon/paired_score.h may be at most
 *   "min_accuracy": 0..1, default 0
 *   "min_recall": 0..1, default 0: of every class that the holdout has
 *   "max_calibration_error": 0..1, default 1
 *   "min_holdout": pictures, default 0
 *   "max_latency_ms": > 0, default null: of one picture on one thread, decoded and prepared already
 *   "max_bytes": > 0, default null: of the version's file
 * ERR_FIELD_UNKNOWN, ERR_FIELD_RANGE. *ret: every member spelled out. */
enum err_code gate_check(const json_t *gate, json_t **ret, struct err *e) MUST_USE;

/* Whether a decision needs the report to have "latency_ms". */
bool gate_wants_latency(const json_t *gate);

/* gate: as gate_check() made it, or NULL. report: nn/retrain.h. champion_version: 0 when there is
 * none. bytes: of the artifact. *ret: {"passed": bool, the gate's members, "reasons": [text...]
 * (why not; empty when passed), "champion": version or null, "holdout": {"split", "count",
 * "digest"}, "accuracy": x, "champion_accuracy": x or null, "majority_accuracy": x, "paired": {...}
 * or null, "mcnemar_p": p or null, "non_inferiority_p": p, or null with superiority,
 * "smallest_difference": of accuracies that this holdout could have shown at 5 %, with as many
 * discordant answers as there were, or null without a champion, "worst_recall":
 * {"label", "recall", "support"} or null, "calibration_error": x, "latency_ms": x or null, "bytes":
 * n}. */
enum err_code gate_decide(const json_t *gate, const json_t *report, int64_t champion_version,
                          int64_t bytes, json_t **ret, struct err *e) MUST_USE;

#endif

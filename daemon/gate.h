/* gate.h -- may this challenger take the champion's place?
 *
 * Both answered the same pinned holdout; the decision is computed from the paired counts and kept
 * with its numbers whatever it is. Without a champion the challenger must beat the majority class.
 * Threads: any; a pure function. */
#ifndef KENNEL_GATE_H
#define KENNEL_GATE_H

#include "data/base/err.h"

#include <jansson.h>

/* Per model; JSON object with these members, all optional:
 *   "rule": "superiority" (default: challenger's accuracy - champion's > margin) or
 *           "non_inferiority" (challenger's accuracy >= champion's - margin)
 *   "margin": 0..1, default 0
 *   "min_accuracy": 0..1, default 0
 * ERR_FIELD_UNKNOWN, ERR_FIELD_RANGE. *ret: every member spelled out. */
enum err_code gate_check(const json_t *gate, json_t **ret, struct err *e) MUST_USE;

/* report: nn/retrain.h. champion_version: 0 when there is none. *ret: {"passed": bool, "rule",
 * "margin", "min_accuracy", "reasons": [text...] (why not; empty when passed), "champion": version
 * or null, "holdout": {"split", "count", "digest"}, "accuracy": x, "champion_accuracy": x or null,
 * "majority_accuracy": x, "paired": {...} or null, "mcnemar_p": exact two-sided p or null}. */
enum err_code gate_decide(const json_t *gate, const json_t *report, int64_t champion_version,
                          json_t **ret, struct err *e) MUST_USE;

#endif

/* lineage.h -- what a thing came from, and what came from it.
 *
 * A thing is named as everywhere in the API's paths: model/NAME/versions/N, job/ID,
 * dataset/NAME/versions/N, picture/DIGEST, backbone/NAME, prediction/ID. Every name in an answer
 * can be asked for in turn, so that the whole history of anything is walked a step at a time.
 * Threads: any. */
#ifndef KENNEL_LINEAGE_H
#define KENNEL_LINEAGE_H

#include "daemon/state.h"

#include <jansson.h>

/* limit: of each relation, newest first. *ret: {"of", "created": time or null, "from": [...],
 * "to": [...], "cut": whether a relation had more than limit}, an element being {"of", "relation",
 * "created"}. ERR_FIELD_RANGE for what names nothing of these kinds; ERR_MODEL_UNKNOWN,
 * ERR_VERSION_UNKNOWN, ERR_JOB_UNKNOWN, ERR_DATASET_UNKNOWN, ERR_PICTURE_UNKNOWN,
 * ERR_BACKBONE_UNKNOWN, ERR_PREDICTION_UNKNOWN (or not kept any more). */
enum err_code lineage_show(struct state *s, const char *of, int64_t limit, json_t **ret,
                           struct err *e) MUST_USE;

#endif

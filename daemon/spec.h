/* spec.h -- jobs/ID/spec.json: what a training job is, from the job runner to its worker.
 *
 *   {"manifest": DIGEST, "backbone": DIGEST,
 *    "overrides": {"feature", "mean", "std", "color": text, "resize": n}   (each optional)
 *    "recipe": {...}          nn/retrain.h: recipe_json(), every member spelled out
 *    "seed": n, "champion": DIGEST or null, "threads": n, "max_pixels": n,
 *    "measure_latency": bool, "job_limits": daemon/job_limits.h}
 *
 * Written and read here alone, so that both sides agree; strict: an unknown, missing or mistyped
 * member is an error. spec_from_json(spec_to_json(s)) equals s, and its text is the same bytes.
 * Threads: any; plain data. */
#ifndef KENNEL_SPEC_H
#define KENNEL_SPEC_H

#include "daemon/job_limits.h"
#include "nn/retrain.h"

/* *ret is a new reference (json_write() it to spec.json). ERR_NOMEM, and ERR_FIELD_RANGE for an
 * override that is not UTF-8. */
enum err_code spec_to_json(const struct retrain_spec *spec, const struct job_limits *limits,
                           json_t **ret, struct err *e) MUST_USE;

/* The overrides' text is borrowed from object, which must live as long as *ret. ERR_JSON_TYPE,
 * ERR_FIELD_*, ERR_RECIPE; a digest that is none is ERR_FIELD_RANGE. */
enum err_code spec_from_json(const json_t *object, struct retrain_spec *ret,
                             struct job_limits *ret_limits, struct err *e) MUST_USE;

#endif

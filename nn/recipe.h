/* recipe.h -- how to train, as a request and a version say it.
 *
 *   mode      "head": a new linear head on frozen features
 *   views     1, or 2 with the mirrored picture too; default 1 (on the data sets tried, mirrored
 *             pictures cost twice the time and did not raise accuracy)
 *   folds     2..10, default 5: of the cross-validation
 *   penalty   > 0 fixes it; 0, the default: by cross-validation
 *   balanced  true, false or "auto", the default: class weights inverse to frequency; auto is true
 *             when the largest class has more than twice the pictures of the smallest
 *   precision "auto", the default, "fp32" or "int8": what the version is served in
 *             (nn/precision.h)
 *   precision_margin  0..1, default 0.005: by how much less accurate on the holdout int8 may be
 *             than fp32 for auto to choose it
 *
 * Threads: any; plain data. */
#ifndef KENNEL_RECIPE_H
#define KENNEL_RECIPE_H

#include "nn/precision.h"

#include <jansson.h>

struct recipe {
    const char *mode; /* static text */
    int views;
    int folds;
    double penalty;
    bool balanced; /* when not balanced_auto */
    bool balanced_auto;
    enum precision precision;
    double precision_margin;
};

/* Fills ret from the object (NULL: all defaults). Unknown members are refused
 * (ERR_FIELD_UNKNOWN), types and values checked (ERR_JSON_TYPE, ERR_FIELD_RANGE, ERR_RECIPE for
 * a mode or precision that there is not). */
enum err_code recipe_parse(const json_t *object, struct recipe *ret, struct err *e) MUST_USE;

/* Every member spelled out: what a version stores. New reference; NULL without memory. */
json_t *recipe_json(const struct recipe *r);

#endif

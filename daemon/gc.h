/* gc.h -- gives up the bytes of what retention (daemon/retention.h) does not keep.
 *
 * Never given up, whatever a model's or dataset's retention says:
 *   a model version that an alias, an open rollout or, as its champion, an unfinished job names;
 *   a dataset version that is the latest, or that an unfinished job or a kept model version names;
 *   a picture of a kept dataset version;
 *   a blob that anything kept names (two versions may have the same bytes).
 * Rows stay: only their purged_ms is set, in one transaction with the audit lines. The blobs are
 * removed after its commit by the sweep (daemon/state.h), which reads the rows anew: so a crash
 * anywhere loses nothing that is named, and what it leaves goes at the next start. While blobs are
 * put or backed up no sweep takes place; it is then made up for as soon as nobody does.
 * The feature cache is kept below its limit beside that: retention has no part in it, as a picture
 * that is needed again is only computed again.
 * Threads: any. */
#ifndef KENNEL_GC_H
#define KENNEL_GC_H

#include "daemon/state.h"
#include "data/feature_folder.h"

#include <jansson.h>

enum { GC_LISTED_MAX = 1000 };

/* dry_run: says what would go, and changes nothing. *ret: {"dry_run", "versions": [{"of":
 * "model/NAME/versions/N"}...], "dataset_versions": [...], "version_count",
 * "dataset_version_count", "picture_count", "blobs", "bytes", "swept", "feature_files",
 * "feature_bytes"}; a list has GC_LISTED_MAX names at most, swept tells whether the blobs are gone
 * already. */
enum err_code gc_run(struct state *s, bool dry_run, const char *who, json_t **ret, struct err *e)
    MUST_USE;

/* The feature cache alone. It holds more than its limit while a job fills it, and less than that
 * again when the job has ended and this has been called. */
enum err_code gc_features(struct state *s, bool dry_run, struct feature_folder *ret, struct err *e)
    MUST_USE;

/* Both, gc_run() only where any retention is set; for the scheduler. */
enum err_code gc_run_due(struct state *s, struct err *e) MUST_USE;

#endif

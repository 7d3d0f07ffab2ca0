/* sweep.h -- removes what a crash or a refused upload left in the state folder and no row names.
 *
 * Blobs that are named: pictures, manifests, backbones, artifacts, reports. Job folders that are
 * kept: those of jobs that have not ended. Threads: one. sweep_blobs() while nobody is between
 * state_put_begin() and _end(): a blob that was put and is not yet named by a committed row looks
 * just like one that nobody will ever name. sweep_jobs() at start, while nothing else uses the
 * folder. */
#ifndef KENNEL_SWEEP_H
#define KENNEL_SWEEP_H

#include "data/blob.h"

struct db;

enum err_code sweep_blobs(struct db *db, struct blobs *blobs, struct err *e) MUST_USE;
/* jobs: the folder DIR/jobs. */
enum err_code sweep_jobs(struct db *db, const char *jobs, struct err *e) MUST_USE;

#endif

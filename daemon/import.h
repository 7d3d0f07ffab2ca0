/* import.h -- an archive or folder of labelled pictures to one new dataset version.
 *
 * The caller's thread reads and unpacks; `threads` others decode each file once to prove that it is
 * a picture and store it. Items are staged outside the database's write lock; one short
 * transaction at the end makes the version, so an upload that breaks off leaves the dataset as
 * it was. A bad picture is quarantined with its reason and never aborts the import; a hostile or
 * broken archive aborts all of it.
 * Memory is constant in the size of the upload.
 * Threads: any number of imports at once; two of one dataset are merged in the order they end. */
#ifndef KENNEL_IMPORT_H
#define KENNEL_IMPORT_H

#include "daemon/datasets.h"

struct import_source {
    archive_read_fn read; /* an archive's bytes, or ... */
    void *context;
    const char *folder; /* ... a folder (already checked to be below an allowed root) */
};

/* Reply {"version" (null when nothing was added), "added", "duplicates", "rejected": [{"path",
 * "code", "reason"}], "rejected_count"}; at most 1,000 rejected are listed. */
enum err_code import_run(struct state *s, const char *dataset, const struct import_source *source,
                         int threads, const char *who, json_t **ret, struct err *e) MUST_USE;

#endif

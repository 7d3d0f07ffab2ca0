/* datasets.h -- labelled pictures, in immutable numbered versions.
 *
 * A dataset's content is a set of members (picture digest, label, split), each with the
 * version that added it and the one that removed it; version n is what was there after change n. A
 * picture is a member at most once, so it can never stand in two splits or under two labels.
 * A dataset begins without a version; versions count from 1.
 * Every function that shows something returns a new json_t, shaped as design'd in openapi.json.
 * Threads: any. */
#ifndef KENNEL_DATASETS_H
#define KENNEL_DATASETS_H

#include "daemon/state.h"
#include "data/layout.h"

#include <jansson.h>

/* {"name", "created", "version" (latest or null), "pictures", "labels"} */
enum err_code datasets_create(struct state *s, const char *name, const char *who, json_t **ret,
                              struct err *e) MUST_USE;
enum err_code datasets_list(struct state *s, json_t **ret, struct err *e) MUST_USE;
enum err_code datasets_show(struct state *s, const char *name, json_t **ret, struct err *e)
    MUST_USE;
/* Newest first. Each {"version", "digest", "created", "cause" ("import", "put", "delete"), "who",
 * "pictures", "counts": {LABEL: {"train": n, "val": n, "test": n}}, "added", "removed",
 * "duplicates", "rejected" (a count in lists)}. _show: "rejected" is the array [{"path", "code",
 * "reason"}] of the first 1,000, "rejected_count" the count. ERR_VERSION_UNKNOWN. */
enum err_code datasets_versions(struct state *s, const char *name, struct state_page page,
                                json_t **ret, struct err *e) MUST_USE;
enum err_code datasets_version_show(struct state *s, const char *name, int64_t version,
                                    json_t **ret, struct err *e) MUST_USE;

/* One picture. split may be SPLIT_AUTO. Reply {"version", "digest", "added": 0|1, "duplicate"}; a
 * picture that is there already under that label makes no new version.
 * ERR_PICTURE_LABEL_CONFLICT under another; ERR_PICTURE_*, ERR_LAYOUT, ERR_LABELS_TOO_MANY. */
enum err_code datasets_put_picture(struct state *s, const char *name, const char *label,
                                   enum split split, const void *bytes, size_t len, const char *who,
                                   json_t **ret, struct err *e) MUST_USE;
/* ERR_PICTURE_UNKNOWN. Reply {"version", "removed": 1}. */
enum err_code datasets_delete_picture(struct state *s, const char *name,
                                      const struct digest *picture, const char *who, json_t **ret,
                                      struct err *e) MUST_USE;

#endif

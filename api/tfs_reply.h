/* tfs_reply.h -- what TensorFlow Serving answers: predictions, a model's status and metadata.
 * Threads: any; pure functions. */
#ifndef KENNEL_TFS_REPLY_H
#define KENNEL_TFS_REPLY_H

#include "api/reply.h"
#include "api/score_batch.h"

/* {"predictions": [[...]]} or {"outputs": [[...]]}: one output, so its name is left out. Numbers
 * are the shortest decimals that give back the float32. */
enum err_code tfs_reply_predictions(bool columnar, const struct score_batch *b, struct reply *ret,
                                    struct err *e) MUST_USE;

/* Both: new references, NULL without memory. One row of a status; a model's signatures. */
json_t *tfs_reply_version(int64_t version);
json_t *tfs_reply_metadata(const struct serve_ref *ref);

#endif

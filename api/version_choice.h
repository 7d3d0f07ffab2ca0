/* version_choice.h -- which version answers a request for a score.
 *
 * A version in the path, else what the header X-Kennel-Version or the query's alias says (a number,
 * or an alias), else production, or a rollout's canary for its share of the clients: by the header
 * X-Kennel-Client, else by the key's name, else by chance. The reply says which one it was in
 * X-Kennel-Version, and in X-Kennel-Prediction-Id under what name lineage and feedback know it.
 * Threads: the handlers'. */
#ifndef KENNEL_VERSION_CHOICE_H
#define KENNEL_VERSION_CHOICE_H

#include "api/request.h"
#include "daemon/serve.h"

/* model NULL: the default. version: the path's; 0: it names none. On an HTTP thread *ret stays
 * NULL, with ERR_OK, where it would have to wait: then the handler returns ERR_OK and is called
 * again on a task thread. Errors as serve_borrow(), and ERR_FIELD_RANGE where header and query
 * differ. */
enum err_code version_choice_borrow(struct request *r, const char *model, int64_t version,
                                    struct serve_ref **ret, struct err *e) MUST_USE;
/* Gives the request the name of its prediction; before its pictures are scored. */
enum err_code version_choice_name(struct request *r, struct err *e) MUST_USE;

struct version_choice_picture {
    enum score_input input;
    const void *bytes; /* borrowed */
    size_t len;
    int place; /* among the request's pictures */
};
/* A picture was answered: kept under the request's name (behind the first one with -PLACE) and
 * mirrored where a rollout wants it, unless the version was asked for. Before the request is
 * finished. */
void version_choice_answered(const struct request *r, const struct score_result *result,
                             const struct version_choice_picture *picture);
/* On the reply, which has been written: which version it was, and the prediction's name. */
void version_choice_tell(struct request *r, int64_t version);

#endif

/* serve.h -- the models that answer predictions, and how they are replaced.
 *
 * A request borrows a snapshot (classifier, version number, labels) for its whole life, so no
 * answer mixes two versions. A replaced snapshot dies with its last borrow.
 * Threads: any; serve_free() alone, last. Lock order: the moves' lock (serve_moves_lock()), then
 * the database's writer, then serve's own mutex, which is never held while something is loaded,
 * freed or scored. */
#ifndef KENNEL_SERVE_H
#define KENNEL_SERVE_H

#include "daemon/state.h"
#include "nn/classifier.h"

#include <jansson.h>

struct serve;
struct serve_ref;
struct serve_scratch;

struct serve_options {
    const char *default_model; /* NULL: the only model in production is the default */
    uint64_t plan_memory;      /* bytes of loaded versions together; 0: no limit. --plan-memory */
    struct meters *meters;     /* daemon/score_meters.h; borrowed; NULL: nothing is counted */
};

/* Loads and warms every production version. A version that cannot be loaded is logged by the
 * caller: *ret is made all the same, and serve_ready() stays false.
 * What has been used longest ago is given up while all together are more than plan_memory, but for
 * the one that is asked for; it is loaded again when it is asked for. */
enum err_code serve_new(struct state *s, const struct serve_options *o, struct serve **ret,
                        struct err *e) MUST_USE;
void serve_free(struct serve *v);

/* Every production version has been loaded and warmed, but for what was unloaded on a word. */
bool serve_ready(struct serve *v);

/* Loads and warms a version without showing it to anybody; the caller owns the reference. At a low
 * priority, because those who score are not to notice; the caller waits. */
enum err_code serve_load(struct serve *v, const char *model, int64_t version,
                         struct serve_ref **ret, struct err *e) MUST_USE;
/* Takes the reference: it is production for its model from now on. Whoever moves an alias in the
 * database holds serve_moves_lock() from before its transaction until after the swap, so that what
 * is served is what was committed last. It shows at once; then the caller waits, for a second at
 * most, until nobody borrows what was replaced, and frees it: no request is to do that. */
void serve_swap(struct serve *v, struct serve_ref *next);
void serve_moves_lock(struct serve *v);
void serve_moves_unlock(struct serve *v);

/* model NULL: the default. version 0: production; else that version, loaded on demand (a few are
 * kept). Give back with serve_release(). ERR_MODEL_UNKNOWN, ERR_VERSION_UNKNOWN, ERR_NOT_PROMOTED,
 * ERR_MODEL_AMBIGUOUS. */
enum err_code serve_borrow(struct serve *v, const char *model, int64_t version,
                           struct serve_ref **ret, struct err *e) MUST_USE;
/* The same without waiting for anything: *ret is NULL, and ERR_OK returned, where only the database
 * or a load could tell more. For threads that must not touch the disk. */
enum err_code serve_borrow_loaded(struct serve *v, const char *model, int64_t version,
                                  struct serve_ref **ret, struct err *e) MUST_USE;
/* One more borrow of the same snapshot. */
void serve_share(struct serve_ref *r);
void serve_release(struct serve_ref *r);

/* The model's production version is given up and not scored with (ERR_MODEL_UNLOADED) until the
 * next serve_swap(); freed as there. Not remembered beyond the process.
 * ERR_MODEL_UNKNOWN, ERR_NOT_PROMOTED. */
enum err_code serve_unload(struct serve *v, const char *model, struct err *e) MUST_USE;

/* The version that is in production and could be loaded, or will be when it is asked for; 0: none.
 */
int64_t serve_stands_for(struct serve *v, const char *model);
/* A version could not be loaded because its file is missing or changed; forgets that. */
bool serve_damaged(struct serve *v);

/* The default model's name; false: there is none, or it has nothing in production. */
enum { SERVE_NAME = 65 };
bool serve_default_name(struct serve *v, char ret[SERVE_NAME]);

/* The versions that are loaded, and the bytes that they hold. */
void serve_memory(struct serve *v, int *ret_versions, uint64_t *ret_bytes);

/* The bytes that the version holds; 0: it is not loaded. */
uint64_t serve_version_bytes(struct serve *v, const char *model, int64_t version);

/* What is kept on demand for the model is loaded anew when it is next asked for: its labels are
 * made when it is loaded, and the model's setting for them has changed. */
void serve_forget(struct serve *v, const char *model);

const struct classifier *serve_ref_classifier(const struct serve_ref *r);
const char *serve_ref_model(const struct serve_ref *r);
int64_t serve_ref_version(const struct serve_ref *r);
/* As answers show them (prefix dropped where the model says so). [classes] borrowed. */
const char *const *serve_ref_labels(const struct serve_ref *r);

/* A classifier scratch that lives no longer than the snapshot; one user at a time. Given back, it
 * is lent again: there are as many as ever were in use at once. */
enum err_code serve_scratch_borrow(struct serve_ref *r, struct serve_scratch **ret, struct err *e)
    MUST_USE;
void serve_scratch_release(struct serve_ref *r, struct serve_scratch *s);
struct classifier_scratch *serve_scratch_classifier(const struct serve_scratch *s);

#endif

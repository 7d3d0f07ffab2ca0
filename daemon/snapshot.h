/* snapshot.h -- private to serve.c, plan_cache.c and snapshot.c: one loaded version and what is
 * lent with it.
 *
 * Immutable once loaded, except for the borrow count (guarded by the owner's mutex) and the list of
 * idle scratches (guarded by its own, held for a pointer swap).
 * Threads: snapshot_load() any; snapshot_free() when nobody borrows it any more. */
#ifndef KENNEL_SNAPSHOT_H
#define KENNEL_SNAPSHOT_H

#include "daemon/serve.h"

#include <pthread.h>
#include <stdatomic.h>

/* A model in production; lives as long as its owner, since what is promoted is only ever replaced.
 */
struct serve_slot {
    char *name;                /* owned */
    struct serve_ref *current; /* NULL: could not be loaded; guarded by the owner's mu */
    struct err failure;        /* then the reason; guarded by the owner's mu */
    bool unloaded;             /* on somebody's word: not a failure; guarded by the owner's mu */
    /* What is in production when nothing failed: loaded on demand if current is NULL, by one thread
     * while the others wait. Guarded by the owner's mu. */
    int64_t version;
    bool loading;
    struct serve_slot *next; /* guarded by the owner's mu */
};

struct serve_ref {
    struct serve *owner; /* borrowed */
    int borrows;         /* guarded by owner's mu */
    bool retired;        /* its slot holds another one; guarded by owner's mu */
    uint64_t used;       /* the owner's count of borrows at the last one; guarded by its mu */
    struct serve_ref *next_given_up;
    int64_t version;
    struct classifier *classifier; /* owned */
    const char **labels;           /* owned; texts are the classifier's */
    /* Taken by the owner if this becomes the model's first production version, so that a swap
     * cannot fail. Its name is the model's. */
    struct serve_slot *slot; /* owned until then */
    char *model;             /* owned */
    atomic_int scratches;    /* that were ever made */

    pthread_mutex_t mu;
    struct serve_scratch *idle; /* guarded by mu */
};

/* Reads the row and the artifact, builds the classifier and scores one picture with each of
 * `scratches` scratches (at least 1), so that as many threads find one ready. borrows is 1: the
 * caller's. ERR_MODEL_UNKNOWN, ERR_VERSION_UNKNOWN, ERR_BLOB_*, ERR_ONNX_*, ERR_DNN. */
enum err_code snapshot_load(struct serve *owner, struct state *s, const char *model,
                            int64_t version, int scratches, struct serve_ref **ret, struct err *e)
    MUST_USE;
void snapshot_free(struct serve_ref *r);
/* Held by the classifier and its scratches. */
uint64_t snapshot_bytes(const struct serve_ref *r);

enum err_code serve_slot_new(const char *name, struct serve_slot **ret, struct err *e) MUST_USE;
/* Not what it points at. NULL is fine. */
void serve_slot_free(struct serve_slot *slot);

#endif

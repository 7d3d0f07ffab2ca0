/* traffic.h -- which requests a rollout's canary answers, and what is asked of two versions.
 *
 * A share of the clients, by a hash of the rollout and the client's key: whoever is in at 5 % is in
 * at 25 %. What the canary answered is also answered by production, and what production answered by
 * the shadow, off the request's path: on a thread of low priority behind a bounded queue. A picture
 * that finds the queue full is not mirrored, and counted; the request never waits for it.
 * Threads: any; traffic_free() alone, after the scorer. The lock is a leaf, held for a look-up. */
#ifndef KENNEL_TRAFFIC_H
#define KENNEL_TRAFFIC_H

#include "daemon/scorer.h"

struct traffic;

enum { TRAFFIC_QUEUE = 256, TRAFFIC_NAME = 65, TRAFFIC_ID = 65 };
/* Of pictures that wait to be mirrored, together. */
#define TRAFFIC_BYTES ((size_t)64 << 20)

/* A picture as one version answered it. */
struct traffic_side {
    enum err_code code;
    int64_t version;
    char label[256]; /* the most probable; "" with an error */
    int64_t us;      /* that it took to decode and compute; 0: unknown */
};

/* What was seen of a picture. */
struct traffic_seen {
    int64_t rollout;
    char id[TRAFFIC_ID];        /* the prediction's; "" when it has none */
    struct traffic_side first;  /* what the client got */
    struct traffic_side second; /* mirrored; version 0: it was not */
};

/* Called without any lock held, on a scoring thread or the mirror's. */
typedef void (*traffic_see)(void *context, const struct traffic_seen *seen);

struct traffic_options {
    struct image_limits limits;
    traffic_see see;
    void *context;
};

enum err_code traffic_new(const struct traffic_options *o, struct traffic **ret, struct err *e)
    MUST_USE;
void traffic_free(struct traffic *t);

struct traffic_split {
    int64_t rollout;
    struct serve_ref *production;      /* taken, as are the others */
    struct serve_ref *canary, *shadow; /* NULL: none */
    int percent;
};
/* From now on the traffic of the split's model (production's) goes so. On failure the caller keeps
 * the references. */
enum err_code traffic_set(struct traffic *t, const struct traffic_split *split, struct err *e)
    MUST_USE;
/* All of it goes to production. */
void traffic_clear(struct traffic *t, const char *model);
void traffic_percent(struct traffic *t, const char *model, int percent);

/* Is this client among percent of all? key NULL: by chance. */
bool traffic_includes(int64_t rollout, const char *key, int percent);

/* Takes production's borrow, gives the borrow of the version that answers this client. */
struct serve_ref *traffic_route(struct traffic *t, struct serve_ref *production, const char *key);

struct traffic_answer {
    const char *id; /* the prediction's, or NULL */
    const struct score_result *result;
    enum score_input input;
    const void *bytes;
    size_t len;
};
/* A picture was answered; everything is copied that is kept. */
void traffic_answered(struct traffic *t, const struct traffic_answer *a);

/* Pictures of the model that were not mirrored since its split was set. */
int64_t traffic_dropped(struct traffic *t, const char *model);

#endif

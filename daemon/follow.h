/* follow.h -- a follower: serves what its trainer serves, and goes on when the trainer is away.
 *
 *                 304                              unchanged: asked again at once
 *                +---+
 *   ask (waits) -+   +-- 200: pull what is missing, load, commit, swap
 *        ^       +------ nothing, or not all of it: pause (0.25 s to 15 s, jittered), ask again
 *        +--------------------------------------+
 *
 * A thread asks the trainer for its catalogue (daemon/replica.h) and the trainer answers when it
 * has become another one, or after FOLLOW_WAIT_SECONDS. Artifacts are pulled by digest and put
 * under that digest alone. A model that cannot be had as the catalogue has it stays as it was,
 * whole, while the others go on.
 * Invariants: what is served was loaded and warmed before its rows were committed; a restart
 * without the trainer serves what was committed last. Until a first catalogue is there nobody is
 * let in (keys_hold()).
 * Threads: any; follow_new(), _start() and _free() one. Lock order: serve's moves, the database's
 * writer; follow's own is a leaf. */
#ifndef KENNEL_FOLLOW_H
#define KENNEL_FOLLOW_H

#include "daemon/follow_link.h"
#include "daemon/keys.h"
#include "daemon/serve.h"
#include "daemon/traffic.h"

struct follow;
struct predictions;
struct spool;

enum { FOLLOW_WAIT_SECONDS = 10 };

struct follow_parts { /* borrowed */
    struct state *state;
    struct serve *serve;
    struct keys *keys;
    struct predictions *predictions;
    struct spool *spool;
    struct image_limits limits; /* of mirrored pictures */
    const char *program;        /* static: its version */
};

/* Goes on with the split traffic of what was committed last. ERR_URL. */
enum err_code follow_new(const struct follow_options *o, const struct follow_parts *p,
                         struct follow **ret, struct err *e) MUST_USE;
/* may_open: where the trainer has no keys, everybody is let in. */
enum err_code follow_start(struct follow *f, bool may_open, struct err *e) MUST_USE;
/* Ends the threads; all else goes on. NULL is fine, as for _free(). */
void follow_stop(struct follow *f);
/* After the scorer's end. */
void follow_free(struct follow *f);

/* Where scoring asks who answers. */
struct traffic *follow_traffic(struct follow *f);
/* There is a catalogue, and no model of it is missing altogether. */
bool follow_ready(struct follow *f);
const char *follow_trainer(const struct follow *f);

struct follow_figures {
    bool connected;     /* the last request was answered */
    double lag_seconds; /* since it was last known to serve what the trainer serves; before that
                           since the start */
    int64_t pulls, pulled_bytes, pull_failures;
    int64_t spooled_bytes; /* that wait to be told to the trainer */
    int64_t dropped;       /* answers that it will not be told of */
};
enum err_code follow_look(struct follow *f, struct follow_figures *ret, struct err *e) MUST_USE;
/* {"trainer", "connected", "catalog": tag or null, "synced": time or null, "lag_seconds",
 * "error": text or null, "spooled_bytes", "dropped", "models": [{"model", "aliases": {NAME:
 * version}}...]}. */
enum err_code follow_show(struct follow *f, json_t **ret, struct err *e) MUST_USE;

#endif

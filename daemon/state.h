/* state.h -- the state folder: who owns it, where things lie, the database and the blobs.
 *
 *   DIR/lock           flock()ed by the one kenneld that owns the folder
 *   DIR/kennel.db      SQLite, WAL, STRICT, foreign keys, numbered migrations
 *   DIR/blobs/         content-addressed files (data/blob.h)
 *   DIR/features/      feature cache (data/feature_cache.h)
 *   DIR/jobs/ID/       a worker's specification and output
 *   DIR/staging/       uploads and imports under way; emptied at start
 *   DIR/restoring/     a restore under way (daemon/restore.h); without kennel.db no daemon starts
 *
 * Invariants: a blob is durable before the row that names it commits; a blob is removed only by a
 * sweep, at start or between puts (state_put_begin()), and only when no row names it.
 * Threads: any. The database hands each caller a connection of its own (daemon/db.h). */
#ifndef KENNEL_STATE_H
#define KENNEL_STATE_H

#include "data/archive.h"
#include "data/blob.h"
#include "data/image.h"

struct state;
struct db;

/* Of a list by falling numbers: at most limit, only those below before (0: from the first on). */
struct state_page {
    int64_t limit, before;
};

#define STATE_RESTORING "restoring"

/* Every limit on what comes from outside that is not HTTP's own; --help names each. */
struct limits {
    struct image_limits image;     /* --max-pixels, 50 MP */
    uint64_t max_picture_bytes;    /* --max-picture-bytes, 64 MiB */
    uint64_t max_backbone_bytes;   /* --max-backbone-bytes, 512 MiB */
    struct archive_limits archive; /* --max-entries 2,000,000; unpacked 1 TiB */
    int max_labels;                /* 10,000 per dataset */
    uint64_t max_feature_bytes;    /* --max-feature-bytes, 64 GiB: of the feature cache (gc.h) */
};
void limits_default(struct limits *l);

/* Creates what is missing, takes the lock (ERR_STATE_LOCKED naming the folder), migrates, and
 * sweeps blobs and job folders that no row names. */
enum err_code state_open(const char *dir, const struct limits *limits, struct state **ret,
                         struct err *e) MUST_USE;
/* The same for a follower (daemon/follow.h), whose rows are copies of some of its trainer's. Either
 * refuses a folder of the other kind (ERR_FIELD_RANGE): a follower's says nothing of its own. */
enum err_code state_open_replica(const char *dir, const struct limits *limits, struct state **ret,
                                 struct err *e) MUST_USE;
void state_close(struct state *s);

/* What state_open() locks; for who works on the folder while no daemon does. Closing *ret gives it
 * back. create: makes DIR/lock where there is none, else that is ERR_IO. ERR_STATE_LOCKED. */
enum err_code state_lock(const char *dir, bool create, int *ret, struct err *e) MUST_USE;

/* Around everything that puts blobs and then commits the rows that name them: until its end no
 * sweep takes place. Not nested; held by any number of threads at once.
 * named: every blob that was put has its row. Where it is false, what no row names is removed as
 * soon as nobody is between begin and end: a refused upload must not keep a disk full. */
void state_put_begin(struct state *s);
void state_put_end(struct state *s, bool named);
/* Removes what no row names now, or as soon as nobody is between begin and end. Whether it was now.
 * Not between them. */
bool state_sweep(struct state *s);

struct blobs *state_blobs(struct state *s);
struct db *state_db(struct state *s);
const struct limits *state_limits(const struct state *s);
const char *state_dir(const struct state *s);

#endif

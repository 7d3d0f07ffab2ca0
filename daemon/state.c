#include "daemon/state.h"

#include "daemon/db.h"
#include "daemon/migrate.h"
#include "daemon/replica.h"
#include "daemon/sweep.h"
#include "data/base/cleanup.h"
#include "data/base/file.h"
#include "data/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

struct state {
    char *dir;
    struct limits limits;
    int lock; /* the open DIR/lock; -1: none */
    struct db *db;
    struct blobs *blobs;
    pthread_rwlock_t puts;   /* read: blobs are put and not yet named; write: a sweep */
    atomic_bool has_unnamed; /* since the last sweep */
};

CLEANUP_DEFINE(struct state, state_close);

void limits_default(struct limits *l)
{
    *l = (struct limits){
        .image = { .max_pixels = IMAGE_MAX_PIXELS_DEFAULT },
        .max_picture_bytes = UINT64_C(64) << 20,
        .max_backbone_bytes = UINT64_C(512) << 20,
        .archive = { .max_entries = 2000000,
                     .max_member = UINT64_C(64) << 20,
                     .max_unpacked = UINT64_C(1) << 40 },
        .max_labels = 10000,
        .max_feature_bytes = UINT64_C(64) << 30,
    };
}

/* The kernel drops the lock with the process, however it ends; O_CLOEXEC keeps it from workers. */
enum err_code state_lock(const char *dir, bool create, int *ret, struct err *e)
{
    CLEANUP(cleanup_free) char *path = NULL;
    enum err_code r = file_path(&path, e, "%s/lock", dir);
    if (r)
        return r;
    CLEANUP(cleanup_fd) int fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
    if (fd < 0)
        return err_errno(e, errno, "cannot open %s%s", path,
                         errno == ENOENT ? ": that is no state folder" : "");
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? err_set(e, ERR_STATE_LOCKED, "another kenneld owns the state folder %s", dir)
                   : err_errno(e, errno, "cannot lock %s", path);
    *ret = fd;
    fd = -1;
    return ERR_OK;
}

/* What restore.c has not ended. */
static enum err_code check_restored(const char *dir, const char *database, struct err *e)
{
    CLEANUP(cleanup_free) char *restoring = NULL;
    enum err_code r = file_path(&restoring, e, "%s/" STATE_RESTORING, dir);
    if (r || access(restoring, F_OK) != 0)
        return r;
    if (access(database, F_OK) != 0)
        return err_set(e, ERR_STATE_RESTORING,
                       "a restore into %s did not come to its end: run it again", dir);
    return file_remove_tree(restoring, e);
}

static enum err_code make_folder(const struct state *s, const char *name, char **ret, struct err *e)
{
    enum err_code r = file_path(ret, e, "%s/%s", s->dir, name);
    return r ? r : file_mkdirs(*ret, e);
}

static enum err_code make_folders(struct state *s, char **ret_blobs, char **ret_jobs, struct err *e)
{
    CLEANUP(cleanup_free) char *features = NULL;
    CLEANUP(cleanup_free) char *staging = NULL;
    enum err_code r = file_path(&staging, e, "%s/staging", s->dir);
    if (!r)
        r = file_remove_tree(staging, e);
    if (!r)
        r = file_mkdirs(staging, e);
    if (!r)
        r = make_folder(s, "features", &features, e);
    if (!r)
        r = make_folder(s, "blobs", ret_blobs, e);
    return r ? r : make_folder(s, "jobs", ret_jobs, e);
}

/* A new folder becomes what it is opened as; one in which something was done stays what it is. */
static enum err_code check_kind(struct state *s, bool replica, struct err *e)
{
    bool is_replica = false, is_used = false;
    enum err_code r = replica_look(s->db, &is_replica, &is_used, e);
    if (r)
        return r;
    if (is_replica && !replica)
        return err_set(e, ERR_FIELD_RANGE,
                       "%s is the state folder of a follower: start it with --follow, or name "
                       "another --state",
                       s->dir);
    if (replica && !is_replica && is_used)
        return err_set(e, ERR_FIELD_RANGE,
                       "%s is the state folder of a trainer: a follower needs one of its own",
                       s->dir);
    return replica ? replica_begin(s->db, e) : ERR_OK;
}

static enum err_code open_folder(const char *dir, const struct limits *limits, bool replica,
                                 struct state **ret, struct err *e)
{
    CLEANUP(state_close_p) struct state *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for the state folder");
    s->lock = -1;
    pthread_rwlock_init(&s->puts, NULL);
    s->limits = *limits;
    s->dir = strdup(dir);
    if (!s->dir)
        return err_set(e, ERR_NOMEM, "no memory for the state folder");

    CLEANUP(cleanup_free) char *blobs = NULL;
    CLEANUP(cleanup_free) char *jobs = NULL;
    CLEANUP(cleanup_free) char *database = NULL;
    enum err_code r = file_path(&database, e, "%s/kennel.db", dir);
    if (!r)
        r = file_mkdirs(dir, e);
    if (!r)
        r = state_lock(dir, true, &s->lock, e);
    if (!r)
        r = check_restored(dir, database, e);
    if (!r)
        r = make_folders(s, &blobs, &jobs, e);
    if (!r)
        r = db_open(database, &s->db, e);
    if (!r)
        r = migrate(s->db, e);
    if (!r)
        r = check_kind(s, replica, e);
    if (!r)
        r = blobs_open(blobs, true, &s->blobs, e);
    if (!r)
        r = sweep_blobs(s->db, s->blobs, e);
    if (!r)
        r = sweep_jobs(s->db, jobs, e);
    if (!r)
        r = file_sync_dir(dir, e);
    if (r)
        return r;
    *ret = STEAL(s);
    return ERR_OK;
}

enum err_code state_open(const char *dir, const struct limits *limits, struct state **ret,
                         struct err *e)
{
    return open_folder(dir, limits, false, ret, e);
}

enum err_code state_open_replica(const char *dir, const struct limits *limits, struct state **ret,
                                 struct err *e)
{
    return open_folder(dir, limits, true, ret, e);
}

void state_close(struct state *s)
{
    if (!s)
        return;
    blobs_close(s->blobs);
    db_close(s->db);
    cleanup_fd(&s->lock);
    pthread_rwlock_destroy(&s->puts);
    free(s->dir);
    free(s);
}

void state_put_begin(struct state *s)
{
    pthread_rwlock_rdlock(&s->puts);
}

/* Whoever keeps the lock from being had here looks at the flag in turn, after it has let go. */
static void sweep_if_wanted(struct state *s)
{
    bool failed = false;
    while (!failed && atomic_load(&s->has_unnamed) && pthread_rwlock_trywrlock(&s->puts) == 0) {
        struct err e;
        if (atomic_exchange(&s->has_unnamed, false) && sweep_blobs(s->db, s->blobs, &e)) {
            failed = true;
            atomic_store(&s->has_unnamed, true);
            log_event("error", "blobs_not_swept", "code", err_slug(e.code), "message", e.message,
                      NULL);
        }
        pthread_rwlock_unlock(&s->puts);
    }
}

void state_put_end(struct state *s, bool named)
{
    if (!named)
        atomic_store(&s->has_unnamed, true);
    pthread_rwlock_unlock(&s->puts);
    sweep_if_wanted(s);
}

bool state_sweep(struct state *s)
{
    atomic_store(&s->has_unnamed, true);
    sweep_if_wanted(s);
    return !atomic_load(&s->has_unnamed);
}

struct blobs *state_blobs(struct state *s)
{
    return s->blobs;
}

struct db *state_db(struct state *s)
{
    return s->db;
}

const struct limits *state_limits(const struct state *s)
{
    return &s->limits;
}

const char *state_dir(const struct state *s)
{
    return s->dir;
}

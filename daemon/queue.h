/* queue.h -- private to jobs: the rows of table job, and the only moves between their states.
 *
 * Every move is a compare-and-set on (state, attempt) inside one write transaction; the CHECKs of
 * the table hold the rest. A move that finds another state than it expects changes nothing and says
 * so: somebody else (a cancel) was first.
 * Threads: any. */
#ifndef KENNEL_QUEUE_H
#define KENNEL_QUEUE_H

#include "daemon/db.h"
#include "daemon/job_limits.h"
#include "daemon/state.h"
#include "nn/retrain.h"

enum job_state {
    JOB_QUEUED,
    JOB_RUNNING,
    JOB_SUCCEEDED,
    JOB_REJECTED,
    JOB_FAILED,
    JOB_CANCELLED,
    JOB_STATES
};

enum { JOB_ID_MAX = 64, JOB_DEATHS_MAX = 3 };

const char *job_state_text(enum job_state s);
bool job_state_parse(const char *text, enum job_state *ret);
bool job_state_is_final(enum job_state s);
bool job_move_is_legal(enum job_state from, enum job_state to);

/* A job as the one who runs it needs it. A claim fills id, attempt and deaths, queue_read() the
 * rest. */
struct job {
    char id[JOB_ID_MAX + 1];
    int64_t attempt;
    int64_t deaths; /* of its workers, in earlier attempts */
    int64_t model;
    int64_t champion; /* version in production when it started; 0: none */
    json_t *gate;     /* owned */
    struct job_limits limits;
    struct retrain_spec spec; /* its texts are borrowed from overrides */
    json_t *overrides;        /* owned */
};
void job_fini(struct job *j);

/* Takes the queued job of the highest priority, among equals the oldest, whose model has none
 * running: it is running now, with the champion of this moment and one attempt more. *ret_found
 * false: there is none. */
enum err_code queue_claim(struct state *s, struct job *ret, bool *ret_found, struct err *e)
    MUST_USE;
/* The rows that are running: for a start after a crash. The caller owns the array. */
enum err_code queue_running(struct state *s, struct job **ret, size_t *ret_count, struct err *e)
    MUST_USE;
/* What the job is to do. threads: for the worker. On failure some members may be set; job_fini()
 * as ever. */
enum err_code queue_read(struct state *s, int threads, struct job *job, struct err *e) MUST_USE;

/* The moves out of running. *ret_moved false: the row is not running that attempt any more. */
struct job_end {
    enum job_state state;       /* JOB_QUEUED (again), JOB_FAILED */
    bool uncounted;             /* queued again: this attempt was not the job's fault */
    bool died;                  /* queued again: its worker died by itself */
    const char *code, *message; /* of a failure */
};
enum err_code queue_end(struct state *s, const char *id, int64_t attempt, const struct job_end *end,
                        bool *ret_moved, struct err *e) MUST_USE;
/* To JOB_SUCCEEDED or JOB_REJECTED, inside the transaction that made the version. */
enum err_code queue_end_with_version(struct db_tx *t, const struct job *j, enum job_state state,
                                     int64_t version, int64_t forward_passes, bool *ret_moved,
                                     struct err *e) MUST_USE;

/* From queued or running. *ret_was: the state before. ERR_JOB_UNKNOWN; ERR_JOB_STATE when it has
 * ended. */
enum err_code queue_cancel(struct state *s, const char *id, const char *who,
                           enum job_state *ret_was, struct err *e) MUST_USE;

/* Whether the row is still running that attempt. */
enum err_code queue_is_running(struct state *s, const char *id, int64_t attempt, bool *ret,
                               struct err *e) MUST_USE;
enum err_code queue_set_progress(struct state *s, const char *id, int64_t attempt,
                                 const json_t *progress, struct err *e) MUST_USE;

#endif

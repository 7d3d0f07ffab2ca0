#include "daemon/ending.h"

#include "daemon/outcome.h"
#include "data/base/file.h"
#include "data/base/log.h"

#include <inttypes.h>
#include <string.h>

/* A job whose worker takes the daemon down with it, as where one memory limit holds for both, must
 * not do so for ever. */
enum { RESTARTS_MAX = 10 };

void ending_log(const char *event, const char *id, const struct err *e)
{
    log_event("error", event, "job", id, "code", err_slug(e->code), "message", e->message, NULL);
}

static void log_end(const char *id, enum job_state state, const char *code, const char *message)
{
    log_event("info", "job_ended", "job", id, "state", job_state_text(state), "code", code,
              "message", message, NULL);
}

static void remove_folder(const char *folder, const char *id)
{
    struct err e;
    if (file_remove_tree(folder, &e)) /* the next start sweeps it */
        ending_log("job_folder_left", id, &e);
}

/* A result goes before its job is queued again: if it outlived its attempt, a crash right behind
 * the next claim would make it that claim's, which may have another champion. */
static enum err_code write_end(const struct ending *x, const struct job *j,
                               const struct job_end *end, const char *folder, bool *ret_moved,
                               struct err *e)
{
    enum err_code r = end->state == JOB_QUEUED ? outcome_discard(folder, e) : ERR_OK;
    return r ? r : queue_end(x->state, j->id, j->attempt, end, ret_moved, e);
}

/* False when it was not written. */
static bool end_row(const struct ending *x, const struct job *j, const struct job_end *end,
                    const char *folder)
{
    for (;;) {
        struct err e;
        bool moved = false;
        if (write_end(x, j, end, folder, &moved, &e) == ERR_OK) {
            if (moved && end->state == JOB_QUEUED)
                log_event("info", "job_queued_again", "job", j->id, "message", end->message, NULL);
            else if (moved)
                log_end(j->id, end->state, end->code, end->message);
            if (!moved || end->state != JOB_QUEUED)
                remove_folder(folder, j->id);
            return true;
        }
        ending_log("job_end_not_written", j->id, &e);
        if (x->wait(x->context))
            return false;
    }
}

/* What users see of an error names files as they lie in the state folder, not where that is. */
static void leave_out_folder(char *message, const char *folder)
{
    size_t len = strlen(folder);
    for (char *at = message; (at = strstr(at, folder));) {
        size_t skip = at[len] == '/' ? len + 1 : len;
        memmove(at, at + skip, strlen(at + skip) + 1);
    }
}

static bool fail(const struct ending *x, const struct job *j, enum err_code code,
                 const char *message, const char *folder)
{
    char shown[sizeof(((struct err *)0)->message)];
    snprintf(shown, sizeof shown, "%s", message);
    leave_out_folder(shown, state_dir(x->state));
    const struct job_end end = { .state = JOB_FAILED, .code = err_slug(code), .message = shown };
    return end_row(x, j, &end, folder);
}

void ending_fail(const struct ending *x, const struct job *j, enum err_code code,
                 const char *message, const char *folder)
{
    fail(x, j, code, message, folder);
}

static bool store(const struct ending *x, const struct job *j, const char *folder)
{
    static const struct job_end again = {
        .state = JOB_QUEUED,
        .uncounted = true,
        .message = "another version went into production while the job ran",
    };
    enum outcome outcome = OUTCOME_LOST;
    struct err e;
    if (outcome_store(x->state, j, folder, &outcome, &e))
        return fail(x, j, e.code, e.message, folder);
    switch (outcome) {
    case OUTCOME_STALE:
        return end_row(x, j, &again, folder);
    case OUTCOME_SUCCEEDED:
        log_end(j->id, JOB_SUCCEEDED, "ok", "the gate passed its version");
        break;
    case OUTCOME_REJECTED:
        log_end(j->id, JOB_REJECTED, "ok", "the gate did not pass its version");
        break;
    case OUTCOME_LOST:
        break;
    }
    remove_folder(folder, j->id);
    return true;
}

void ending_store(const struct ending *x, const struct job *j, const char *folder)
{
    store(x, j, folder);
}

void ending_death(const struct ending *x, const struct job *j, const char *how, const char *folder)
{
    char message[sizeof(((struct err *)0)->message)];
    snprintf(message, sizeof message,
             "the worker died in attempt %" PRId64 " (death %" PRId64 " of at most %d): %s",
             j->attempt, j->deaths + 1, JOB_DEATHS_MAX, how);
    const struct job_end again = { .state = JOB_QUEUED, .died = true, .message = message };
    if (j->deaths + 1 >= JOB_DEATHS_MAX)
        fail(x, j, ERR_WORKER_DIED, message, folder);
    else
        end_row(x, j, &again, folder);
}

void ending_stop(const struct ending *x, const struct job *j, const char *folder)
{
    static const struct job_end again = { .state = JOB_QUEUED,
                                          .uncounted = true,
                                          .message = "the daemon stopped" };
    end_row(x, j, &again, folder);
}

static bool recover_job(const struct ending *x, int threads, struct job *j)
{
    static const struct job_end again = { .state = JOB_QUEUED,
                                          .message = "the daemon ended while the job ran" };
    CLEANUP(cleanup_free) char *folder = NULL;
    struct err e;
    if (file_path(&folder, &e, "%s/jobs/%s", state_dir(x->state), j->id)) {
        ending_log("job_not_recovered", j->id, &e);
        return false;
    }
    if (outcome_is_complete(folder)) {
        if (queue_read(x->state, threads, j, &e))
            return fail(x, j, e.code, e.message, folder);
        return store(x, j, folder);
    }
    if (j->attempt < RESTARTS_MAX)
        return end_row(x, j, &again, folder);
    char message[96];
    snprintf(message, sizeof message, "the daemon ended in each of %d attempts", RESTARTS_MAX);
    return fail(x, j, ERR_WORKER_DIED, message, folder);
}

static bool never_again(void *context)
{
    (void)context;
    return true;
}

bool ending_recover(const struct ending *x, int threads, jobs_listener tell, void *context)
{
    /* Recovery as a whole is tried again, not one row of it. */
    const struct ending once = { .state = x->state, .wait = never_again };
    CLEANUP(cleanup_free) struct job *jobs = NULL;
    size_t count = 0;
    struct err e;
    bool done = queue_running(x->state, &jobs, &count, &e) == ERR_OK;
    if (!done)
        ending_log("jobs_not_recovered", "", &e);
    for (size_t i = 0; i < count; i++) {
        done = recover_job(&once, threads, &jobs[i]) && done;
        tell(context, jobs[i].id);
        job_fini(&jobs[i]);
    }
    return done;
}

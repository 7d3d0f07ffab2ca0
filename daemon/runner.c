/* DESIGN
 *
 * Each thread repeats: claim a job (a row queued -> running), publish it in a slot, start the
 * worker, follow its output to its end, end the row. A thread with nothing to claim sleeps until
 * the generation changes, which every submit and every end does.
 *
 * A cancel commits the row first and then kills what it finds in the slots; a runner publishes its
 * slot first and then reads the row. So one of the two always sees the other.
 *
 * slot.pid is set while the worker may be killed: from its start until it has ended but before its
 * number is free again.
 *
 * An end that cannot be written (full disk) is tried again until it can be, or the daemon stops;
 * then the row stays running and the next start takes it up. */
#include "daemon/runner.h"

#include "daemon/ending.h"
#include "daemon/gc.h"
#include "daemon/outcome.h"
#include "daemon/process.h"
#include "daemon/queue.h"
#include "daemon/spec.h"
#include "data/base/clock.h"
#include "data/base/file.h"
#include "data/base/json.h"
#include "data/base/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>

enum { RETRY_SECONDS = 1, PROGRESS_SAVE_MS = 2000 };

struct slot {
    struct runner *owner;
    int number;
    pthread_t thread;
    char id[JOB_ID_MAX + 1]; /* empty: none; guarded by the owner's mu, as are the next two */
    pid_t pid;               /* 0: nothing to kill */
    json_t *progress;        /* owned */
};

struct runner {
    struct state *state; /* borrowed */
    struct jobs_options options;
    char *executable; /* owned */
    struct ending ending;
    struct slot *slots; /* options.runners of them */
    int started;

    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool stopping;          /* guarded by mu */
    bool is_recovered;      /* guarded by mu */
    uint64_t generation;    /* guarded by mu */
    jobs_listener listener; /* guarded by mu, as are the next two */
    void *listener_context;
    int telling; /* calls of the listener under way */
};

void runner_listen(struct runner *r, jobs_listener fn, void *context)
{
    pthread_mutex_lock(&r->mu);
    r->listener = fn;
    r->listener_context = context;
    while (r->telling)
        pthread_cond_wait(&r->changed, &r->mu);
    pthread_mutex_unlock(&r->mu);
}

void runner_tell(struct runner *r, const char *id)
{
    pthread_mutex_lock(&r->mu);
    jobs_listener listener = r->listener;
    void *context = r->listener_context;
    r->telling += listener != NULL;
    pthread_mutex_unlock(&r->mu);
    if (!listener)
        return;
    listener(context, id);
    pthread_mutex_lock(&r->mu);
    if (--r->telling == 0)
        pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mu);
}

static void tell(void *context, const char *id)
{
    runner_tell(context, id);
}

void runner_wake(struct runner *r)
{
    pthread_mutex_lock(&r->mu);
    r->generation++;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mu);
}

void runner_kill(struct runner *r, const char *id)
{
    pthread_mutex_lock(&r->mu);
    for (int i = 0; i < r->options.runners; i++)
        if (r->slots[i].pid && strcmp(r->slots[i].id, id) == 0)
            process_kill(r->slots[i].pid);
    pthread_mutex_unlock(&r->mu);
}

json_t *runner_progress(struct runner *r, const char *id)
{
    json_t *progress = NULL;
    pthread_mutex_lock(&r->mu);
    for (int i = 0; i < r->options.runners; i++)
        if (r->slots[i].progress && strcmp(r->slots[i].id, id) == 0)
            progress = json_deep_copy(r->slots[i].progress);
    pthread_mutex_unlock(&r->mu);
    return progress;
}

static bool is_stopping(struct runner *r)
{
    pthread_mutex_lock(&r->mu);
    bool stopping = r->stopping;
    pthread_mutex_unlock(&r->mu);
    return stopping;
}

/* Until the time is over; true when the daemon stops. */
static bool wait_to_retry(void *context)
{
    struct runner *r = context;
    int64_t until = clock_monotonic_us() + RETRY_SECONDS * INT64_C(1000000);
    pthread_mutex_lock(&r->mu);
    while (!r->stopping && clock_wait(&r->changed, &r->mu, until))
        continue;
    bool stopping = r->stopping;
    pthread_mutex_unlock(&r->mu);
    return stopping;
}

/* --- one worker ------------------------------------------------------------------------------ */

/* What a worker's output says, on its runner's thread. */
struct followed {
    struct slot *slot;
    const struct job *job;
    bool failed;
    enum err_code code;
    char message[sizeof(((struct err *)0)->message)];
    int64_t saved_us; /* when progress was last written to the database */
};

static void publish_progress(struct followed *f, json_t *progress)
{
    struct runner *r = f->slot->owner;
    pthread_mutex_lock(&r->mu);
    json_t *old = f->slot->progress;
    f->slot->progress = json_incref(progress);
    pthread_mutex_unlock(&r->mu);
    json_decref(old);

    int64_t now = clock_monotonic_us();
    if (now - f->saved_us >= PROGRESS_SAVE_MS * INT64_C(1000)) {
        f->saved_us = now;
        struct err e; /* progress that cannot be kept is in memory all the same */
        if (queue_set_progress(r->state, f->job->id, f->job->attempt, progress, &e))
            ending_log("job_progress_not_written", f->job->id, &e);
    }
    runner_tell(r, f->job->id);
}

/* The members of a line that a job's progress has; NULL when it lacks one that it must have. */
static json_t *progress_of(const json_t *line)
{
    static const struct {
        const char *name;
        bool required;
    } members[] = { { "phase", true },
                    { "done", true },
                    { "total", true },
                    { "epochs", false },
                    { "epoch", false },
                    { "seconds_left", false },
                    { "images_per_second", false } };
    CLEANUP(json_decref_p) json_t *progress = json_object();
    for (size_t i = 0; progress && i < sizeof members / sizeof *members; i++) {
        json_t *value = json_object_get(line, members[i].name);
        if (!value && members[i].required)
            return NULL;
        if (value && json_object_set(progress, members[i].name, value) < 0)
            return NULL;
    }
    return STEAL(progress);
}

static void take_line(void *context, const json_t *line)
{
    struct followed *f = context;
    const char *code, *message;
    if (json_is_string(json_object_get(line, "phase"))) {
        CLEANUP(json_decref_p) json_t *progress = progress_of(line);
        if (progress)
            publish_progress(f, progress);
    } else if (json_unpack((json_t *)line, "{s:{s:s, s:s}}", "error", "code", &code, "message",
                           &message) == 0) {
        f->failed = true;
        f->code = err_from_slug(code);
        snprintf(f->message, sizeof f->message, "%s", message);
    }
}

/* Starts the worker and waits for its end. */
static enum err_code follow_worker(struct slot *slot, const struct job *j, struct followed *f,
                                   int *ret_status, struct err *e)
{
    struct runner *r = slot->owner;
    struct process p;
    enum err_code code = process_start(r->executable, state_dir(r->state), j->id, &p, e);
    if (code)
        return code;
    pthread_mutex_lock(&r->mu);
    slot->pid = p.pid;
    if (r->stopping)
        process_kill(p.pid);
    pthread_mutex_unlock(&r->mu);
    bool running = true; /* a row that cannot be read stops nobody */
    if (queue_is_running(r->state, j->id, j->attempt, &running, NULL) == ERR_OK && !running)
        process_kill(p.pid);
    runner_tell(r, j->id);

    process_follow(&p, take_line, f);
    process_wait(&p);
    pthread_mutex_lock(&r->mu);
    process_kill(p.pid); /* whatever it may have started */
    slot->pid = 0;
    pthread_mutex_unlock(&r->mu);
    *ret_status = process_reap(&p);
    return ERR_OK;
}

static void end_job(struct runner *r, const struct job *j, const struct followed *f, int status,
                    const char *folder)
{
    char how[PROCESS_END_TEXT];
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && outcome_is_complete(folder)) {
        ending_store(&r->ending, j, folder);
    } else if (WIFEXITED(status) && f->failed) {
        ending_fail(&r->ending, j, f->code, f->message, folder);
    } else if (is_stopping(r)) {
        ending_stop(&r->ending, j, folder);
    } else {
        process_end_text(status, how);
        ending_death(&r->ending, j, how, folder);
    }
}

/* jobs/ID/spec.json, and nothing that an earlier attempt left as its result. */
static enum err_code write_spec(const struct job *j, const char *folder, struct err *e)
{
    CLEANUP(json_decref_p) json_t *spec = NULL;
    CLEANUP(cleanup_free) char *path = NULL;
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, 1 << 20);
    enum err_code r = file_mkdirs(folder, e);
    if (!r)
        r = outcome_discard(folder, e);
    if (!r)
        r = file_path(&path, e, "%s/spec.json", folder);
    if (!r)
        r = spec_to_json(&j->spec, &j->limits, &spec, e);
    if (!r)
        r = json_write(spec, &text, e);
    return r ? r : file_write_atomic(path, text.data, text.len, e);
}

static void run_job(struct slot *slot, struct job *j)
{
    struct runner *r = slot->owner;
    CLEANUP(cleanup_free) char *folder = NULL;
    struct err e;
    enum err_code code = file_path(&folder, &e, "%s/jobs/%s", state_dir(r->state), j->id);
    if (code) { /* not even memory for a path: the row is taken up at the next start */
        ending_log("job_not_run", j->id, &e);
        return;
    }
    code = queue_read(r->state, r->options.threads, j, &e);
    if (!code)
        code = write_spec(j, folder, &e);
    if (code) {
        ending_fail(&r->ending, j, code, e.message, folder);
        return;
    }
    char attempt[24];
    snprintf(attempt, sizeof attempt, "%" PRId64, j->attempt);
    log_event("info", "job_started", "job", j->id, "attempt", attempt, NULL);
    struct followed f = { .slot = slot, .job = j };
    int status = 0;
    if (follow_worker(slot, j, &f, &status, &e))
        ending_death(&r->ending, j, e.message, folder);
    else
        end_job(r, j, &f, status, folder);
    struct feature_folder features;
    if (gc_features(r->state, false, &features, &e))
        log_event("error", "feature_cache", "code", err_slug(e.code), "message", e.message, NULL);
}

/* --- threads --------------------------------------------------------------------------------- */

static void set_slot(struct slot *slot, const char *id)
{
    pthread_mutex_lock(&slot->owner->mu);
    snprintf(slot->id, sizeof slot->id, "%s", id);
    json_t *old = STEAL(slot->progress);
    pthread_mutex_unlock(&slot->owner->mu);
    json_decref(old);
}

/* Waits for a job to claim. False when the daemon stops. */
static bool next_job(struct runner *r, struct job *ret)
{
    for (;;) {
        pthread_mutex_lock(&r->mu);
        uint64_t seen = r->generation;
        bool stopping = r->stopping;
        pthread_mutex_unlock(&r->mu);
        if (stopping)
            return false;
        struct err e;
        bool found = false;
        if (queue_claim(r->state, ret, &found, &e)) {
            log_event("error", "job_not_claimed", "code", err_slug(e.code), "message", e.message,
                      NULL);
            if (wait_to_retry(r))
                return false;
            continue;
        }
        if (found)
            return true;
        pthread_mutex_lock(&r->mu);
        while (!r->stopping && r->generation == seen)
            pthread_cond_wait(&r->changed, &r->mu);
        pthread_mutex_unlock(&r->mu);
    }
}

/* Nothing is claimed before the first thread has taken up everything that an earlier daemon left:
 * until then a running row may be an orphan. */
static void wait_for_recovery(struct runner *r, bool is_first)
{
    for (;;) {
        pthread_mutex_lock(&r->mu);
        while (!is_first && !r->is_recovered && !r->stopping)
            pthread_cond_wait(&r->changed, &r->mu);
        bool done = r->is_recovered || r->stopping;
        pthread_mutex_unlock(&r->mu);
        if (done || wait_to_retry(r))
            return;
        runner_recover(r);
    }
}

static void *run(void *context)
{
    struct slot *slot = context;
    struct runner *r = slot->owner;
    char name[16];
    snprintf(name, sizeof name, "job-%d", slot->number);
    pthread_setname_np(pthread_self(), name);
    wait_for_recovery(r, slot->number == 0);
    struct job job = { 0 };
    while (next_job(r, &job)) {
        set_slot(slot, job.id);
        run_job(slot, &job);
        set_slot(slot, "");
        runner_wake(r); /* its model's next job may run now */
        runner_tell(r, job.id);
        job_fini(&job);
    }
    return NULL;
}

void runner_recover(struct runner *r)
{
    bool done = ending_recover(&r->ending, r->options.threads, tell, r);
    pthread_mutex_lock(&r->mu);
    r->is_recovered = done;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mu);
}

/* --- life ------------------------------------------------------------------------------------ */

CLEANUP_DEFINE(struct runner, runner_free);

enum err_code runner_new(struct state *s, const struct jobs_options *o, struct runner **ret,
                         struct err *e)
{
    if (o->runners < 1 || o->threads < 1)
        return err_set(e, ERR_FIELD_RANGE,
                       "jobs need at least 1 runner and 1 thread, not %d and %d", o->runners,
                       o->threads);
    CLEANUP(runner_free_p) struct runner *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory for %d job runners", o->runners);
    r->state = s;
    r->ending = (struct ending){ .state = s, .wait = wait_to_retry, .context = r };
    pthread_cond_init(&r->changed, NULL);
    pthread_mutex_init(&r->mu, NULL);
    r->executable = strdup(o->executable);
    r->slots = calloc((size_t)o->runners, sizeof *r->slots);
    if (!r->executable || !r->slots)
        return err_set(e, ERR_NOMEM, "no memory for %d job runners", o->runners);
    r->options = *o;
    r->options.executable = r->executable;
    for (int i = 0; i < o->runners; i++) {
        r->slots[i].owner = r;
        r->slots[i].number = i;
    }
    *ret = STEAL(r);
    return ERR_OK;
}

enum err_code runner_start(struct runner *r, struct err *e)
{
    while (r->started < r->options.runners) {
        struct slot *slot = &r->slots[r->started];
        int failed = pthread_create(&slot->thread, NULL, run, slot);
        if (failed)
            return err_errno(e, failed, "cannot start job runner %d", r->started);
        r->started++;
    }
    return ERR_OK;
}

void runner_free(struct runner *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->mu);
    r->stopping = true;
    for (int i = 0; i < r->started; i++)
        if (r->slots[i].pid)
            process_kill(r->slots[i].pid);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mu);
    for (int i = 0; i < r->started; i++)
        pthread_join(r->slots[i].thread, NULL);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->mu);
    free(r->slots);
    free(r->executable);
    free(r);
}

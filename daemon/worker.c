#include "daemon/worker.h"

#include "daemon/deadline.h"
#include "daemon/memory_limit.h"
#include "daemon/spec.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/file.h"
#include "data/base/json.h"
#include "data/base/name.h"
#include "nn/latency.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum {
    SPEC_BYTES_MAX = 1 << 20,
    LINE_BYTES_MAX = 4096,
    ARTIFACT_BYTES_MAX = 1 << 30,
    TELL_EVERY_US = 100000,
    NICE_LOWEST = 19
};

CLEANUP_DEFINE(struct classifier, classifier_free);

struct worker {
    char *folder; /* jobs/ID */
    struct blobs *blobs;
    char *features;
    json_t *spec_json; /* lends text to spec */
    struct retrain_spec spec;
    struct job_limits limits;
    json_int_t epoch; /* the last that was told */
    char phase[16];   /* of the last line */
    int64_t told_us;
};

static void worker_fini(struct worker *w)
{
    free(w->folder);
    blobs_close(w->blobs);
    free(w->features);
    json_decref(w->spec_json);
}

/* A blocked signal or an ignored one is inherited from the daemon through exec. All files of
 * ours are written by rename, so that dying anywhere is safe. */
static void reset_signals(void)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };
    sigset_t none;
    sigemptyset(&none);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        signal(numbers[i], SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* False when the parent has died already. One that was gone before the first getppid() shows as a
 * closed pipe at the first line. */
static bool die_with_parent(void)
{
    pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return getppid() == parent;
}

/* Scoring goes before training. Threads made later inherit it. Idle priority is not for trying out:
 * without privileges there is no way back from it. */
static void set_priority(const struct job_limits *limits)
{
    const struct sched_param none = { 0 };
    if (limits->nice >= 0)
        (void)setpriority(PRIO_PROCESS, 0, (int)limits->nice);
    else if (sched_setscheduler(0, SCHED_IDLE, &none) < 0)
        (void)setpriority(PRIO_PROCESS, 0, NICE_LOWEST);
}

/* Where memory runs out the kernel shall end this process, which is started again or told of, and
 * not the daemon, which serves. */
static void offer_to_oom(void)
{
    static const char worst[] = "1000";
    CLEANUP(cleanup_fd) int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || file_write_all(fd, worst, sizeof worst - 1, "oom_score_adj", NULL))
        return; /* no reason not to train */
}

/* False when nobody reads any more. A line lost for lack of memory is no reason to lose the job. */
static bool write_line(const json_t *object)
{
    CLEANUP(buf_fini) struct buf line;
    buf_init(&line, LINE_BYTES_MAX);
    if (!object || json_write(object, &line, NULL) || buf_append(&line, "\n", 1, NULL))
        return true;
    return file_write_all(STDOUT_FILENO, line.data, line.len, "standard output", NULL) == ERR_OK;
}

static bool tell(void *context, const char *phase, size_t done, size_t total, const json_t *detail)
{
    struct worker *w = context;
    int64_t now = clock_monotonic_us();
    json_int_t epoch =
        json_integer_value(json_object_get(json_object_get(detail, "epoch"), "epoch"));
    bool is_new = strcmp(phase, w->phase) != 0 || epoch != w->epoch;
    w->epoch = epoch;
    if (!is_new && done < total && now - w->told_us < TELL_EVERY_US)
        return false;
    snprintf(w->phase, sizeof w->phase, "%s", phase);
    w->told_us = now;
    CLEANUP(json_decref_p)
    json_t *line = json_pack("{s:s, s:I, s:I}", "phase", phase, "done", (json_int_t)done, "total",
                             (json_int_t)total);
    if (line && detail && json_object_update(line, (json_t *)detail) < 0)
        return false;
    return !write_line(line);
}

/* A message may hold a file's or label's bytes, cut anywhere; JSON takes UTF-8 only. */
static void write_error(enum err_code code, struct err *e)
{
    json_t *message = json_string(e->message);
    for (char *c = e->message; !message && *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    if (!message)
        message = json_string(e->message);
    CLEANUP(json_decref_p)
    json_t *line = json_pack("{s:{s:s, s:o}}", "error", "code", err_slug(code), "message", message);
    (void)write_line(line);
}

static enum err_code read_spec(struct worker *w, struct err *e)
{
    CLEANUP(cleanup_free) char *path = NULL;
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, SPEC_BYTES_MAX);
    enum err_code r = file_path(&path, e, "%s/spec.json", w->folder);
    if (!r)
        r = file_read(path, &text, e);
    if (!r)
        r = json_read((const char *)text.data, text.len, &w->spec_json, e);
    if (!r)
        r = spec_from_json(w->spec_json, &w->spec, &w->limits, e);
    if (!r && w->limits.threads && w->limits.threads < w->spec.threads)
        w->spec.threads = (int)w->limits.threads;
    return r;
}

static enum err_code open_state(struct worker *w, const char *state_dir, const char *job,
                                struct err *e)
{
    CLEANUP(cleanup_free) char *blobs = NULL;
    enum err_code r = name_check(job, "job id", e);
    if (!r)
        r = file_path(&w->folder, e, "%s/jobs/%s", state_dir, job);
    if (!r)
        r = file_path(&w->features, e, "%s/features", state_dir);
    if (!r)
        r = file_path(&blobs, e, "%s/blobs", state_dir);
    return r ? r : blobs_open(blobs, false, &w->blobs, e);
}

static enum err_code write_output(const struct worker *w, const char *name, const struct buf *bytes,
                                  struct err *e)
{
    CLEANUP(cleanup_free) char *path = NULL;
    enum err_code r = file_path(&path, e, "%s/%s", w->folder, name);
    return r ? r : file_write_atomic(path, bytes->data, bytes->len, e);
}

static enum err_code add_latency(const struct buf *artifact, json_t *report, struct err *e)
{
    CLEANUP(classifier_free_p) struct classifier *c = NULL;
    double ms = 0;
    enum err_code r = classifier_load(artifact->data, artifact->len, &c, e);
    if (!r)
        r = latency_measure(c, &ms, e);
    return r ? r : json_put(report, "latency_ms", json_real(ms), e);
}

static enum err_code train(struct worker *w, struct err *e)
{
    CLEANUP(buf_fini) struct buf artifact;
    CLEANUP(buf_fini) struct buf report;
    CLEANUP(json_decref_p) json_t *object = NULL;
    buf_init(&artifact, ARTIFACT_BYTES_MAX);
    buf_init(&report, ARTIFACT_BYTES_MAX);
    const struct retrain_places places = { .blobs = w->blobs,
                                           .features = w->features,
                                           .work = w->folder };
    enum err_code r = retrain_run(&w->spec, &places, tell, w, &artifact, &object, e);
    if (!r && w->spec.measure_latency)
        r = add_latency(&artifact, object, e);
    if (!r)
        r = json_write(object, &report, e);
    /* In this order: a report says that the model is there. */
    if (!r)
        r = write_output(w, "model.onnx", &artifact, e);
    return r ? r : write_output(w, "report.json", &report, e);
}

static void end_in_time(void *context)
{
    struct worker *w = context;
    struct err e;
    enum err_code r =
        err_set(&e, ERR_DEADLINE, "the job ran longer than its limit of %" PRId64 " seconds",
                w->limits.seconds);
    write_error(r, &e);
    _exit(1);
}

static enum err_code run_limited(struct worker *w, struct err *e)
{
    struct deadline *deadline = NULL;
    CLEANUP(cleanup_free) char *spent = NULL;
    set_priority(&w->limits);
    enum err_code r = file_path(&spent, e, "%s/spent", w->folder);
    if (!r && w->limits.memory)
        r = memory_limit_set(w->limits.memory, e);
    if (!r && w->limits.seconds)
        r = deadline_start((int)w->limits.seconds, spent, end_in_time, w, &deadline, e);
    if (!r)
        r = train(w, e);
    deadline_stop(deadline);
    if (r == ERR_NOMEM && w->limits.memory)
        return err_set(e, ERR_NOMEM, "%.380s; the job's memory limit is %" PRId64 " bytes",
                       e->message, w->limits.memory);
    return r;
}

int worker_main(const char *state_dir, const char *job)
{
    CLEANUP(worker_fini) struct worker w = { 0 };
    struct err e = { 0 };
    reset_signals();
    if (!die_with_parent())
        return 1;
    offer_to_oom();
    enum err_code r = open_state(&w, state_dir, job, &e);
    if (!r)
        r = read_spec(&w, &e);
    if (!r)
        r = run_limited(&w, &e);
    if (!r)
        return 0;
    write_error(r, &e);
    return 1;
}

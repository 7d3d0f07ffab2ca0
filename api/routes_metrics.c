/* What Prometheus asks for. On a task thread, because the states of the jobs are in the database.
 */
#include "api/http_meters.h"
#include "api/request.h"
#include "api/routes.h"
#include "daemon/follow.h"
#include "daemon/followers.h"
#include "daemon/gc.h"
#include "daemon/jobs.h"
#include "daemon/rollouts.h"
#include "daemon/scorer.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static enum err_code gauge(struct buf *ret, const char *name, const char *help, double x,
                           struct err *e)
{
    enum err_code r = meter_head(ret, name, "gauge", help, e);
    return r ? r : meter_sample(ret, name, NULL, NULL, x, e);
}

static enum err_code write_serving(struct request *r, struct buf *ret, struct err *e)
{
    struct server *s = r->server;
    int versions;
    uint64_t bytes;
    serve_memory(s->parts.serve, &versions, &bytes);
    enum err_code code = gauge(ret, "kennel_score_queue_pictures", "Pictures that wait.",
                               scorer_depth(s->parts.scorer), e);
    if (!code)
        code = gauge(ret, "kennel_loaded_versions", "Model versions in memory.", versions, e);
    if (!code)
        code = gauge(ret, "kennel_loaded_bytes", "Memory of the model versions in memory.",
                     (double)bytes, e);
    if (!code)
        code = gauge(ret, "kennel_body_bytes", "Bodies held in memory.",
                     (double)atomic_load(&s->buffered), e);
    return code;
}

static enum err_code write_jobs(struct request *r, struct buf *ret, struct err *e)
{
    static const char *const labels[] = { "state", NULL };
    CLEANUP(json_decref_p) json_t *counts = NULL;
    enum err_code code = jobs_count(r->server->parts.jobs, &counts, e);
    if (!code)
        code = meter_head(ret, "kennel_jobs", "gauge", "Training jobs by state.", e);
    const char *state;
    json_t *n;
    json_object_foreach (json_object_get(counts, "states"), state, n)
        if (!code)
            code = meter_sample(ret, "kennel_jobs", labels, (const char *[]){ state },
                                (double)json_integer_value(n), e);
    static const char *const totals[][3] = {
        { "pictures", "kennel_job_pictures_total",
          "Pictures of the dataset versions of jobs that made a version." },
        { "forward_passes", "kennel_job_forward_passes_total",
          "Forward passes of those jobs: what is less than their pictures came from the feature "
          "cache." },
    };
    for (size_t i = 0; !code && i < sizeof totals / sizeof *totals; i++) {
        code = meter_head(ret, totals[i][1], "counter", totals[i][2], e);
        if (!code)
            code =
                meter_sample(ret, totals[i][1], NULL, NULL,
                             (double)json_integer_value(json_object_get(counts, totals[i][0])), e);
    }
    return code;
}

static enum err_code write_features(struct request *r, struct buf *ret, struct err *e)
{
    struct feature_folder f;
    enum err_code code = gc_features(r->server->parts.state, true, &f, e);
    return code ? code
                : gauge(ret, "kennel_feature_cache_bytes", "Features that are kept on the disk.",
                        (double)(f.bytes + f.removed_bytes), e);
}

static enum err_code counter(struct buf *ret, const char *name, const char *help, int64_t n,
                             struct err *e)
{
    enum err_code r = meter_head(ret, name, "counter", help, e);
    return r ? r : meter_sample(ret, name, NULL, NULL, (double)n, e);
}

static enum err_code write_follower(struct request *r, struct buf *ret, struct err *e)
{
    struct follow_figures f;
    enum err_code code = follow_look(r->server->parts.follow, &f, e);
    if (!code)
        code = gauge(ret, "kennel_follower_connected",
                     "Whether the trainer answered the last time.", f.connected, e);
    if (!code)
        code = gauge(ret, "kennel_follower_lag_seconds",
                     "Since this follower was last known to serve what its trainer serves.",
                     f.lag_seconds, e);
    if (!code)
        code = counter(ret, "kennel_follower_pulls_total", "Model versions pulled.", f.pulls, e);
    if (!code)
        code =
            counter(ret, "kennel_follower_pulled_bytes_total", "Bytes of them.", f.pulled_bytes, e);
    if (!code)
        code = counter(ret, "kennel_follower_pull_failures_total",
                       "Model versions that could not be pulled.", f.pull_failures, e);
    if (!code)
        code = gauge(ret, "kennel_follower_spool_bytes", "What waits to be told to the trainer.",
                     (double)f.spooled_bytes, e);
    if (!code)
        code = counter(ret, "kennel_follower_dropped_total",
                       "Answers that the trainer will not be told of: the spool or the queue was "
                       "full.",
                       f.dropped, e);
    return code;
}

static enum err_code write_followers(struct request *r, struct buf *ret, struct err *e)
{
    static const char *const labels[] = { "state", NULL };
    struct followers_figures f;
    enum err_code code = followers_look(r->server->parts.state, &f, e);
    if (!code)
        code = meter_head(ret, "kennel_followers", "gauge",
                          "Followers that told something in the last minute (here), or did in the "
                          "last 30 days (away).",
                          e);
    if (!code)
        code = meter_sample(ret, "kennel_followers", labels, (const char *[]){ "here" },
                            (double)f.here, e);
    if (!code)
        code = meter_sample(ret, "kennel_followers", labels, (const char *[]){ "away" },
                            (double)f.away, e);
    return code ? code
                : gauge(ret, "kennel_feedback_waiting",
                        "Feedback about answers that no follower has told of yet.",
                        (double)f.waiting, e);
}

/* As many models as their counters tell apart. */
enum { ROLLOUTS_MAX = 100 };

static enum err_code write_rollouts(struct request *r, struct buf *ret, struct err *e)
{
    static const char *const with_state[] = { "model", "state", NULL };
    static const char *const model[] = { "model", NULL };
    static const struct {
        const char *name, *help;
    } gauges[] = {
        { "kennel_rollout_open", "Rollouts that are open: running, or waiting for a person." },
        { "kennel_rollout_step",
          "The step of an open rollout, counted from 1; 0: a shadow alone." },
        { "kennel_rollout_traffic_ratio", "The canary's share of the clients." },
    };
    struct rollout_figures f[ROLLOUTS_MAX];
    size_t count = rollouts_look(r->server->parts.rollouts, f, ROLLOUTS_MAX);
    enum err_code code = ERR_OK;
    for (size_t g = 0; !code && g < sizeof gauges / sizeof *gauges; g++) {
        code = meter_head(ret, gauges[g].name, "gauge", gauges[g].help, e);
        for (size_t i = 0; !code && i < count; i++) {
            const char *const values[] = { f[i].model, f[i].waiting ? "waiting" : "running" };
            const double x[] = { 1, f[i].percent ? f[i].step + 1 : 0, f[i].percent / 100.0 };
            /* Only the first has the state: it changes, and a series should not end with it. */
            code = meter_sample(ret, gauges[g].name, g ? model : with_state, values, x[g], e);
        }
    }
    return code;
}

/* Pages of virtual and resident memory: proc(5), statm. */
static enum err_code write_memory(struct buf *ret, struct err *e)
{
    unsigned long virtual = 0, resident = 0;
    CLEANUP(cleanup_file) FILE *statm = fopen("/proc/self/statm", "re");
    if (!statm || fscanf(statm, "%lu %lu", &virtual, &resident) != 2)
        return ERR_OK; /* no /proc, no figure */
    double page = (double)sysconf(_SC_PAGESIZE);
    enum err_code r =
        gauge(ret, "process_virtual_memory_bytes", "Virtual memory.", (double)virtual * page, e);
    return r ? r
             : gauge(ret, "process_resident_memory_bytes", "Resident memory.",
                     (double)resident * page, e);
}

static enum err_code write_process(const struct request *r, struct buf *ret, struct err *e)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
                 ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) / 1e6;
    enum err_code code = write_memory(ret, e);
    if (!code)
        code = meter_head(ret, "process_cpu_seconds_total", "counter",
                          "Processor time, of the daemon without its training jobs.", e);
    if (!code)
        code = meter_sample(ret, "process_cpu_seconds_total", NULL, NULL, cpu, e);
    if (!code)
        code = gauge(ret, "process_start_time_seconds", "Start, in seconds since 1970.",
                     (double)r->server->started_ms / 1000, e);
    return code;
}

static enum err_code metrics(struct request *r, struct err *e)
{
    struct buf *text = &r->reply.body;
    enum err_code code = meters_write(r->server->meters, text, e);
    if (!code)
        code = meters_write(r->server->parts.meters, text, e);
    if (!code)
        code = write_serving(r, text, e);
    if (!code && r->server->parts.jobs)
        code = write_jobs(r, text, e);
    if (!code && r->server->parts.jobs)
        code = write_features(r, text, e);
    if (!code && r->server->parts.follow)
        code = write_follower(r, text, e);
    if (!code && !r->server->parts.follow)
        code = write_followers(r, text, e);
    if (!code && r->server->parts.rollouts)
        code = write_rollouts(r, text, e);
    if (!code)
        code = write_process(r, text, e);
    r->reply.status = 200;
    r->reply.type = "text/plain; version=0.0.4";
    return code;
}

const struct route routes_metrics[] = {
    { "GET", "/metrics", BODY_NONE, RUN_TASK, metrics,
      "Counters, histograms and gauges as text for Prometheus", ACCESS_SCORE },
    { 0 },
};

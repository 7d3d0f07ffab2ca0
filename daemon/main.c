/* main.c -- the composition root: reads the options, makes the parts, waits for a signal, and takes
 * the parts down in the opposite order. Nothing else sees every layer.
 *
 * `kenneld worker` is the same program as the child process of one training job.
 * Exit status: 0 after SIGTERM or SIGINT, 1 when a part cannot be made, 2 for bad options.
 *
 * One file past 300 lines: most of it is the table of options, which belongs to no library, because
 * it names the limits of every layer. */
#include "api/server.h"
#include "daemon/follow.h"
#include "daemon/jobs.h"
#include "daemon/keys.h"
#include "daemon/offline.h"
#include "daemon/rollouts.h"
#include "daemon/scheduler.h"
#include "daemon/score_meters.h"
#include "daemon/score_stats.h"
#include "daemon/scorer.h"
#include "daemon/serve.h"
#include "daemon/spool.h"
#include "daemon/webhook_sender.h"
#include "daemon/worker.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/config.h"
#include "data/base/file.h"
#include "data/base/log.h"
#include "data/base/name.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

struct options {
    const char *config_path; /* read_config() has read it */
    struct buf config;       /* its text, which options point into */
    const char *state;       /* NULL: default_state() */
    const char *port_file;
    const char *keys_file;
    struct serve_options serve;
    struct server_options server;
    struct limits limits;
    struct scorer_options scorer;
    struct jobs_options jobs;
    struct webhook_options webhooks;
    struct follow_options follow; /* url NULL: a trainer */
    uint64_t spool_bytes;
};

/* The kind of an option's value, and so of what `into` points at. */
enum kind {
    KIND_TEXT,  /* const char * */
    KIND_COUNT, /* int */
    KIND_SIZE,  /* uint64_t, may end in K, M, G or T (powers of 1024) */
    KIND_FLAG,  /* bool, no value */
};

struct flag {
    const char *name, *value; /* value: how --help calls it */
    enum kind kind;
    void *into;
    uint64_t min, max;
    const char *help;
};

enum { FLAGS_MAX = 64 };

#define CONFIG_DEFAULT "/etc/kennel/kennel.conf"

static size_t list_flags(struct options *o, struct flag ret[FLAGS_MAX])
{
    const uint64_t many = 1ull << 50;
    const struct flag flags[] = {
        { "config", "FILE", KIND_TEXT, &o->config_path, 0, 0,
          "options, one NAME = VALUE a line; the command line comes after it" },
        { "state", "DIR", KIND_TEXT, &o->state, 0, 0, "folder for everything that is kept" },
        { "listen", "ADDR:PORT", KIND_TEXT, &o->server.listen, 0, 0, "where to answer HTTP" },
        { "port-file", "FILE", KIND_TEXT, &o->port_file, 0, 0,
          "write the port there once it listens" },
        { "allow-remote", NULL, KIND_FLAG, &o->server.allow_remote, 0, 0,
          "listen beyond loopback although there are no keys" },
        { "keys-file", "FILE", KIND_TEXT, &o->keys_file, 0, 0,
          "more API keys, one NAME ROLE KEY [RATE] a line; read again on SIGHUP" },
        { "tls-cert", "FILE", KIND_TEXT, &o->server.tls_cert, 0, 0,
          "certificate chain in PEM: answer HTTPS; read again on SIGHUP" },
        { "tls-key", "FILE", KIND_TEXT, &o->server.tls_key, 0, 0, "its private key in PEM" },
        { "follow", "URL", KIND_TEXT, &o->follow.url, 0, 0,
          "only serve what the kenneld there serves, and go on when it is away" },
        { "follow-key-file", "FILE", KIND_TEXT, &o->follow.key_file, 0, 0,
          "a key of the role train for it; read again for each request" },
        { "follow-ca", "FILE", KIND_TEXT, &o->follow.ca_file, 0, 0,
          "authorities in PEM to trust for it instead of the system's" },
        { "spool-bytes", "BYTES", KIND_SIZE, &o->spool_bytes, 1 << 16, many,
          "of a follower's disk for what its trainer is not yet told, while it is away" },
        { "default-model", "NAME", KIND_TEXT, &o->serve.default_model, 0, 0,
          "answers /score; without it the only model in production" },
        { "import-root", "DIR", KIND_TEXT, &o->server.import_root, 0, 0,
          "folder below which imports by path are allowed" },
        { "threads", "N", KIND_COUNT, &o->jobs.threads, 1, 1024, "of each training job" },
        { "job-runners", "N", KIND_COUNT, &o->jobs.runners, 1, 64, "training jobs at once" },
        { "score-threads", "N", KIND_COUNT, &o->scorer.threads, 1, 1024, "that score pictures" },
        { "score-queue", "N", KIND_COUNT, &o->scorer.queue, 1, 1 << 20,
          "pictures that may wait to be scored" },
        { "access-log-rate", "N", KIND_COUNT, &o->server.access_log_rate, 0, 1000000,
          "lines a second for requests that did not fail; those that did have one each" },
        { "otlp-endpoint", "URL", KIND_TEXT, &o->server.otlp_endpoint, 0, 0,
          "of an OpenTelemetry collector (http://HOST:4318), for sampled traces" },
        { "score-timeout-ms", "N", KIND_COUNT, &o->server.score_timeout_ms, 1,
          SERVER_TIMEOUT_MAX_MS, "after which nobody waits for a score" },
        { "max-batch", "N", KIND_COUNT, &o->scorer.max_batch, 1, 1024,
          "pictures that a scoring thread takes at once" },
        { "max-delay-us", "N", KIND_COUNT, &o->scorer.max_delay_us, 0, 1000000,
          "that it waits for more of them" },
        { "plan-memory", "BYTES", KIND_SIZE, &o->serve.plan_memory, 0, many,
          "of loaded model versions; the one used longest ago is given up; 0: no limit" },
        { "http-threads", "N", KIND_COUNT, &o->server.http_threads, 1, 256,
          "that parse and reply" },
        { "task-threads", "N", KIND_COUNT, &o->server.task_threads, 1, 256,
          "for requests that touch the disk" },
        { "import-threads", "N", KIND_COUNT, &o->server.import_threads, 1, 1024,
          "that decode the pictures of an import" },
        { "max-connections", "N", KIND_COUNT, &o->server.max_connections, 1, 1 << 20,
          "open at once" },
        { "idle-seconds", "N", KIND_COUNT, &o->server.idle_seconds, 1, 86400,
          "after which a silent connection is closed" },
        { "max-event-streams", "N", KIND_COUNT, &o->server.max_streams, 0, 1 << 16,
          "of events, open at once" },
        { "webhook-allow", "LIST", KIND_TEXT, &o->webhooks.allow, 0, 0,
          "addresses that webhooks may reach though not public: 10.1.0.0/16, private, loopback" },
        { "webhook-attempts", "N", KIND_COUNT, &o->webhooks.attempts, 1, 20,
          "to deliver an event to a webhook" },
        { "webhook-retry-ms", "N", KIND_COUNT, &o->webhooks.retry_ms, 1, 3600000,
          "before the second attempt; four times as much before each one after it" },
        { "webhook-timeout-ms", "N", KIND_COUNT, &o->webhooks.timeout_ms, 1, 600000,
          "of an attempt" },
        { "max-upload", "BYTES", KIND_SIZE, &o->server.max_upload, 1, many, "of an archive" },
        { "max-entries", "N", KIND_SIZE, &o->limits.archive.max_entries, 1, many,
          "members of an archive" },
        { "max-unpacked", "BYTES", KIND_SIZE, &o->limits.archive.max_unpacked, 1, many,
          "of an archive's files together" },
        { "max-picture-bytes", "BYTES", KIND_SIZE, &o->limits.max_picture_bytes, 1, 1 << 30,
          "of one picture's file" },
        { "max-pixels", "N", KIND_SIZE, &o->limits.image.max_pixels, 1, 1 << 30,
          "width x height of a picture" },
        { "max-backbone-bytes", "BYTES", KIND_SIZE, &o->limits.max_backbone_bytes, 1,
          NETWORK_BYTES_MAX, "of a backbone's ONNX file" },
        { "max-feature-bytes", "BYTES", KIND_SIZE, &o->limits.max_feature_bytes, 0, many,
          "of the feature cache; when a job has ended, what was used longest ago goes" },
        { "max-labels", "N", KIND_COUNT, &o->limits.max_labels, 2, 1000000, "of a dataset" },
    };
    _Static_assert(sizeof flags / sizeof *flags <= FLAGS_MAX, "FLAGS_MAX");
    memcpy(ret, flags, sizeof flags);
    return sizeof flags / sizeof *flags;
}

static int count_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static void options_default(struct options *o)
{
    int cores = count_cores();
    *o = (struct options){ 0 };
    server_options_default(&o->server);
    limits_default(&o->limits);
    o->server.listen = "127.0.0.1:5001";
    o->server.import_threads = cores;
    o->scorer = (struct scorer_options){ .threads = cores, .queue = 256, .max_batch = 1 };
    o->spool_bytes = UINT64_C(256) << 20;
    o->webhooks = (struct webhook_options){ .attempts = 9, .retry_ms = 5000, .timeout_ms = 10000 };
    /* The kernel's link names this very file, even after an upgrade has replaced its path. */
    o->jobs =
        (struct jobs_options){ .executable = "/proc/self/exe", .threads = cores, .runners = 1 };
}

/* /var/lib/kennel for root; others keep their state where the XDG base directories say. */
static enum err_code default_state(char **ret, struct err *e)
{
    const char *home = getenv("HOME"), *xdg = getenv("XDG_STATE_HOME");
    if (geteuid() == 0)
        return file_path(ret, e, "/var/lib/kennel");
    if (xdg && xdg[0] == '/')
        return file_path(ret, e, "%s/kennel", xdg);
    if (home && home[0] == '/')
        return file_path(ret, e, "%s/.local/state/kennel", home);
    return err_set(e, ERR_FIELD_MISSING, "HOME is not set: name the folder with --state");
}

static void print_default(const struct flag *f)
{
    if (f->kind == KIND_COUNT)
        printf(" (%d)", *(const int *)f->into);
    else if (f->kind == KIND_SIZE)
        printf(" (%" PRIu64 ")", *(const uint64_t *)f->into);
    else if (strcmp(f->name, "config") == 0)
        printf(" (" CONFIG_DEFAULT ", if it is there)");
    else if (strcmp(f->name, "state") == 0)
        printf(" (root: /var/lib/kennel, others: $XDG_STATE_HOME/kennel)");
    else if (f->kind == KIND_TEXT && *(const char **)f->into)
        printf(" (%s)", *(const char **)f->into);
}

static void print_help(const struct flag *flags, size_t count)
{
    printf(
        "Usage: kenneld [OPTION...]\n"
        "       kenneld fsck --state DIR   (names what is missing or changed; 0 clean, 4 damaged)\n"
        "       kenneld restore --state DIR FILE   (a backup into an empty folder; FILE may be -)\n"
        "       kenneld worker --state DIR --job ID   (started by kenneld itself)\n\n"
        "Retrains image classifiers, keeps their versions, and answers with them over HTTP.\n"
        "Defaults stand in brackets; BYTES may end in K, M, G or T.\n\n");
    for (size_t i = 0; i < count; i++) {
        char left[40];
        snprintf(left, sizeof left, "--%s%s%s", flags[i].name, flags[i].value ? " " : "",
                 flags[i].value ? flags[i].value : "");
        printf("  %-28s %s", left, flags[i].help);
        print_default(&flags[i]);
        printf("\n");
    }
    printf("  %-28s print this and exit\n  %-28s print the version and exit\n", "--help",
           "--version");
}

static bool parse_number(const char *text, bool may_scale, uint64_t *ret)
{
    if (text[0] < '0' || text[0] > '9')
        return false;
    char *end;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    if (errno)
        return false;
    if (may_scale && *end) {
        static const char units[] = "KMGT";
        const char *unit = strchr(units, *end);
        int shift = unit ? 10 * (int)(unit - units + 1) : 0;
        if (!unit || n > UINT64_MAX >> shift)
            return false;
        n <<= shift;
        end++;
    }
    if (*end)
        return false;
    *ret = n;
    return true;
}

static enum err_code set_flag(const struct flag *f, const char *value, struct err *e)
{
    uint64_t n = 0;
    switch (f->kind) {
    case KIND_TEXT:
        *(const char **)f->into = value;
        return ERR_OK;
    case KIND_FLAG:
        if (value && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            return err_set(e, ERR_FIELD_RANGE, "%s must be true or false, is \"%.80s\"", f->name,
                           value);
        *(bool *)f->into = !value || value[0] == 't';
        return ERR_OK;
    case KIND_COUNT:
    case KIND_SIZE:
        if (!parse_number(value, f->kind == KIND_SIZE, &n) || n < f->min || n > f->max)
            return err_set(e, ERR_FIELD_RANGE,
                           "%s must be a whole number from %" PRIu64 " to %" PRIu64
                           ", is \"%.80s\"",
                           f->name, f->min, f->max, value);
        if (f->kind == KIND_COUNT)
            *(int *)f->into = (int)n;
        else
            *(uint64_t *)f->into = n;
        return ERR_OK;
    }
    return ERR_OK;
}

struct flag_list {
    struct flag flags[FLAGS_MAX];
    size_t count;
};

static enum err_code take_setting(void *context, const char *name, const char *value, struct err *e)
{
    const struct flag_list *list = context;
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(name, list->flags[i].name) == 0 && list->flags[i].into != NULL)
            return set_flag(&list->flags[i], value, e);
    return err_set(e, ERR_FIELD_UNKNOWN, "unknown option \"%.80s\"; see kenneld --help", name);
}

/* The file that the command line names, else the system's if there is one. */
static enum err_code read_config(int argc, char **argv, const struct flag_list *list,
                                 struct options *o, struct err *e)
{
    const char *path = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            path = argv[++i];
        else if (strncmp(argv[i], "--config=", 9) == 0)
            path = argv[i] + 9;
    }
    if (!path && access(CONFIG_DEFAULT, F_OK) == 0)
        path = CONFIG_DEFAULT;
    return path ? config_read(path, take_setting, (void *)(uintptr_t)list, &o->config, e) : ERR_OK;
}

/* -1 to go on, else the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
    struct flag_list list;
    struct option table[FLAGS_MAX + 3] = { 0 };
    struct err e;
    size_t count = list.count = list_flags(o, list.flags);
    const struct flag *flags = list.flags;
    for (size_t i = 0; i < count; i++)
        table[i] = (struct option){ flags[i].name,
                                    flags[i].kind == KIND_FLAG ? no_argument : required_argument,
                                    NULL, (int)i };
    table[count] = (struct option){ "help", no_argument, NULL, 'h' };
    table[count + 1] = (struct option){ "version", no_argument, NULL, 'v' };

    bool told = argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "--version") == 0);
    if (!told && read_config(argc, argv, &list, o, &e) != ERR_OK) {
        fprintf(stderr, "kenneld: %s\n", e.message);
        return 2;
    }
    for (;;) {
        int c = getopt_long(argc, argv, "", table, NULL);
        if (c == 'h') {
            buf_fini(&o->config);
            options_default(o);
            print_help(flags, count);
            return 0;
        }
        if (c == 'v') {
            printf("kenneld %s\n", KENNEL_VERSION);
            return 0;
        }
        if (c == -1)
            break;
        e.message[0] = 0;
        if (c == '?' || set_flag(&flags[c], optarg, &e) != ERR_OK) {
            fprintf(stderr, "kenneld: %s%ssee kenneld --help\n", e.message[0] ? "--" : "",
                    e.message[0] ? e.message : "");
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "kenneld: unexpected argument \"%s\"; see kenneld --help\n", argv[optind]);
        return 2;
    }
    return -1;
}

static int run_worker(int argc, char **argv)
{
    const char *state = NULL, *job = NULL;
    static const struct option table[] = { { "state", required_argument, NULL, 's' },
                                           { "job", required_argument, NULL, 'j' },
                                           { 0 } };
    for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (c == 's')
            state = optarg;
        else if (c == 'j')
            job = optarg;
        else
            return 2;
    }
    if (!state || !job || optind < argc) {
        fprintf(stderr, "kenneld worker: needs --state DIR and --job ID, and nothing else\n");
        return 2;
    }
    pthread_setname_np(pthread_self(), "kennel-worker"); /* for ps: it was started as "exe" */
    return worker_main(state, job);
}

struct parts {
    struct meters *meters;
    struct score_stats *stats;
    struct state *state;
    struct serve *serve;
    struct scorer *scorer;
    struct jobs *jobs;
    struct keys *keys;
    struct webhook_sender *webhooks;
    struct scheduler *scheduler;
    struct predictions *predictions;
    struct rollouts *rollouts;
    struct spool spool;
    struct follow *follow;
    struct server *server;
};

/* What trains, decides and tells others: a follower does none of it. */
static enum err_code start_trainer(const struct options *o, struct parts *p, struct err *e)
{
    enum err_code r = jobs_new(p->state, &o->jobs, &p->jobs, e);
    if (!r)
        r = webhook_sender_new(p->state, &o->webhooks, &p->webhooks, e);
    if (!r)
        r = predictions_new(p->state, NULL, &p->predictions, e);
    const struct rollouts_parts rollouts = { .state = p->state,
                                             .serve = p->serve,
                                             .predictions = p->predictions,
                                             .meters = p->meters,
                                             .limits = o->limits.image };
    return r ? r : rollouts_new(&rollouts, &p->rollouts, e);
}

static enum err_code start_follower(const struct options *o, struct parts *p, struct err *e)
{
    p->spool.max = o->spool_bytes;
    enum err_code r = predictions_new(p->state, &p->spool, &p->predictions, e);
    const struct follow_parts follow = { .state = p->state,
                                         .serve = p->serve,
                                         .keys = p->keys,
                                         .predictions = p->predictions,
                                         .spool = &p->spool,
                                         .limits = o->limits.image,
                                         .program = KENNEL_VERSION };
    return r ? r : follow_new(&o->follow, &follow, &p->follow, e);
}

static enum err_code start(const struct options *o, struct parts *p, struct err *e)
{
    enum err_code r = score_meters_new(&p->meters, e);
    if (!r)
        r = score_stats_new(&p->stats, e);
    if (!r)
        r = o->follow.url ? state_open_replica(o->state, &o->limits, &p->state, e)
                          : state_open(o->state, &o->limits, &p->state, e);
    if (r)
        return r;
    struct serve_options serve = o->serve;
    serve.meters = p->meters;
    r = serve_new(p->state, &serve, &p->serve, e);
    if (r && !p->serve)
        return r;
    if (r) /* jobs and the other models are not to wait for one that cannot be loaded */
        log_event("error", "model_not_loaded", "code", err_slug(e->code), "message", e->message,
                  NULL);
    struct scorer_options scorer = o->scorer;
    scorer.meters = p->meters;
    scorer.stats = p->stats;
    r = scorer_new(&scorer, &p->scorer, e);
    if (!r)
        r = keys_new(p->state, o->keys_file, &p->keys, e);
    if (!r)
        r = o->follow.url ? start_follower(o, p, e) : start_trainer(o, p, e);
    if (r)
        return r;
    const struct server_parts parts = { .state = p->state,
                                        .jobs = p->jobs,
                                        .serve = p->serve,
                                        .scorer = p->scorer,
                                        .meters = p->meters,
                                        .stats = p->stats,
                                        .keys = p->keys,
                                        .webhooks = p->webhooks,
                                        .predictions = p->predictions,
                                        .rollouts = p->rollouts,
                                        .traffic = p->follow ? follow_traffic(p->follow)
                                                             : rollouts_traffic(p->rollouts),
                                        .follow = p->follow };
    r = server_new(&o->server, &parts, &p->server, e);
    if (!r && p->follow)
        return follow_start(p->follow, server_may_open(p->server), e);
    if (!r)
        r = jobs_start(p->jobs, e);
    if (!r)
        r = scheduler_new(p->state, p->jobs, &p->scheduler, e);
    return r;
}

/* Requests in flight need the scorer; waits for jobs end with the server. */
static void stop(struct parts *p)
{
    if (p->server)
        server_free(p->server);
    follow_stop(p->follow);
    keys_free(p->keys);
    scorer_free(p->scorer);
    rollouts_free(p->rollouts);
    follow_free(p->follow);
    predictions_free(p->predictions);
    scheduler_free(p->scheduler);
    jobs_free(p->jobs);
    webhook_sender_free(p->webhooks);
    serve_free(p->serve);
    if (p->state)
        state_close(p->state);
    score_stats_free(p->stats);
    meters_free(p->meters);
}

/* On SIGHUP. What cannot be read stays as it was. */
static void reload(const struct parts *p)
{
    struct err e;
    enum err_code r = keys_reload(p->keys, &e);
    if (!r)
        r = server_reload(p->server, &e);
    if (r)
        log_event("error", "reload", "code", err_slug(r), "message", e.message, NULL);
    else
        log_event("info", "reload", NULL);
}

static enum err_code announce(const struct options *o, const struct parts *p, struct err *e)
{
    char port[8], address[256];
    snprintf(port, sizeof port, "%d", server_port(p->server));
    snprintf(address, sizeof address, "%s", o->server.listen);
    char *colon = strrchr(address, ':');
    if (colon)
        *colon = 0;
    if (o->port_file) {
        enum err_code r = file_write_atomic(o->port_file, port, strlen(port), e);
        if (r)
            return r;
    }
    log_event("info", "listening", "address", address, "port", port, "state", o->state, "version",
              KENNEL_VERSION, NULL);
    return ERR_OK;
}

/* A connection is an open file, and the soft limit that a shell gives is often 1024. Beyond it
 * nobody could connect, although --max-connections says so. */
static void allow_open_files(int connections)
{
    enum { OTHER_FILES = 256 }; /* databases, blobs, jobs */
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < wanted) {
        char allowed[24], needed[24];
        snprintf(allowed, sizeof allowed, "%ju", (uintmax_t)limit.rlim_cur);
        snprintf(needed, sizeof needed, "%ju", (uintmax_t)wanted);
        log_event("warning", "open_files", "allowed", allowed, "needed", needed, NULL);
    }
}

/* glibc learns from what is freed that blocks of megabytes may come from a heap, and makes up to 8
 * heaps a core: a version's file and weights stay behind in each whose thread ever loaded one (85
 * MB became 330 after 40 promotions of MobileNetV2 under load). So what is large is always mapped,
 * and goes back to the system when it is freed. */
static void give_memory_back(void)
{
    enum { LARGE = 256 << 10, SPARE = 1 << 20, HEAPS = 2 };
    mallopt(M_MMAP_THRESHOLD, LARGE);
    mallopt(M_TRIM_THRESHOLD, SPARE);
    mallopt(M_ARENA_MAX, HEAPS);
}

/* A socket that systemd has opened for us takes the place of --listen. */
static enum err_code adopt_socket(struct server_options *o, struct err *e)
{
    int count = sd_listen_fds(1);
    if (count > 1)
        return err_set(e, ERR_FIELD_RANGE, "%d sockets were handed over, there is use for one",
                       count);
    if (count == 1)
        o->listen_fd = SD_LISTEN_FDS_START;
    return ERR_OK;
}

/* Until a signal asks for the end; returns it. Tells systemd that all is well as long as the server
 * answers for itself: whoever holds its lock for ever is killed by the watchdog. */
static int run(const struct parts *p, const sigset_t *signals)
{
    uint64_t watchdog_us = 0;
    bool watched = sd_watchdog_enabled(0, &watchdog_us) > 0;
    uint64_t period_us = watchdog_us / 3;
    const struct timespec period = { (time_t)(period_us / 1000000),
                                     (long)(period_us % 1000000) * 1000 };
    sd_notify(0, "READY=1");
    for (;;) {
        siginfo_t info;
        int got = sigtimedwait(signals, &info, watched ? &period : NULL);
        if (got == SIGTERM || got == SIGINT)
            return got;
        if (got == SIGHUP) {
            sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_monotonic_us());
            reload(p);
            sd_notify(0, "READY=1");
        }
        if (watched && server_alive(p->server))
            sd_notify(0, "WATCHDOG=1");
    }
}

static void options_fini(struct options *o)
{
    buf_fini(&o->config);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return run_worker(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "fsck") == 0)
        return offline_fsck(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "restore") == 0)
        return offline_restore(argc - 1, argv + 1);

    CLEANUP(options_fini) struct options o;
    options_default(&o);
    int status = read_options(argc, argv, &o);
    if (status >= 0)
        return status;
    struct err e;
    CLEANUP(cleanup_free) char *state = NULL;
    if ((o.serve.default_model && name_check(o.serve.default_model, "--default-model", &e)) ||
        (!o.state && default_state(&state, &e))) {
        fprintf(stderr, "kenneld: %s\n", e.message);
        return 2;
    }
    if (!o.state)
        o.state = state;
    o.limits.archive.max_member = o.limits.max_picture_bytes;
    o.scorer.limits = o.limits.image;

    /* Blocked before the first thread, so that every thread inherits it and sigwait() alone sees
     * them. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* past `ulimit -f` a write fails like on a full disk */

    give_memory_back();
    allow_open_files(o.server.max_connections);
    struct parts parts = { 0 };
    enum err_code r = adopt_socket(&o.server, &e);
    if (!r)
        r = start(&o, &parts, &e);
    if (!r)
        r = announce(&o, &parts, &e);
    if (!r) {
        int got = run(&parts, &signals);
        sd_notify(0, "STOPPING=1");
        log_event("info", "stopping", "signal", got == SIGTERM ? "SIGTERM" : "SIGINT", NULL);
    } else {
        log_event("error", "cannot_start", "code", err_slug(r), "message", e.message, NULL);
    }
    stop(&parts);
    /* A refusal is about what an option said. */
    return !r ? 0 : err_is_fault(r) ? 1 : 2;
}

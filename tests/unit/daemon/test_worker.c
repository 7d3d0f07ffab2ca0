#include "daemon/worker.h"

#include "daemon/spec.h"
#include "data/base/json.h"
#include "tests/unit/nn/tiny.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const struct tiny_part parts[] = {
    { "red", 0, SPLIT_TRAIN, 0, 12 },
    { "red", 0, SPLIT_VAL, 50, 6 },
    { "blue", 2, SPLIT_TRAIN, 0, 12 },
    { "blue", 2, SPLIT_VAL, 50, 6 },
};

static int set_up(void **state)
{
    struct tiny *t = calloc(1, sizeof *t);
    assert_non_null(t);
    tiny_init(t);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    tiny_fini(*state);
    free(*state);
    return 0;
}

static void job_path(const struct tiny *t, const char *job, const char *name, char ret[200])
{
    snprintf(ret, 200, "%s/jobs/%s%s%s", t->folder, job, *name ? "/" : "", name);
}

static const struct job_limits no_limits = { .nice = -1 };

static void write_limited_spec(struct tiny *t, const char *job, int threads,
                               const struct job_limits *limits)
{
    struct retrain_spec spec = { .manifest = tiny_dataset(t, parts, 4),
                                 .backbone = t->backbone,
                                 .seed = 1,
                                 .threads = threads,
                                 .limits = { IMAGE_MAX_PIXELS_DEFAULT } };
    CLEANUP(json_decref_p) json_t *object = NULL;
    CLEANUP(buf_fini) struct buf text;
    char path[200];
    buf_init(&text, 1 << 16);
    assert_int_equal(recipe_parse(NULL, &spec.recipe, NULL), ERR_OK);
    assert_int_equal(spec_to_json(&spec, limits, &object, NULL), ERR_OK);
    assert_int_equal(json_write(object, &text, NULL), ERR_OK);
    job_path(t, job, "", path);
    assert_int_equal(file_mkdirs(path, NULL), ERR_OK);
    job_path(t, job, "spec.json", path);
    assert_int_equal(file_write_atomic(path, text.data, text.len, NULL), ERR_OK);
}

static void write_spec(struct tiny *t, const char *job, int threads)
{
    write_limited_spec(t, job, threads, &no_limits);
}

/* The worker in a child with its standard output in a pipe; *ret_out reads it. */
static pid_t start(const struct tiny *t, const char *job, rlim_t file_bytes, int *ret_out)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = { file_bytes, file_bytes };
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        signal(SIGXFSZ, SIG_IGN);
        if (file_bytes && setrlimit(RLIMIT_FSIZE, &limit) < 0)
            _exit(99);
        _exit(worker_main(t->folder, job));
    }
    assert_true(child > 0);
    close(ends[1]);
    *ret_out = ends[0];
    return child;
}

static int finish(pid_t child, int out, struct buf *ret)
{
    int status = 0;
    ssize_t n;
    buf_init(ret, 1 << 20);
    do {
        assert_int_equal(buf_reserve(ret, 4096, NULL), ERR_OK);
        n = read(out, ret->data + ret->len, 4096);
        assert_true(n >= 0);
        ret->len += (size_t)n;
    } while (n > 0);
    buf_terminate(ret);
    close(out);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void read_output(const struct tiny *t, const char *job, const char *name, struct buf *ret)
{
    char path[200];
    struct err e = { 0 };
    job_path(t, job, name, path);
    buf_init(ret, 1 << 24);
    if (file_read(path, ret, &e))
        fail_msg("%s", e.message);
}

static bool has_output(const struct tiny *t, const char *job, const char *name)
{
    char path[200];
    job_path(t, job, name, path);
    return access(path, F_OK) == 0;
}

static void assert_last_line_is_error(const struct buf *out, const char *code)
{
    const char *text = (const char *)out->data, *line = text;
    assert_true(out->len > 1 && text[out->len - 1] == '\n');
    for (size_t i = 0; i + 1 < out->len; i++)
        if (text[i] == '\n')
            line = text + i + 1;
    CLEANUP(json_decref_p) json_t *object = json_loads(line, 0, NULL);
    const json_t *error = json_object_get(object, "error");
    const char *found = json_string_value(json_object_get(error, "code"));
    if (!found || strcmp(found, code) != 0)
        fail_msg("wanted error %s, got %s", code, line);
    assert_non_null(json_string_value(json_object_get(error, "message")));
}

static void trains_and_tells(void **state)
{
    struct tiny *t = *state;
    CLEANUP(buf_fini) struct buf out;
    CLEANUP(buf_fini) struct buf report;
    CLEANUP(buf_fini) struct buf first;
    CLEANUP(buf_fini) struct buf second;
    CLEANUP(json_decref_p) json_t *object = NULL;
    int fd;
    write_spec(t, "one", 1);
    pid_t child = start(t, "one", 0, &fd);
    int status = finish(child, fd, &out);
    if (status != 0)
        fail_msg("status %d: %s", status, (const char *)out.data);
    static const char *const phases[] = { "features", "fit", "evaluate", "export" };
    const char *at = (const char *)out.data;
    for (int i = 0; i < 4; i++) {
        char wanted[40];
        snprintf(wanted, sizeof wanted, "\"phase\":\"%s\"", phases[i]);
        at = strstr(at, wanted);
        if (!at)
            fail_msg("no %s in order in %s", wanted, (const char *)out.data);
    }
    assert_non_null(
        strstr((const char *)out.data, "{\"done\":36,\"phase\":\"features\",\"total\":36}\n"));
    read_output(t, "one", "report.json", &report);
    assert_int_equal(json_read((const char *)report.data, report.len, &object, NULL), ERR_OK);
    assert_int_equal(json_integer_value(json_object_get(object, "forward_passes")), 36);

    /* Another job of the same specification, with more threads: the same model. */
    CLEANUP(buf_fini) struct buf out2;
    write_spec(t, "two", 2);
    child = start(t, "two", 0, &fd);
    assert_int_equal(finish(child, fd, &out2), 0);
    read_output(t, "one", "model.onnx", &first);
    read_output(t, "two", "model.onnx", &second);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
}

static void bad_specification_is_told(void **state)
{
    struct tiny *t = *state;
    static const struct {
        const char *job, *text, *code;
    } cases[] = {
        { "none", NULL, "io" },
        { "text", "{", "json_syntax" },
        { "empty", "{}", "field_missing" },
        { "../blobs", NULL, "name_syntax" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(buf_fini) struct buf out;
        char path[200];
        int fd;
        if (cases[i].text) {
            job_path(t, cases[i].job, "", path);
            assert_int_equal(file_mkdirs(path, NULL), ERR_OK);
            job_path(t, cases[i].job, "spec.json", path);
            assert_int_equal(file_write_atomic(path, cases[i].text, strlen(cases[i].text), NULL),
                             ERR_OK);
        }
        pid_t child = start(t, cases[i].job, 0, &fd);
        int status = finish(child, fd, &out);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        assert_last_line_is_error(&out, cases[i].code);
        assert_false(has_output(t, cases[i].job, "report.json"));
    }
}

/* A limit on file size stands for a full disk: the same error code at every size, no report, and
 * what is on the disk stays usable. */
static void full_disk_is_told(void **state)
{
    struct tiny *t = *state;
    write_spec(t, "full", 2);
    static const rlim_t sizes[] = { 16, 500, 2000, 3000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CLEANUP(buf_fini) struct buf out;
        int fd;
        pid_t child = start(t, "full", sizes[i], &fd);
        int status = finish(child, fd, &out);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        assert_last_line_is_error(&out, "disk_full");
        assert_false(has_output(t, "full", "report.json"));
    }
    CLEANUP(buf_fini) struct buf out;
    int fd;
    pid_t child = start(t, "full", 0, &fd);
    assert_int_equal(finish(child, fd, &out), 0);
    assert_true(has_output(t, "full", "report.json") && has_output(t, "full", "model.onnx"));
}

/* A specification that never comes keeps the worker where it can be looked at. */
static void make_endless_job(struct tiny *t, const char *job)
{
    char path[200];
    job_path(t, job, "", path);
    assert_int_equal(file_mkdirs(path, NULL), ERR_OK);
    job_path(t, job, "spec.json", path);
    assert_int_equal(mkfifo(path, 0600), 0);
}

/* Opening the pipe's other end succeeds as soon as the worker reads it. */
static int wait_until_it_reads(struct tiny *t, const char *job)
{
    char path[200];
    job_path(t, job, "spec.json", path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* As whoever is not root. */
static void drop_privilege(int capability)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0)
        _exit(98);
    data[0].effective &= ~(1u << capability);
    data[0].permitted &= ~(1u << capability);
    if (syscall(SYS_capset, &header, data) < 0)
        _exit(97);
}

/* A worker in the midst of its job: its first line finds the pipe full. */
static pid_t start_stuck(const struct tiny *t, const char *job, int *ret_out)
{
    int ends[2];
    char line[4096];
    memset(line, '\n', sizeof line);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (write(ends[1], line, sizeof line) > 0)
        continue;
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        drop_privilege(CAP_SYS_NICE);
        _exit(worker_main(t->folder, job));
    }
    assert_true(child > 0);
    close(ends[1]);
    *ret_out = ends[0];
    return child;
}

static bool is_idle(pid_t child)
{
    return sched_getscheduler(child) == SCHED_IDLE || getpriority(PRIO_PROCESS, (id_t)child) == 19;
}

static bool is_nice_5(pid_t child)
{
    return sched_getscheduler(child) == SCHED_OTHER && getpriority(PRIO_PROCESS, (id_t)child) == 5;
}

static bool is_first_to_go(pid_t child)
{
    CLEANUP(buf_fini) struct buf text;
    char path[64];
    buf_init(&text, 64);
    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)child);
    assert_int_equal(file_read(path, &text, NULL), ERR_OK);
    return strtol((const char *)text.data, NULL, 10) == 1000;
}

static void becomes(pid_t child, bool (*is_so)(pid_t child))
{
    enum { TRIES = 30000 };
    for (int i = 0; i < TRIES; i++) {
        if (is_so(child))
            return;
        usleep(1000);
    }
    fail_msg("priority %d, niceness %d", sched_getscheduler(child),
             getpriority(PRIO_PROCESS, (id_t)child));
}

static void runs_at_idle_priority_and_ends_on_sigterm(void **state)
{
    struct tiny *t = *state;
    CLEANUP(buf_fini) struct buf out;
    int fd;
    write_spec(t, "stuck", 1);
    /* What the daemon blocks must not reach the worker. */
    sigset_t term, old;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &old);
    pid_t child = start_stuck(t, "stuck", &fd);
    sigprocmask(SIG_SETMASK, &old, NULL);
    becomes(child, is_idle);
    becomes(child, is_first_to_go);
    kill(child, SIGTERM);
    int status = finish(child, fd, &out);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void keeps_to_its_niceness_without_privileges(void **state)
{
    struct tiny *t = *state;
    CLEANUP(buf_fini) struct buf out;
    int fd;
    write_limited_spec(t, "nice", 1, &(struct job_limits){ .nice = 5 });
    pid_t child = start_stuck(t, "nice", &fd);
    becomes(child, is_nice_5);
    kill(child, SIGKILL);
    (void)finish(child, fd, &out);
}

/* The time that earlier attempts took counts. */
static void ends_when_all_attempts_have_taken_its_seconds(void **state)
{
    struct tiny *t = *state;
    CLEANUP(buf_fini) struct buf out;
    const int64_t spent_us = INT64_C(3600000000);
    char path[200];
    int fd;
    write_limited_spec(t, "slow", 1, &(struct job_limits){ .seconds = 3600, .nice = 0 });
    job_path(t, "slow", "spent", path);
    assert_int_equal(file_write_atomic(path, &spent_us, sizeof spent_us, NULL), ERR_OK);
    pid_t child = start_stuck(t, "slow", &fd);
    int status = finish(child, fd, &out);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_last_line_is_error(&out, "deadline");
    assert_false(has_output(t, "slow", "report.json"));
}

static void dies_with_its_parent(void **state)
{
    struct tiny *t = *state;
    int ends[2];
    char byte;
    make_endless_job(t, "orphan");
    assert_int_equal(pipe(ends), 0);
    pid_t daemon = fork();
    if (daemon == 0) {
        close(ends[0]);
        if (fork() == 0) {
            dup2(ends[1], STDOUT_FILENO);
            close(ends[1]);
            _exit(worker_main(t->folder, "orphan"));
        }
        close(ends[1]);
        pause();
        _exit(0);
    }
    close(ends[1]);
    int spec = wait_until_it_reads(t, "orphan");
    kill(daemon, SIGKILL);
    assert_int_equal(waitpid(daemon, NULL, 0), daemon);
    /* End of file: the last holder of the pipe's other end is gone. */
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
    close(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(trains_and_tells, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_specification_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_disk_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(runs_at_idle_priority_and_ends_on_sigterm, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(keeps_to_its_niceness_without_privileges, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ends_when_all_attempts_have_taken_its_seconds, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(dies_with_its_parent, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

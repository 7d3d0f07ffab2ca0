#include "daemon/process.h"

#include "data/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

enum { LINE_MAX_BYTES = 64 * 1024 };

static enum err_code spawn(const char *executable, char *const argv[], int output, pid_t *ret,
                           struct err *e)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int failed = posix_spawn_file_actions_init(&files);
    if (failed)
        return err_errno(e, failed, "cannot start a worker");
    failed = posix_spawnattr_init(&attributes);
    if (failed) {
        posix_spawn_file_actions_destroy(&files);
        return err_errno(e, failed, "cannot start a worker");
    }
    failed = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    if (!failed)
        failed = posix_spawnattr_setpgroup(&attributes, 0);
    if (!failed)
        failed = posix_spawnattr_setsigmask(&attributes, &none);
    if (!failed)
        failed = posix_spawnattr_setsigdefault(&attributes, &all);
    if (!failed)
        failed = posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    pid_t pid = 0;
    if (!failed)
        failed = posix_spawn(&pid, executable, &files, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    if (failed)
        return err_errno(e, failed, "cannot start the worker %s", executable);
    *ret = pid;
    return ERR_OK;
}

enum err_code process_start(const char *executable, const char *state_dir, const char *job,
                            struct process *ret, struct err *e)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(e, errno, "cannot make a pipe for a worker");
    char *const argv[] = { (char *)"kenneld",
                           (char *)"worker",
                           (char *)"--state",
                           (char *)state_dir,
                           (char *)"--job",
                           (char *)job,
                           NULL };
    pid_t pid = 0;
    enum err_code r = spawn(executable, argv, ends[1], &pid, e);
    close(ends[1]);
    if (r) {
        close(ends[0]);
        return r;
    }
    *ret = (struct process){ .pid = pid, .output = ends[0] };
    return ERR_OK;
}

static void take_line(const char *text, size_t len, process_line fn, void *context)
{
    json_t *line = json_loadb(text, len, 0, NULL);
    if (json_is_object(line))
        fn(context, line);
    json_decref(line);
}

/* Calls fn for every whole line and moves the rest to the front; returns its length. */
static size_t take_lines(char *text, size_t len, bool *skipping, process_line fn, void *context)
{
    size_t from = 0;
    for (char *end; (end = memchr(text + from, '\n', len - from));) {
        size_t at = (size_t)(end - text);
        if (!*skipping)
            take_line(text + from, at - from, fn, context);
        *skipping = false;
        from = at + 1;
    }
    len -= from;
    memmove(text, text + from, len);
    if (len == LINE_MAX_BYTES) {
        *skipping = true;
        len = 0;
    }
    return len;
}

void process_follow(struct process *p, process_line fn, void *context)
{
    CLEANUP(cleanup_free) char *text = malloc(LINE_MAX_BYTES);
    char one;
    size_t len = 0;
    bool skipping = false;
    for (;;) {
        /* Without memory the lines are lost, but the worker must not block on a full pipe. */
        ssize_t n =
            text ? read(p->output, text + len, LINE_MAX_BYTES - len) : read(p->output, &one, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        if (text)
            len = take_lines(text, len + (size_t)n, &skipping, fn, context);
    }
    if (text && len && !skipping)
        take_line(text, len, fn, context);
}

void process_kill(pid_t pid)
{
    kill(-pid, SIGKILL);
}

void process_wait(const struct process *p)
{
    siginfo_t info;
    while (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        continue;
}

int process_reap(struct process *p)
{
    int status = 0;
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    close(p->output);
    *p = (struct process){ .output = -1 };
    return status;
}

void process_end_text(int status, char ret[PROCESS_END_TEXT])
{
    if (!WIFSIGNALED(status)) {
        snprintf(ret, PROCESS_END_TEXT, "it ended with status %d and left no report",
                 WEXITSTATUS(status));
        return;
    }
    const char *name = sigabbrev_np(WTERMSIG(status));
    snprintf(ret, PROCESS_END_TEXT, "it was killed by SIG%s%s", name ? name : "?",
             WTERMSIG(status) == SIGKILL ? ", probably because memory ran out" : "");
}

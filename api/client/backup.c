/* kennel backup, restore, fsck. The last two are about a folder that no server has: kenneld does
 * them, and this is only another name for it. */
#include "api/client/download.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* It holds digests of keys and the secrets of webhooks. */
enum { PRIVATE = 0600 };

static enum outcome backup(struct client *c, const struct args *a)
{
    return download_to(c, a->values[0], PRIVATE, "/api/v1/backup");
}

/* The kenneld beside this program, or that of an installation (bin and sbin side by side), else the
 * path's. Returns only when there is none. */
static void become_kenneld(char **argv)
{
    static const char *const places[] = { "kenneld", "../sbin/kenneld" };
    char self[PATH_MAX], path[PATH_MAX + 32];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = 0;
        *strrchr(self, '/') = 0;
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            snprintf(path, sizeof path, "%s/%s", self, places[i]);
            execv(path, argv);
        }
    }
    execvp("kenneld", argv);
    fprintf(stderr, "kennel: cannot run kenneld: %s\n", strerror(errno));
}

/* kenneld tells by its status whether a check could not be made or found something; this program's
 * statuses have one word for both. */
static enum outcome run_kenneld(char **argv)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        become_kenneld(argv);
        _exit(FAILED);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        fprintf(stderr, "kennel: cannot run kenneld: %s\n", strerror(errno));
        return FAILED;
    }
    if (!WIFEXITED(status))
        return FAILED;
    return WEXITSTATUS(status) == DONE || WEXITSTATUS(status) == USAGE
               ? (enum outcome)WEXITSTATUS(status)
               : FAILED;
}

static const struct flag state_flags[] = {
    { "state", "DIR", "the state folder, which no kenneld may be using" },
    { 0 },
};

static const char *state_of(const struct args *a)
{
    const char *state = args_flag(a, "state");
    if (!state)
        fprintf(stderr, "kennel: needs --state DIR\n");
    return state;
}

static enum outcome restore(struct client *c, const struct args *a)
{
    (void)c;
    const char *state = state_of(a);
    return state ? run_kenneld((char *[]){ "kenneld", "restore", "--state", (char *)state, "--",
                                           (char *)a->values[0], NULL })
                 : USAGE;
}

static enum outcome fsck(struct client *c, const struct args *a)
{
    (void)c;
    const char *state = state_of(a);
    return state ? run_kenneld((char *[]){ "kenneld", "fsck", "--state", (char *)state, NULL })
                 : USAGE;
}

const struct command commands_backup[] = {
    { "backup", NULL, "FILE", 1, 1, NULL, backup,
      "Everything that is kept, as one archive, while the server works; \"-\": standard output" },
    { "restore", NULL, "FILE", 1, 1, state_flags, restore,
      "Put a backup into an empty state folder of this machine; \"-\": standard input" },
    { "fsck", NULL, "", 0, 0, state_flags, fsck,
      "Name what is missing or changed in a state folder of this machine" },
    { 0 },
};

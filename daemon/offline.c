#include "daemon/offline.h"

#include "daemon/fsck.h"
#include "daemon/restore.h"
#include "data/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

/* NULL after a message. */
static const char *read_options(int argc, char **argv, int arguments, const char *usage)
{
    static const struct option table[] = { { "state", required_argument, NULL, 's' }, { 0 } };
    const char *state = NULL;
    for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (c != 's')
            return NULL;
        state = optarg;
    }
    if (state && argc - optind == arguments)
        return state;
    fprintf(stderr, "Usage: kenneld %s\n", usage);
    return NULL;
}

static void print_damage(void *context, const char *subject, const char *why)
{
    (void)context;
    printf("%s: %s\n", subject, why);
}

int offline_fsck(int argc, char **argv)
{
    const char *state = read_options(argc, argv, 0, "fsck --state DIR");
    if (!state)
        return 2;
    struct err e;
    int64_t checked = 0, damaged = 0;
    if (fsck(state, print_damage, NULL, &checked, &damaged, &e)) {
        fprintf(stderr, "kenneld: %s\n", e.message);
        return 1;
    }
    printf("%" PRId64 " blobs checked, %" PRId64 " damages\n", checked, damaged);
    return damaged ? 4 : 0;
}

static ssize_t read_file(void *context, void *bytes, size_t len, struct err *e)
{
    const int *fd = context;
    ssize_t n;
    do
        n = read(*fd, bytes, len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        err_errno(e, errno, "cannot read the backup");
    return n;
}

int offline_restore(int argc, char **argv)
{
    const char *state = read_options(argc, argv, 1, "restore --state DIR FILE");
    if (!state)
        return 2;
    const char *path = argv[optind];
    CLEANUP(cleanup_fd) int own = -1;
    int fd = STDIN_FILENO;
    if (strcmp(path, "-") != 0) {
        fd = own = open(path, O_RDONLY | O_CLOEXEC);
        if (own < 0) {
            fprintf(stderr, "kenneld: %s: %s\n", path, strerror(errno));
            return 4;
        }
    }
    struct err e;
    struct restored done;
    if (restore(state, read_file, &fd, &done, &e)) {
        fprintf(stderr, "kenneld: %s\n", e.message);
        return 4;
    }
    printf("restored %" PRId64 " blobs (%" PRId64 " bytes) and the database of %s (schema %" PRId64
           ")\n",
           done.blobs, done.bytes, done.created, done.schema);
    return 0;
}

#include "api/client/download.h"

#include "api/client/http.h"
#include "api/client/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static FILE *create(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!f)
        fprintf(stderr, "kennel: %s: %s\n", path, strerror(errno));
    if (!f && fd >= 0)
        close(fd);
    return f;
}

static enum outcome to_file(struct client *c, const char *file, mode_t mode, const char *path,
                            va_list ap)
{
    char part[4200];
    snprintf(part, sizeof part, "%s.part", file);
    FILE *f = create(part, mode);
    if (!f)
        return FAILED;
    struct progress p;
    progress_init(&p);
    enum outcome outcome = http_download(c->http, f, &p, path, ap);
    bool written = outcome == DONE && fflush(f) == 0 && fsync(fileno(f)) == 0;
    if (fclose(f) != 0 || (outcome == DONE && (!written || rename(part, file) < 0))) {
        fprintf(stderr, "kennel: %s: %s\n", file, strerror(errno));
        outcome = FAILED;
    }
    if (outcome != DONE)
        unlink(part);
    else
        printf("%s\n", file);
    return outcome;
}

enum outcome download_to(struct client *c, const char *file, mode_t mode, const char *path, ...)
{
    va_list ap;
    va_start(ap, path);
    enum outcome outcome = strcmp(file, "-") == 0 ? http_download(c->http, stdout, NULL, path, ap)
                                                  : to_file(c, file, mode, path, ap);
    va_end(ap);
    return outcome;
}

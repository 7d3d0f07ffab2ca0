#include "daemon/deadline.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

struct deadline {
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool stopped; /* guarded by mu */
    int fd;       /* owned; of the file */
    int64_t limit_us, before_us, start_us;
    void (*passed)(void *context);
    void *context;
};

static int64_t spent(const struct deadline *d)
{
    return d->before_us + clock_monotonic_us() - d->start_us;
}

/* Eight bytes in one page: whoever is killed leaves the old number or the new one. Not synced: it
 * is for the death of a process, not of the machine. */
static bool keep(const struct deadline *d)
{
    int64_t us = spent(d);
    return pwrite(d->fd, &us, sizeof us, 0) == (ssize_t)sizeof us;
}

static int64_t wake_at(const struct deadline *d)
{
    int64_t left = d->limit_us - spent(d), tick = DEADLINE_TICK_MS * INT64_C(1000);
    return clock_monotonic_us() + (left < tick ? left : tick);
}

static void *wait_for_it(void *context)
{
    struct deadline *d = context;
    pthread_mutex_lock(&d->mu);
    while (!d->stopped && spent(d) < d->limit_us) {
        (void)clock_wait(&d->changed, &d->mu, wake_at(d));
        pthread_mutex_unlock(&d->mu);
        (void)keep(d); /* its room was written in deadline_start() */
        pthread_mutex_lock(&d->mu);
    }
    bool passed = !d->stopped;
    pthread_mutex_unlock(&d->mu);
    if (passed)
        d->passed(d->context);
    return NULL;
}

static enum err_code open_file(struct deadline *d, const char *path, struct err *e)
{
    d->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->fd < 0)
        return err_errno(e, errno, "cannot open %s", path);
    int64_t us = 0;
    if (pread(d->fd, &us, sizeof us, 0) == (ssize_t)sizeof us && us > 0)
        d->before_us = us < d->limit_us ? us : d->limit_us;
    return keep(d) ? ERR_OK : err_errno(e, errno, "cannot write %s", path);
}

static void deadline_fini(struct deadline *d)
{
    if (!d)
        return;
    if (d->fd >= 0)
        close(d->fd);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->mu);
    free(d);
}

enum err_code deadline_start(int seconds, const char *path, void (*passed)(void *context),
                             void *context, struct deadline **ret, struct err *e)
{
    struct deadline *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(e, ERR_NOMEM, "no memory for a deadline");
    pthread_mutex_init(&d->mu, NULL);
    pthread_cond_init(&d->changed, NULL);
    d->start_us = clock_monotonic_us();
    d->limit_us = seconds * INT64_C(1000000);
    d->passed = passed;
    d->context = context;
    enum err_code r = open_file(d, path, e);
    if (!r) {
        int failed = pthread_create(&d->thread, NULL, wait_for_it, d);
        if (failed)
            r = err_errno(e, failed, "cannot start the thread that keeps the time");
    }
    if (r) {
        deadline_fini(d);
        return r;
    }
    pthread_setname_np(d->thread, "kennel-deadline");
    *ret = d;
    return ERR_OK;
}

void deadline_stop(struct deadline *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->mu);
    d->stopped = true;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->mu);
    pthread_join(d->thread, NULL);
    deadline_fini(d);
}

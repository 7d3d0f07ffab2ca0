#include "nn/team.h"

#include <pthread.h>
#include <stdlib.h>

struct helper {
    struct team *team;
    pthread_t thread;
    int worker;
};

struct team {
    pthread_mutex_t mu;
    pthread_cond_t work; /* a job began, or quit */
    pthread_cond_t idle; /* the last task in hand ended */
    bool quit;           /* guarded by mu, as is what follows */
    team_task task;
    void *context;
    int tasks, next, running;
    int failed; /* the task of error */
    struct err error;
    struct helper *helpers;
    int helper_count; /* the owner's alone */
};

/* Takes tasks while there are any. Called with the lock, returns with it. */
static void share(struct team *t, int worker)
{
    while (t->next < t->tasks) {
        int task = t->next++;
        struct err e = { 0 };
        t->running++;
        pthread_mutex_unlock(&t->mu);
        enum err_code r = t->task(t->context, worker, task, &e);
        pthread_mutex_lock(&t->mu);
        if (r && (!t->error.code || task < t->failed)) {
            t->error = e;
            t->failed = task;
        }
        if (r)
            t->next = t->tasks;
        if (--t->running == 0 && t->next >= t->tasks)
            pthread_cond_signal(&t->idle);
    }
}

static void *help(void *context)
{
    const struct helper *h = context;
    struct team *t = h->team;
    pthread_mutex_lock(&t->mu);
    while (!t->quit) {
        share(t, h->worker);
        if (!t->quit)
            pthread_cond_wait(&t->work, &t->mu);
    }
    pthread_mutex_unlock(&t->mu);
    return NULL;
}

enum err_code team_run(struct team *t, int tasks, team_task task, void *context, struct err *e)
{
    pthread_mutex_lock(&t->mu);
    t->task = task;
    t->context = context;
    t->tasks = tasks;
    t->next = 0;
    t->error = (struct err){ 0 };
    if (tasks > 1 && t->helper_count)
        pthread_cond_broadcast(&t->work);
    share(t, 0);
    while (t->running)
        pthread_cond_wait(&t->idle, &t->mu);
    struct err error = t->error;
    pthread_mutex_unlock(&t->mu);
    return error.code ? err_set(e, error.code, "%s", error.message) : ERR_OK;
}

void team_free(struct team *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->mu);
    t->quit = true;
    pthread_cond_broadcast(&t->work);
    pthread_mutex_unlock(&t->mu);
    for (int i = 0; i < t->helper_count; i++)
        pthread_join(t->helpers[i].thread, NULL);
    pthread_cond_destroy(&t->work);
    pthread_cond_destroy(&t->idle);
    pthread_mutex_destroy(&t->mu);
    free(t->helpers);
    free(t);
}

enum err_code team_new(const char *name, int threads, struct team **ret, struct err *e)
{
    struct team *t = calloc(1, sizeof *t);
    struct helper *helpers = calloc((size_t)threads, sizeof *helpers);
    if (!t || !helpers) {
        free(t);
        free(helpers);
        return err_set(e, ERR_NOMEM, "no memory for a team of %d threads", threads);
    }
    t->helpers = helpers;
    pthread_mutex_init(&t->mu, NULL);
    pthread_cond_init(&t->work, NULL);
    pthread_cond_init(&t->idle, NULL);
    for (int i = 0; i + 1 < threads; i++) {
        struct helper *h = &t->helpers[i];
        *h = (struct helper){ .team = t, .worker = i + 1 };
        int failed = pthread_create(&h->thread, NULL, help, h);
        if (failed) {
            team_free(t);
            return err_errno(e, failed, "cannot make thread %d of %d", i + 2, threads);
        }
        pthread_setname_np(h->thread, name);
        t->helper_count++;
    }
    *ret = t;
    return ERR_OK;
}

#include "api/tasks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct task {
    task_fn fn;
    void *context;
};

struct tasks {
    int thread_count;
    int upload_max;
    pthread_mutex_t mu;
    pthread_cond_t wanted;

    /* guarded by mu */
    bool stopping;
    int uploads; /* queued, and running but not yet at their reply */
    size_t head, count;
    struct task queue[TASKS_QUEUE];

    pthread_t threads[];
};

static void *run(void *context)
{
    struct tasks *t = context;
    pthread_mutex_lock(&t->mu);
    for (;;) {
        while (!t->count && !t->stopping)
            pthread_cond_wait(&t->wanted, &t->mu);
        if (!t->count)
            break;
        struct task task = t->queue[t->head];
        t->head = (t->head + 1) % TASKS_QUEUE;
        t->count--;
        pthread_mutex_unlock(&t->mu);
        task.fn(task.context);
        pthread_mutex_lock(&t->mu);
    }
    pthread_mutex_unlock(&t->mu);
    return NULL;
}

enum err_code tasks_new(int threads, struct tasks **ret, struct err *e)
{
    int want = threads < 2 ? 2 : threads;
    struct tasks *t = calloc(1, sizeof *t + (size_t)want * sizeof t->threads[0]);
    if (!t)
        return err_set(e, ERR_NOMEM, "no memory for %d task threads", want);
    t->upload_max = want / 2;
    pthread_mutex_init(&t->mu, NULL);
    pthread_cond_init(&t->wanted, NULL);
    for (int i = 0; i < want; i++) {
        int error = pthread_create(&t->threads[i], NULL, run, t);
        if (error) {
            tasks_free(t);
            return err_errno(e, error, "cannot start a task thread");
        }
        t->thread_count++;
        char name[16];
        snprintf(name, sizeof name, "task-%d", i % 1000);
        pthread_setname_np(t->threads[i], name);
    }
    *ret = t;
    return ERR_OK;
}

void tasks_free(struct tasks *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->mu);
    t->stopping = true;
    pthread_cond_broadcast(&t->wanted);
    pthread_mutex_unlock(&t->mu);
    for (int i = 0; i < t->thread_count; i++)
        pthread_join(t->threads[i], NULL);
    pthread_cond_destroy(&t->wanted);
    pthread_mutex_destroy(&t->mu);
    free(t);
}

enum err_code tasks_submit(struct tasks *t, enum task_kind kind, task_fn fn, void *context,
                           struct err *e)
{
    enum err_code r = ERR_OK;
    pthread_mutex_lock(&t->mu);
    if (t->count == TASKS_QUEUE) {
        r = err_set(e, ERR_BUSY, "%d requests are waiting already", TASKS_QUEUE);
    } else if (kind == TASK_UPLOAD && t->uploads == t->upload_max) {
        r = err_set(e, ERR_BUSY, "%d uploads are running already, which is the limit",
                    t->upload_max);
    } else {
        t->queue[(t->head + t->count) % TASKS_QUEUE] =
            (struct task){ .fn = fn, .context = context };
        t->count++;
        t->uploads += kind == TASK_UPLOAD;
        pthread_cond_signal(&t->wanted);
    }
    pthread_mutex_unlock(&t->mu);
    return r;
}

void tasks_upload_end(struct tasks *t)
{
    pthread_mutex_lock(&t->mu);
    t->uploads--;
    pthread_mutex_unlock(&t->mu);
}

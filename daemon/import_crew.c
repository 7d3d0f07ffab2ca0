#include "daemon/import_crew.h"

#include "data/base/cleanup.h"

#include <pthread.h>
#include <string.h>

enum {
    CREW_BYTES = 64 << 20,     /* of files on their way */
    CREW_THREADS_MAX = 256,    /* more would only wait for each other */
    ITEMS_PER_THREAD = 16,     /* so that the reader is seldom waited for */
    ITEM_KEEP_BYTES = 1 << 20, /* a larger buffer is not kept for the next file */
};

struct list {
    struct import_item *first, *last;
};

struct import_crew {
    struct state *state;
    import_outcome outcome;
    void *context;
    struct import_item *items; /* [count] */
    size_t count;
    pthread_t *threads;
    int thread_count;

    pthread_mutex_t mu;
    pthread_cond_t work, progress;
    struct list idle, waiting, ended; /* guarded by mu */
    size_t on_the_way;                /* items neither idle nor with the caller; guarded by mu */
    size_t bytes;                     /* of those; guarded by mu */
    bool stop;                        /* guarded by mu */
};

CLEANUP_DEFINE(struct import_crew, import_crew_free);

static void push(struct list *l, struct import_item *item)
{
    item->next = NULL;
    if (l->last)
        l->last->next = item;
    else
        l->first = item;
    l->last = item;
}

static struct import_item *pop(struct list *l)
{
    struct import_item *item = l->first;
    if (item) {
        l->first = item->next;
        if (!l->first)
            l->last = NULL;
    }
    return item;
}

/* --- the crew ----------------------------------------------------------------------------- */

static void work_on(struct state *s, struct image *image, struct import_item *item)
{
    struct members_picture p = { .bytes = item->len };
    /* Shorter side 1: decoded at the smallest scale, which still reads every byte of the scans. */
    item->code =
        image_decode(item->bytes, item->len, &state_limits(s)->image, 1, image, &item->err);
    if (!item->code)
        item->code = blobs_put(state_blobs(s), item->bytes, item->len, &p.digest, &item->err);
    p.format = image->format;
    p.width = image->full_width;
    p.height = image->full_height;
    item->picture = p;
}

static void *crew_main(void *context)
{
    struct import_crew *c = context;
    CLEANUP(image_fini) struct image image = { 0 };
    pthread_mutex_lock(&c->mu);
    for (;;) {
        while (!c->stop && !c->waiting.first)
            pthread_cond_wait(&c->work, &c->mu);
        if (c->stop)
            break;
        struct import_item *item = pop(&c->waiting);
        pthread_mutex_unlock(&c->mu);
        work_on(c->state, &image, item);
        pthread_mutex_lock(&c->mu);
        push(&c->ended, item);
        pthread_cond_signal(&c->progress);
    }
    pthread_mutex_unlock(&c->mu);
    return NULL;
}

static enum err_code start(struct import_crew *c, int threads, struct err *e)
{
    while (c->thread_count < threads) {
        int error = pthread_create(&c->threads[c->thread_count], NULL, crew_main, c);
        if (error)
            return err_errno(e, error, "cannot start a thread of the import");
        pthread_setname_np(c->threads[c->thread_count++], "import");
    }
    return ERR_OK;
}

enum err_code import_crew_new(struct state *s, int threads, import_outcome outcome, void *context,
                              struct import_crew **ret, struct err *e)
{
    if (threads < 1)
        threads = 1;
    if (threads > CREW_THREADS_MAX)
        threads = CREW_THREADS_MAX;
    struct import_crew *made = calloc(1, sizeof *made);
    if (!made)
        return err_set(e, ERR_NOMEM, "no memory for an import");
    pthread_mutex_init(&made->mu, NULL);
    pthread_cond_init(&made->work, NULL);
    pthread_cond_init(&made->progress, NULL);
    CLEANUP(import_crew_free_p) struct import_crew *c = made;
    c->state = s;
    c->outcome = outcome;
    c->context = context;
    c->count = (size_t)threads * ITEMS_PER_THREAD;
    c->items = calloc(c->count, sizeof *c->items);
    c->threads = calloc((size_t)threads, sizeof *c->threads);
    if (!c->items || !c->threads)
        return err_set(e, ERR_NOMEM, "no memory for an import");
    for (size_t i = 0; i < c->count; i++)
        push(&c->idle, &c->items[i]);
    enum err_code r = start(c, threads, e);
    if (!r)
        *ret = STEAL(c);
    return r;
}

void import_crew_free(struct import_crew *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->mu);
    c->stop = true;
    pthread_cond_broadcast(&c->work);
    pthread_mutex_unlock(&c->mu);
    for (int i = 0; i < c->thread_count; i++)
        pthread_join(c->threads[i], NULL);
    for (size_t i = 0; c->items && i < c->count; i++) {
        free(c->items[i].path);
        free(c->items[i].bytes);
    }
    free(c->items);
    free(c->threads);
    pthread_cond_destroy(&c->progress);
    pthread_cond_destroy(&c->work);
    pthread_mutex_destroy(&c->mu);
    free(c);
}

/* --- the caller --------------------------------------------------------------------------- */

static void recycle(struct import_item *item)
{
    free(STEAL(item->path));
    if (item->cap > ITEM_KEEP_BYTES) {
        free(STEAL(item->bytes));
        item->cap = 0;
    }
}

/* Tells one outcome and makes its item idle. Called with mu, which is let go meanwhile. */
static enum err_code tell_one(struct import_crew *c, struct err *e)
{
    struct import_item *item = pop(&c->ended);
    pthread_mutex_unlock(&c->mu);
    enum err_code r = c->outcome(c->context, item, e);
    size_t len = item->len;
    recycle(item);
    pthread_mutex_lock(&c->mu);
    push(&c->idle, item);
    c->on_the_way--;
    c->bytes -= len;
    return r;
}

static bool has_room(const struct import_crew *c, size_t len)
{
    return c->idle.first && (!c->on_the_way || c->bytes + len <= CREW_BYTES);
}

static enum err_code fill(struct import_item *item, const char *path, size_t len, struct err *e)
{
    item->path = strdup(path);
    if (item->cap < len) {
        free(item->bytes);
        item->cap = 0;
        item->bytes = malloc(len);
        if (item->bytes)
            item->cap = len;
    }
    if (!item->path || (len && !item->bytes))
        return err_set(e, ERR_NOMEM, "no memory for a file of %zu bytes", len);
    item->len = len;
    return ERR_OK;
}

static enum err_code wait_for_room(struct import_crew *c, size_t len, struct import_item **ret,
                                   struct err *e)
{
    enum err_code r = ERR_OK;
    pthread_mutex_lock(&c->mu);
    while (!r && (c->ended.first || !has_room(c, len))) {
        if (c->ended.first)
            r = tell_one(c, e);
        else
            pthread_cond_wait(&c->progress, &c->mu);
    }
    if (!r)
        *ret = pop(&c->idle);
    pthread_mutex_unlock(&c->mu);
    return r;
}

enum err_code import_crew_take(struct import_crew *c, const char *path, size_t len,
                               struct import_item **ret, struct err *e)
{
    struct import_item *item = NULL;
    enum err_code r = wait_for_room(c, len, &item, e);
    if (r)
        return r;
    r = fill(item, path, len, e);
    if (r) {
        recycle(item);
        pthread_mutex_lock(&c->mu);
        push(&c->idle, item);
        pthread_mutex_unlock(&c->mu);
        return r;
    }
    *ret = item;
    return ERR_OK;
}

void import_crew_submit(struct import_crew *c, struct import_item *item)
{
    pthread_mutex_lock(&c->mu);
    push(&c->waiting, item);
    c->on_the_way++;
    c->bytes += item->len;
    pthread_cond_signal(&c->work);
    pthread_mutex_unlock(&c->mu);
}

enum err_code import_crew_finish(struct import_crew *c, struct err *e)
{
    enum err_code r = ERR_OK;
    pthread_mutex_lock(&c->mu);
    while (!r && c->on_the_way) {
        if (c->ended.first)
            r = tell_one(c, e);
        else
            pthread_cond_wait(&c->progress, &c->mu);
    }
    pthread_mutex_unlock(&c->mu);
    return r;
}

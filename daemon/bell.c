#include "daemon/bell.h"

#include <string.h>

void bell_init(struct bell *b)
{
    *b = (struct bell){ 0 };
    pthread_mutex_init(&b->mu, NULL);
    pthread_cond_init(&b->silent, NULL);
}

void bell_fini(struct bell *b)
{
    pthread_cond_destroy(&b->silent);
    pthread_mutex_destroy(&b->mu);
}

enum err_code bell_add(struct bell *b, bell_listener fn, void *context, struct err *e)
{
    pthread_mutex_lock(&b->mu);
    int place = 0;
    while (place < BELL_LISTENERS && b->listeners[place].fn)
        place++;
    if (place < BELL_LISTENERS) {
        b->listeners[place].fn = fn;
        b->listeners[place].context = context;
    }
    pthread_mutex_unlock(&b->mu);
    return place < BELL_LISTENERS
               ? ERR_OK
               : err_set(e, ERR_INTERNAL, "more than %d listeners", BELL_LISTENERS);
}

void bell_remove(struct bell *b, bell_listener fn, void *context)
{
    pthread_mutex_lock(&b->mu);
    for (int i = 0; i < BELL_LISTENERS; i++)
        if (b->listeners[i].fn == fn && b->listeners[i].context == context)
            b->listeners[i].fn = NULL;
    while (b->ringing)
        pthread_cond_wait(&b->silent, &b->mu);
    pthread_mutex_unlock(&b->mu);
}

void bell_ring(struct bell *b)
{
    struct bell now;
    pthread_mutex_lock(&b->mu);
    memcpy(now.listeners, b->listeners, sizeof now.listeners);
    b->ringing++;
    pthread_mutex_unlock(&b->mu);
    for (int i = 0; i < BELL_LISTENERS; i++)
        if (now.listeners[i].fn)
            now.listeners[i].fn(now.listeners[i].context);
    pthread_mutex_lock(&b->mu);
    if (--b->ringing == 0)
        pthread_cond_broadcast(&b->silent);
    pthread_mutex_unlock(&b->mu);
}

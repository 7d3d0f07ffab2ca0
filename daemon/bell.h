/* bell.h -- tells a few listeners that something has changed, not what.
 *
 * A listener is called on the thread that rings, without any lock held, and must not wait.
 * Threads: any; bell_fini() alone, last. */
#ifndef KENNEL_BELL_H
#define KENNEL_BELL_H

#include "data/base/err.h"

#include <pthread.h>

enum { BELL_LISTENERS = 8 };

typedef void (*bell_listener)(void *context);

struct bell {
    pthread_mutex_t mu;
    pthread_cond_t silent;

    /* guarded by mu */
    struct {
        bell_listener fn; /* NULL: a free place */
        void *context;
    } listeners[BELL_LISTENERS];
    int ringing;
};

void bell_init(struct bell *b);
void bell_fini(struct bell *b);

/* ERR_INTERNAL past BELL_LISTENERS. */
enum err_code bell_add(struct bell *b, bell_listener fn, void *context, struct err *e) MUST_USE;
/* Once it returns, no call of it is under way and none will come. Not from a listener. */
void bell_remove(struct bell *b, bell_listener fn, void *context);
void bell_ring(struct bell *b);

#endif

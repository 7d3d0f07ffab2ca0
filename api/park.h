/* park.h -- requests that wait for something to change, without a thread each.
 *
 * A parked visitor is asked again after each park_notify() of its key and when its time is over;
 * the answer is given on the park's own thread. Invariants: each visitor is asked at least once
 * after park_add(), so that a change between looking and parking is not missed; visit() runs
 * without the lock; one that returned true is forgotten. Threads: any; park_free() alone, last. */
#ifndef KENNEL_PARK_H
#define KENNEL_PARK_H

#include "data/base/err.h"

#include <stdint.h>

struct park;

enum { PARK_KEY = 64 };

/* last: the time is over (or the server stops), answer with what there is. True: answered; must be
 * true when last. */
typedef bool (*park_visit)(void *context, bool last);

enum err_code park_new(struct park **ret, struct err *e) MUST_USE;
/* Visits everybody a last time, then nothing parks any more (park_add() answers ERR_BUSY). */
void park_stop(struct park *p);
void park_free(struct park *p);

/* key: at most PARK_KEY bytes, copied. deadline_us on clock_monotonic_us(). */
enum err_code park_add(struct park *p, const char *key, int64_t deadline_us, park_visit visit,
                       void *context, struct err *e) MUST_USE;
/* Cheap; may be called from anywhere. */
void park_notify(struct park *p, const char *key);

#endif

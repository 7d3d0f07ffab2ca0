/* clock.h -- wall time in UTC milliseconds, and monotonic time for durations. */
#ifndef KENNEL_CLOCK_H
#define KENNEL_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { CLOCK_TEXT = 25 };

int64_t clock_utc_ms(void); /* since 1970-01-01T00:00:00Z */
int64_t clock_utc_us(void);
int64_t clock_monotonic_us(void); /* never goes back; its zero means nothing */

/* As pthread_cond_wait(), but no longer than until clock_monotonic_us() has reached until_us;
 * false: it has. */
bool clock_wait(pthread_cond_t *cond, pthread_mutex_t *mu, int64_t until_us);

/* RFC 3339 in UTC with milliseconds: 2026-01-31T09:00:00.000Z */
void clock_text(int64_t utc_ms, char ret[CLOCK_TEXT]);

#endif

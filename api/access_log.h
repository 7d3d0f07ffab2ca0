/* access_log.h -- one JSON line a request on standard error, through a queue that never makes a
 * request wait.
 *
 * Every request that failed (status 400 and above) has its line; of the rest at most `rate` a
 * second have, the first of each second. Threads: any. */
#ifndef KENNEL_ACCESS_LOG_H
#define KENNEL_ACCESS_LOG_H

#include <stdatomic.h>
#include <stdint.h>

struct access_log {
    int rate;
    atomic_llong second_count; /* (UTC second << 24) + lines in it */
};

struct meters;
struct log_queue;
struct request;

/* meters: api/http_meters.h */
void access_log_request(struct access_log *a, struct log_queue *out, struct meters *meters,
                        const struct request *r, int status, int64_t now_us);

#endif

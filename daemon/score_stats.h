/* score_stats.h -- what each version has scored since the daemon started.
 *
 * The metrics tell models apart, because a series a version would never end; who wants to know
 * about one version asks here. Numbers only grow. A version that there is no memory for is not
 * counted.
 * Threads: any; score_stats_free() alone, last. One mutex, held for a look-up and some additions.
 */
#ifndef KENNEL_SCORE_STATS_H
#define KENNEL_SCORE_STATS_H

#include "daemon/serve.h"

struct score_result;
struct score_stats;

struct score_duration {
    uint64_t count, us; /* how often, and how long together */
};

struct score_stats_row {
    char model[SERVE_NAME];
    int64_t version;
    int64_t last_ms;                                    /* UTC, of the last picture; 0: none */
    uint64_t scored;                                    /* pictures */
    struct score_duration queue, decode, compute, rank; /* of pictures, as far as each came */
    struct score_duration succeeded, failed;            /* requests, from their last byte on */
};

enum err_code score_stats_new(struct score_stats **ret, struct err *e) MUST_USE;
void score_stats_free(struct score_stats *s);

/* One picture that left the queue, after it was ranked. s NULL: nothing is counted. */
void score_stats_picture(struct score_stats *s, const struct score_result *r);
/* One request, of any number of pictures. */
void score_stats_request(struct score_stats *s, const char *model, int64_t version, bool succeeded,
                         int64_t us);

/* The model's versions that were asked for a score, or the one that is named (0: all), in their
 * order. Caller frees *ret, which is NULL for none. */
enum err_code score_stats_read(struct score_stats *s, const char *model, int64_t version,
                               struct score_stats_row **ret, size_t *ret_count, struct err *e)
    MUST_USE;

#endif

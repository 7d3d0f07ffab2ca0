/* followers.h -- the trainer's side of its followers: what they tell, and who they are.
 *
 * A follower's batches are numbered. All that is taken of a report, and the number up to which it
 * was, is one transaction; a batch at or below that number was had before and is passed over, so
 * each item counts once however often it is sent. An item that makes no sense is passed over and
 * counted, so that it does not stand in the way of what is behind it. Feedback about an answer that
 * is not known waits for it (another follower may tell of it later), the newest
 * FEEDBACK_WAITING_MAX for FEEDBACK_WAITING_DAYS.
 * Threads: any. Locks: predictions' order of batches, then the database's writer. */
#ifndef KENNEL_FOLLOWERS_H
#define KENNEL_FOLLOWERS_H

#include "daemon/predictions.h"
#include "daemon/rollouts.h"

enum { FEEDBACK_WAITING_MAX = 100000, FEEDBACK_WAITING_DAYS = 7, FOLLOWER_KEPT_DAYS = 30 };

struct followers_parts { /* borrowed */
    struct state *state;
    struct predictions *predictions;
    struct rollouts *rollouts;
};

/* body: {"name", "program", "catalog" (or null), "spooled", "batches": [{"seq", "items"}...]},
 * items as in daemon/spool.h. *ret: {"acknowledged": seq, "refused": items that made no sense}. */
enum err_code followers_report(const struct followers_parts *p, const char *id, const json_t *body,
                               const char *who, json_t **ret, struct err *e) MUST_USE;

/* [{"id", "name", "program", "catalog", "spooled", "key", "seen"}...], the last seen first. */
enum err_code followers_list(struct state *s, json_t **ret, struct err *e) MUST_USE;

struct followers_figures {
    int64_t here, away; /* told something in the last minute, or not */
    int64_t waiting;    /* feedback */
};
enum err_code followers_look(struct state *s, struct followers_figures *ret, struct err *e)
    MUST_USE;

#endif

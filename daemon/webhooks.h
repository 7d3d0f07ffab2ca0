/* webhooks.h -- who is told of events over HTTP, and the log of what was delivered.
 *
 * A webhook has a number of the log of events: up to there deliveries are made. Making them and
 * moving the number is one transaction, so each event that fits is delivered at least once, also
 * over a restart; a receiver tells repetitions by the message's id. The sender (webhook_sender.h)
 * sends them. A callback is a webhook of one job, for its end; it goes a week after that.
 * A secret is shown to the one who made the webhook, once; no listing, log or error has it.
 * Threads: any. */
#ifndef KENNEL_WEBHOOKS_H
#define KENNEL_WEBHOOKS_H

#include "daemon/address.h"
#include "daemon/db.h"
#include "daemon/state.h"
#include "daemon/ulid.h"
#include "daemon/webhook_message.h"

enum { WEBHOOKS_MAX = 100, WEBHOOK_URL_MAX = 2048, WEBHOOK_DELIVERIES_KEPT = 1000 };

struct webhook_request { /* borrowed */
    const char *url;
    const char *events;           /* patterns with commas between */
    const char *model;            /* or NULL */
    struct webhook_secret secret; /* len 0: a new one */
};

/* http or https, a host, no user and password; an address in it must be allowed (a name's is
 * checked when it is connected to). ERR_URL, ERR_URL_FORBIDDEN. */
enum err_code webhook_check_url(const struct address_allow *allow, const char *url, struct err *e)
    MUST_USE;

/* {"id", "url", "events": [...], "model", "job", "requested_by", "created"}; and "secret", here
 * only. ERR_MODEL_UNKNOWN, ERR_WEBHOOKS_TOO_MANY, as events_check_patterns(). */
enum err_code webhooks_add(struct state *s, const struct webhook_request *request, const char *who,
                           json_t **ret, struct err *e) MUST_USE;
/* In the transaction that makes the job, or finds it. url was checked. */
enum err_code webhook_add_callback(struct db_tx *t, const char *job, const char *url,
                                   const struct webhook_secret *secret, const char *who,
                                   struct err *e) MUST_USE;
/* Callbacks as well. */
enum err_code webhooks_list(struct state *s, json_t **ret, struct err *e) MUST_USE;
/* ERR_WEBHOOK_UNKNOWN, as all below. */
enum err_code webhooks_show(struct state *s, const char *id, json_t **ret, struct err *e) MUST_USE;
/* With its deliveries. */
enum err_code webhooks_remove(struct state *s, const char *id, const char *who, struct err *e)
    MUST_USE;

/* Newest first: {"id", "message", "type", "state": "waiting", "delivered" or "dead", "attempts",
 * "next", "status", "error", "created", "ended"}. */
enum err_code webhooks_deliveries(struct state *s, const char *id, int limit, json_t **ret,
                                  struct err *e) MUST_USE;
/* A delivery of type webhook.ping. */
enum err_code webhooks_ping(struct state *s, const char *id, const char *who, json_t **ret,
                            struct err *e) MUST_USE;
/* Sends one that has ended again, under its old id. ERR_DELIVERY_UNKNOWN, ERR_DELIVERY_STATE. */
enum err_code webhooks_redeliver(struct state *s, const char *id, int64_t delivery, const char *who,
                                 json_t **ret, struct err *e) MUST_USE;

/* The sender's: makes the deliveries of events that came, and removes what is too old. */
enum err_code webhooks_fan_out(struct state *s, struct err *e) MUST_USE;

#endif

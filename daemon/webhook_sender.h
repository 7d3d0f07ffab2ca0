/* webhook_sender.h -- sends what webhooks wait for, on one thread for all of them.
 *
 * One delivery a webhook at a time, WEBHOOK_SLOTS together. A 2xx ends a delivery; anything else is
 * tried again after a pause that grows by a factor of 4, give or take a fifth, until the attempts
 * are used up: then it is dead (410 Gone at once). When the next attempt is stands in its row, so a
 * restart changes nothing. Redirects are not followed, no proxy is used, certificates are verified,
 * and an address is connected to only when address.h allows it.
 * Threads: any; the thread is named webhooks. */
#ifndef KENNEL_WEBHOOK_SENDER_H
#define KENNEL_WEBHOOK_SENDER_H

#include "daemon/address.h"
#include "daemon/state.h"

struct webhook_sender;

struct webhook_options {
    const char *allow; /* address_allow_parse(); or NULL */
    int attempts;      /* of a delivery */
    int retry_ms;      /* the pause after the first one */
    int timeout_ms;    /* of an attempt */
};

/* ERR_FIELD_RANGE for what allow says. */
enum err_code webhook_sender_new(struct state *s, const struct webhook_options *o,
                                 struct webhook_sender **ret, struct err *e) MUST_USE;
/* Breaks off what is being sent: it is sent again after the next start. */
void webhook_sender_free(struct webhook_sender *w);

const struct address_allow *webhook_sender_allow(const struct webhook_sender *w);

/* The pause after that many attempts, from 4/5 to 6/5 of its nominal length as random (any number)
 * says; never more than a day. */
int64_t webhook_pause_ms(const struct webhook_options *o, int64_t attempts, uint32_t random);

#endif

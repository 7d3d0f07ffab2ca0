/* follow_link.h -- a follower's HTTP connection to its trainer.
 *
 * One request at a time over one kept connection. Redirects are not followed and no proxy of the
 * environment is used: both would take the key elsewhere. The key's file is read for each request,
 * so that a new one is in force at once.
 * Threads: one, but for follow_link_stop(). */
#ifndef KENNEL_FOLLOW_LINK_H
#define KENNEL_FOLLOW_LINK_H

#include "data/base/buf.h"
#include "data/base/digest.h"

struct follow_link;

enum { FOLLOW_PAUSE_LEAST_MS = 250, FOLLOW_PAUSE_MOST_MS = 15000 };

struct follow_options {
    const char *url;      /* http://HOST[:PORT][/PATH] or https: of the trainer */
    const char *key_file; /* with a key of the role train; NULL: the trainer has none */
    const char *ca_file;  /* PEM, of whom to trust instead of the system's; or NULL */
};

/* ERR_URL. */
enum err_code follow_link_check(const struct follow_options *o, struct err *e) MUST_USE;
enum err_code follow_link_new(const struct follow_options *o, struct follow_link **ret,
                              struct err *e) MUST_USE;
void follow_link_free(struct follow_link *l);

/* What is under way ends with ERR_CANCELLED, and so does all that comes after it. Any thread. */
void follow_link_stop(struct follow_link *l);
/* Waits until then, or until follow_link_wake(); false when it was stopped. */
bool follow_link_pause(struct follow_link *l, int64_t ms);
/* Any thread. */
void follow_link_wake(struct follow_link *l);
/* After a failure: waits for half of *pause_ms to all of it, so that ten followers do not come back
 * as one, and makes it twice as long, up to FOLLOW_PAUSE_MOST_MS. */
bool follow_link_back_off(struct follow_link *l, int64_t *pause_ms);

/* Called with each piece of a body of status 200; an error of it ends the request. */
typedef enum err_code (*follow_sink)(void *context, const void *bytes, size_t len, struct err *e);

struct follow_request {
    const char *path;   /* behind the URL */
    const char *tag;    /* If-None-Match; NULL or "": none */
    const char *body;   /* POST it as JSON; NULL: GET */
    int64_t timeout_ms; /* of all of it; 0: as long as bytes come */
    follow_sink sink;
    void *context;
};
struct follow_reply {
    bool unchanged; /* 304 */
    char tag[DIGEST_HEX + 1];
};
/* ERR_TRAINER for what is not 200 or 304, naming what the trainer said. */
enum err_code follow_link_ask(struct follow_link *l, const struct follow_request *q,
                              struct follow_reply *ret, struct err *e) MUST_USE;

#endif

/* keys.h -- API keys: made, listed, taken back, checked.
 *
 * Without any key every caller is an admin called "anonymous", and the daemon listens on loopback
 * only. From the first key on every request needs one. A key's text is shown once, when it is made;
 * what is stored is its SHA-256.
 * Invariants: the first key is an admin's and never expires; the last such one cannot be deleted,
 * so nobody is locked out by accident; a name has one role and at most two keys that are not
 * expired, the old one and the new one of a rotation. Keys of the keys' file (daemon/key_file.h)
 * are checked alike but are neither listed with an id nor deleted here. Threads: any; a check takes
 * a lock for a microsecond and never touches the disk. Locks: changes' (held over the database),
 * then the database's writer, then the ring's, a leaf. */
#ifndef KENNEL_KEYS_H
#define KENNEL_KEYS_H

#include "daemon/role.h"
#include "daemon/state.h"

#include <jansson.h>

struct keys;

enum { KEY_DAYS_MAX = 3650 };
/* Requests a second. */
#define KEY_RATE_MIN 0.001
#define KEY_RATE_MAX 1e6

/* file may be NULL. ERR_FIELD_RANGE naming the line of the file. */
enum err_code keys_new(struct state *s, const char *file, struct keys **ret, struct err *e)
    MUST_USE;
void keys_free(struct keys *k);
/* Reads the file again. On failure the old keys stay valid. */
enum err_code keys_reload(struct keys *k, struct err *e) MUST_USE;

/* There is at least one, expired or not; or they are held (keys_hold()). */
bool keys_required(struct keys *k);

/* While there are no keys everybody is refused with this (static) text instead of being an admin:
 * a follower does not know yet whether its trainer has keys. NULL: no more. */
void keys_hold(struct keys *k, const char *why);

struct key_holder {
    char name[65];
    enum role role;
};
/* text: what the caller gave as its key, or NULL. ERR_KEY_MISSING, ERR_KEY_INVALID, ERR_ROLE,
 * ERR_RATE (*ret_retry: seconds); ERR_BUSY while they are held. */
enum err_code keys_check(struct keys *k, const char *text, enum role needed, struct key_holder *ret,
                         int *ret_retry, struct err *e) MUST_USE;

struct key_request {
    const char *name;
    enum role role;
    int64_t days; /* until it expires; 0: never */
    double rate;  /* 0: any number */
};
/* *ret: {"id", "name", "role", "created", "expires" (or null), "rate" (or null), "key": text}.
 * ERR_NAME_SYNTAX, ERR_FIELD_RANGE, ERR_KEY_LIMIT (a third key of a name, or of another role; too
 * many at all), ERR_KEY_ADMIN (the first one must be an admin's that never expires). */
enum err_code keys_create(struct keys *k, const struct key_request *q, const char *who,
                          json_t **ret, struct err *e) MUST_USE;
/* [{"id", "name", "role", "created", "expires", "rate", "used", "expired"}...], by name; used:
 * since the start. Those of the file have null for id and created. */
enum err_code keys_list(struct keys *k, json_t **ret, struct err *e) MUST_USE;
/* ERR_KEY_UNKNOWN, ERR_KEY_ADMIN. */
enum err_code keys_delete(struct keys *k, const char *id, const char *who, struct err *e) MUST_USE;

#endif

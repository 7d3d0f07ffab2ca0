#include "daemon/keys.h"

#include "daemon/db.h"
#include "daemon/key_file.h"
#include "daemon/key_ring.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "data/base/name.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

/* "kennel_" tells scanners of leaked secrets what they have found. */
#define KEY_PREFIX "kennel_"
enum { SECRET_BYTES = 32, ID_BYTES = 6, KEY_TEXT = sizeof KEY_PREFIX + 2 * SECRET_BYTES };
#define KEY_SELECT "SELECT id, name, role, digest, expires_ms, rate, created_ms"
static const int64_t day_ms = 86400000;

struct keys {
    struct state *state;
    char *file;              /* owned; NULL: none */
    pthread_mutex_t changes; /* one change at a time, from its transaction to the ring */

    pthread_mutex_t mu;
    struct key_ring ring; /* guarded by mu */
    const char *held;     /* guarded by mu; see keys_hold() */
};

/* -- the ring -------------------------------------------------------------------------------- */

static enum err_code row_key(struct db_rows *row, struct key *ret, struct err *e)
{
    *ret = (struct key){ .expires_ms = db_int(row, 4),
                         .rate = db_real(row, 5),
                         .created_ms = db_int(row, 6) };
    snprintf(ret->id, sizeof ret->id, "%s", db_text(row, 0));
    snprintf(ret->name, sizeof ret->name, "%s", db_text(row, 1));
    if (!role_parse(db_text(row, 2), &ret->role))
        return err_set(e, ERR_DATABASE, "key %s has no known role", ret->id);
    return db_digest(row, 3, &ret->digest, e);
}

static enum err_code read_rows(struct keys *k, struct key_ring *ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_read(state_db(k->state), &t, e);
    if (!r)
        r = db_query(t, &rows, e, KEY_SELECT " FROM api_key ORDER BY name, created_ms, id");
    for (bool more = true; !r;) {
        struct key key;
        r = db_next(rows, &more, e);
        if (r || !more)
            break;
        r = row_key(rows, &key, e);
        if (!r)
            r = key_ring_add(ret, &key, e);
    }
    return r;
}

/* With changes locked, so that the ring is never older than what was committed last. */
static enum err_code load(struct keys *k, struct err *e)
{
    CLEANUP(key_ring_fini) struct key_ring next = { 0 };
    enum err_code r = read_rows(k, &next, e);
    if (!r && k->file)
        r = key_file_read(k->file, &next, e);
    if (r)
        return r;
    pthread_mutex_lock(&k->mu);
    struct key_ring old = k->ring;
    key_ring_inherit(&next, &old);
    k->ring = next;
    next = old;
    pthread_mutex_unlock(&k->mu);
    return ERR_OK;
}

enum err_code keys_reload(struct keys *k, struct err *e)
{
    pthread_mutex_lock(&k->changes);
    enum err_code r = load(k, e);
    pthread_mutex_unlock(&k->changes);
    return r;
}

enum err_code keys_new(struct state *s, const char *file, struct keys **ret, struct err *e)
{
    struct keys *k = calloc(1, sizeof *k);
    if (!k)
        return err_set(e, ERR_NOMEM, "no memory for keys");
    k->state = s;
    pthread_mutex_init(&k->changes, NULL);
    pthread_mutex_init(&k->mu, NULL);
    enum err_code r = ERR_OK;
    if (file && !(k->file = strdup(file)))
        r = err_set(e, ERR_NOMEM, "no memory for keys");
    if (!r)
        r = keys_reload(k, e);
    if (r) {
        keys_free(k);
        return r;
    }
    *ret = k;
    return ERR_OK;
}

void keys_free(struct keys *k)
{
    if (!k)
        return;
    key_ring_fini(&k->ring);
    pthread_mutex_destroy(&k->mu);
    pthread_mutex_destroy(&k->changes);
    free(k->file);
    free(k);
}

/* -- checks ---------------------------------------------------------------------------------- */

bool keys_required(struct keys *k)
{
    pthread_mutex_lock(&k->mu);
    bool required = k->ring.count > 0 || k->held;
    pthread_mutex_unlock(&k->mu);
    return required;
}

void keys_hold(struct keys *k, const char *why)
{
    pthread_mutex_lock(&k->mu);
    k->held = why;
    pthread_mutex_unlock(&k->mu);
}

static enum err_code check_held(struct keys *k, struct err *e)
{
    pthread_mutex_lock(&k->mu);
    const char *why = k->ring.count ? NULL : k->held;
    pthread_mutex_unlock(&k->mu);
    return why ? err_set(e, ERR_BUSY, "%s", why) : ERR_OK;
}

static enum err_code check(struct keys *k, const struct digest *d, enum role needed,
                           struct key_holder *ret, int *ret_retry, struct err *e)
{
    const struct key *key;
    pthread_mutex_lock(&k->mu);
    enum err_code r = key_ring_check(&k->ring, d, needed, clock_utc_ms(), clock_monotonic_us(),
                                     &key, ret_retry, e);
    if (!r) {
        memcpy(ret->name, key->name, sizeof ret->name);
        ret->role = key->role;
    }
    pthread_mutex_unlock(&k->mu);
    return r;
}

enum err_code keys_check(struct keys *k, const char *text, enum role needed, struct key_holder *ret,
                         int *ret_retry, struct err *e)
{
    if (!keys_required(k)) {
        *ret = (struct key_holder){ .name = "anonymous", .role = ROLE_ADMIN };
        return ERR_OK;
    }
    enum err_code r = check_held(k, e);
    if (r)
        return r;
    if (!text)
        return err_set(e, ERR_KEY_MISSING, "this needs a key: Authorization: Bearer KEY");
    struct digest d;
    r = digest_of(text, strlen(text), &d, e);
    return r ? r : check(k, &d, needed, ret, ret_retry, e);
}

/* -- create ---------------------------------------------------------------------------------- */

static enum err_code random_hex(int bytes, char *ret, struct err *e)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[SECRET_BYTES];
    int error = gnutls_rnd(GNUTLS_RND_KEY, random, (size_t)bytes);
    if (error < 0)
        return err_set(e, ERR_INTERNAL, "no random bytes: %s", gnutls_strerror(error));
    for (int i = 0; i < bytes; i++) {
        *ret++ = digits[random[i] >> 4];
        *ret++ = digits[random[i] & 15];
    }
    *ret = 0;
    gnutls_memset(random, 0, sizeof random);
    return ERR_OK;
}

static enum err_code check_request(const struct key_request *q, struct err *e)
{
    enum err_code r = name_check(q->name, "key name", e);
    if (r)
        return r;
    if (q->days < 0 || q->days > KEY_DAYS_MAX)
        return err_set(e, ERR_FIELD_RANGE, "expires_in_days must be from 1 to %d", KEY_DAYS_MAX);
    if (q->rate != 0 && !(q->rate >= KEY_RATE_MIN && q->rate <= KEY_RATE_MAX))
        return err_set(e, ERR_FIELD_RANGE, "rate must be from %g to %g requests a second",
                       KEY_RATE_MIN, KEY_RATE_MAX);
    return ERR_OK;
}

static enum err_code check_rules(struct db_tx *t, const struct key_request *q, int64_t now,
                                 struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e,
                             "SELECT (SELECT count(*) FROM api_key),"
                             " (SELECT count(*) FROM api_key WHERE name = ?1 AND"
                             "  (expires_ms IS NULL OR expires_ms > ?2)),"
                             " (SELECT max(role) FROM api_key WHERE name = ?1)",
                             DB_TEXT(q->name), DB_INT(now));
    if (r)
        return r;
    const char *role = db_text(row, 2);
    if (!db_int(row, 0) && (q->role != ROLE_ADMIN || q->days))
        return err_set(e, ERR_KEY_ADMIN,
                       "the first key must have the role \"admin\" and no end: with it the others "
                       "are made");
    if (db_int(row, 0) >= KEYS_MAX)
        return err_set(e, ERR_KEY_LIMIT, "there are %d keys already, which is the limit", KEYS_MAX);
    if (db_int(row, 1) >= 2)
        return err_set(e, ERR_KEY_LIMIT,
                       "\"%s\" has two valid keys already; delete the old one first", q->name);
    if (role && strcmp(role, role_text(q->role)) != 0)
        return err_set(e, ERR_KEY_LIMIT, "\"%s\" has a key of the role \"%s\"; a name has one role",
                       q->name, role);
    return ERR_OK;
}

/* As listings and the audit log show it. */
static json_t *key_json(const struct key *k)
{
    char created[CLOCK_TEXT], expires[CLOCK_TEXT];
    clock_text(k->created_ms, created);
    clock_text(k->expires_ms, expires);
    return json_pack("{s:s?, s:s, s:s, s:s?, s:s?, s:o}", "id", k->id[0] ? k->id : NULL, "name",
                     k->name, "role", role_text(k->role), "created", k->created_ms ? created : NULL,
                     "expires", k->expires_ms ? expires : NULL, "rate",
                     k->rate > 0 ? json_real(k->rate) : json_null());
}

static enum err_code audit(struct db_tx *t, const char *who, const char *what, const struct key *k,
                           const json_t *before, const json_t *after, struct err *e)
{
    char subject[16 + KEY_ID_MAX];
    snprintf(subject, sizeof subject, "key/%s", k->id);
    return db_audit(t, who, what, subject, before, after, e);
}

static enum err_code insert(struct keys *k, const struct key *key, const struct key_request *q,
                            const char *who, json_t **ret, struct err *e)
{
    int64_t now = key->created_ms;
    CLEANUP(json_decref_p) json_t *shown = key_json(key);
    if (!shown)
        return err_set(e, ERR_NOMEM, "no memory for a key");
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_write(state_db(k->state), &t, e);
    if (!r)
        r = check_rules(t, q, now, e);
    if (!r)
        r = db_exec(
            t, e,
            "INSERT INTO api_key (id, name, role, digest, expires_ms, rate, created_ms, who)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            DB_TEXT(key->id), DB_TEXT(key->name), DB_TEXT(role_text(key->role)),
            DB_DIGEST(&key->digest), DB_INT_OR_NULL(key->expires_ms),
            key->rate > 0 ? DB_REAL(key->rate) : DB_NULL, DB_INT(now), DB_TEXT(who));
    db_announce(t); /* to followers, which check keys as well */
    if (!r)
        r = audit(t, who, "key.create", key, NULL, shown, e);
    if (!r)
        r = db_commit(&t, e);
    if (!r)
        r = load(k, e);
    if (!r)
        *ret = STEAL(shown);
    return r;
}

enum err_code keys_create(struct keys *k, const struct key_request *q, const char *who,
                          json_t **ret, struct err *e)
{
    enum err_code r = check_request(q, e);
    if (r)
        return r;
    char text[KEY_TEXT] = KEY_PREFIX;
    int64_t now = clock_utc_ms();
    struct key key = { .role = q->role,
                       .rate = q->rate,
                       .created_ms = now,
                       .expires_ms = q->days ? now + q->days * day_ms : 0 };
    memcpy(key.name, q->name, strlen(q->name) + 1);
    r = random_hex(ID_BYTES, key.id, e);
    if (!r)
        r = random_hex(SECRET_BYTES, text + strlen(KEY_PREFIX), e);
    if (!r)
        r = digest_of(text, strlen(text), &key.digest, e);
    json_t *shown = NULL;
    if (!r) {
        pthread_mutex_lock(&k->changes);
        r = insert(k, &key, q, who, &shown, e);
        pthread_mutex_unlock(&k->changes);
    }
    if (!r)
        r = json_put(shown, "key", json_string(text), e);
    gnutls_memset(text, 0, sizeof text);
    if (r)
        json_decref(shown);
    else
        *ret = shown;
    return r;
}

/* -- list and delete --------------------------------------------------------------------------- */

enum err_code keys_list(struct keys *k, json_t **ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *list = json_array();
    int64_t now = clock_utc_ms();
    bool ok = list != NULL;
    pthread_mutex_lock(&k->mu);
    for (int i = 0; ok && i < k->ring.count; i++) {
        const struct key *key = &k->ring.keys[i];
        char used[CLOCK_TEXT];
        clock_text(key->used_ms, used);
        json_t *o = key_json(key);
        ok = o &&
             json_object_set_new(o, "used", key->used_ms ? json_string(used) : json_null()) == 0 &&
             json_object_set_new(o, "expired",
                                 json_boolean(key->expires_ms && key->expires_ms <= now)) == 0;
        ok = json_array_append_new(list, o) == 0 && ok;
    }
    pthread_mutex_unlock(&k->mu);
    if (!ok)
        return err_set(e, ERR_NOMEM, "no memory to list keys");
    *ret = STEAL(list);
    return ERR_OK;
}

static enum err_code remove_row(struct db_tx *t, const char *id, const char *who, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r =
        db_get(t, &row, e,
               KEY_SELECT ", (SELECT count(*) FROM api_key WHERE role = 'admin' AND expires_ms"
                          "  IS NULL AND id <> ?1) FROM api_key WHERE id = ?1",
               DB_TEXT(id));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_KEY_UNKNOWN, "no key \"%.40s\"", id);
    struct key key;
    r = row_key(row, &key, e);
    if (!r && key.role == ROLE_ADMIN && !key.expires_ms && !db_int(row, 7))
        r = err_set(e, ERR_KEY_ADMIN,
                    "this is the last admin's key without an end: make another one first");
    if (r)
        return r;
    CLEANUP(json_decref_p) json_t *shown = key_json(&key);
    if (!shown)
        return err_set(e, ERR_NOMEM, "no memory for a key");
    db_announce(t);
    r = db_exec(t, e, "DELETE FROM api_key WHERE id = ?", DB_TEXT(id));
    return r ? r : audit(t, who, "key.delete", &key, shown, NULL, e);
}

enum err_code keys_delete(struct keys *k, const char *id, const char *who, struct err *e)
{
    pthread_mutex_lock(&k->changes);
    struct db_tx *t = NULL;
    enum err_code r = db_write(state_db(k->state), &t, e);
    if (!r)
        r = remove_row(t, id, who, e);
    if (!r)
        r = db_commit(&t, e);
    db_end(t);
    if (!r)
        r = load(k, e);
    pthread_mutex_unlock(&k->changes);
    return r;
}

#include "daemon/key_ring.h"

#include <gnutls/gnutls.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void key_ring_fini(struct key_ring *r)
{
    free(r->keys);
    *r = (struct key_ring){ 0 };
}

static double burst(const struct key *k)
{
    return k->rate > 1 ? k->rate : 1;
}

enum err_code key_ring_add(struct key_ring *r, const struct key *k, struct err *e)
{
    if (r->count == KEYS_MAX)
        return err_set(e, ERR_KEY_LIMIT, "there are %d keys already, which is the limit", KEYS_MAX);
    struct key *keys = reallocarray(r->keys, (size_t)r->count + 1, sizeof *keys);
    if (!keys)
        return err_set(e, ERR_NOMEM, "no memory for %d keys", r->count + 1);
    r->keys = keys;
    struct key *own = &keys[r->count++];
    *own = *k;
    own->tokens = burst(k);
    own->refilled_us = own->used_ms = 0;
    return ERR_OK;
}

void key_ring_inherit(struct key_ring *r, const struct key_ring *old)
{
    for (int i = 0; i < r->count; i++)
        for (int j = 0; j < old->count; j++)
            if (digest_compare(&r->keys[i].digest, &old->keys[j].digest) == 0) {
                r->keys[i].tokens = fmin(old->keys[j].tokens, burst(&r->keys[i]));
                r->keys[i].refilled_us = old->keys[j].refilled_us;
                r->keys[i].used_ms = old->keys[j].used_ms;
            }
}

static struct key *find(struct key_ring *r, const struct digest *d)
{
    struct key *found = NULL;
    for (int i = 0; i < r->count; i++)
        if (gnutls_memcmp(r->keys[i].digest.bytes, d->bytes, DIGEST_BYTES) == 0)
            found = &r->keys[i];
    return found;
}

static enum err_code take_token(struct key *k, int64_t now_us, int *ret_retry, struct err *e)
{
    if (k->rate <= 0)
        return ERR_OK;
    double passed = k->refilled_us ? (double)(now_us - k->refilled_us) / 1e6 : 0;
    double tokens = fmin(burst(k), k->tokens + passed * k->rate);
    k->refilled_us = now_us;
    k->tokens = tokens;
    if (tokens < 1) {
        *ret_retry = (int)ceil((1 - tokens) / k->rate);
        return err_set(e, ERR_RATE, "key \"%s\" is used more than %g times a second", k->name,
                       k->rate);
    }
    k->tokens = tokens - 1;
    return ERR_OK;
}

enum err_code key_ring_check(struct key_ring *r, const struct digest *d, enum role needed,
                             int64_t now_ms, int64_t now_us, const struct key **ret, int *ret_retry,
                             struct err *e)
{
    struct key *k = find(r, d);
    if (!k || (k->expires_ms && k->expires_ms <= now_ms))
        return err_set(e, ERR_KEY_INVALID, "the key is not valid%s", k ? " any more" : "");
    enum err_code code = take_token(k, now_us, ret_retry, e);
    if (code)
        return code;
    k->used_ms = now_ms;
    if (k->role < needed)
        return err_set(e, ERR_ROLE, "this needs the role \"%s\", key \"%s\" has \"%s\"",
                       role_text(needed), k->name, role_text(k->role));
    *ret = k;
    return ERR_OK;
}

#include "daemon/ulid.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

void ulid_source_init(struct ulid_source *s)
{
    *s = (struct ulid_source){ 0 };
    pthread_mutex_init(&s->mu, NULL);
}

void ulid_source_fini(struct ulid_source *s)
{
    pthread_mutex_destroy(&s->mu);
}

/* 128 bits as 26 digits of 5 bits, the first of which has only 3. */
static void write_text(const uint8_t id[16], char ret[ULID_TEXT])
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    for (int i = 0; i < 26; i++) {
        unsigned value = 0;
        for (int bit = 5 * i - 2; bit < 5 * i + 3; bit++) {
            unsigned set = bit < 0 ? 0u : (unsigned)id[bit / 8] >> (7 - bit % 8) & 1u;
            value = value << 1 | set;
        }
        ret[i] = digits[value];
    }
    ret[26] = 0;
}

static void increment(uint8_t id[16])
{
    for (int i = 15; i >= 0; i--)
        if (++id[i])
            return;
}

enum err_code ulid_next(struct ulid_source *s, int64_t utc_ms, char ret[ULID_TEXT], struct err *e)
{
    uint8_t id[16];
    for (int i = 0; i < 6; i++)
        id[i] = (uint8_t)(utc_ms >> (40 - 8 * i));
    int failed = gnutls_rnd(GNUTLS_RND_NONCE, id + 6, 10);
    if (failed < 0)
        return err_set(e, ERR_INTERNAL, "no random bytes: %s", gnutls_strerror(failed));

    pthread_mutex_lock(&s->mu);
    if (memcmp(id, s->last, 6) <= 0) {
        memcpy(id, s->last, sizeof id);
        increment(id);
    }
    memcpy(s->last, id, sizeof id);
    pthread_mutex_unlock(&s->mu);
    write_text(id, ret);
    return ERR_OK;
}

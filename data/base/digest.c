#include "data/base/digest.h"

#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

struct digest_stream {
    gnutls_hash_hd_t hash;
};

static enum err_code hash_error(int r, struct err *e)
{
    /* Of bytes in memory nothing but memory can be missing. */
    bool no_memory = r == GNUTLS_E_MEMORY_ERROR || r == GNUTLS_E_HASH_FAILED;
    return err_set(e, no_memory ? ERR_NOMEM : ERR_INTERNAL, "SHA-256: %s", gnutls_strerror(r));
}

enum err_code digest_of(const void *bytes, size_t len, struct digest *ret, struct err *e)
{
    int r = gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, len, ret->bytes);
    return r < 0 ? hash_error(r, e) : ERR_OK;
}

enum err_code digest_stream_new(struct digest_stream **ret, struct err *e)
{
    struct digest_stream *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a digest");
    int r = gnutls_hash_init(&s->hash, GNUTLS_DIG_SHA256);
    if (r < 0) {
        free(s);
        return hash_error(r, e);
    }
    *ret = s;
    return ERR_OK;
}

enum err_code digest_stream_add(struct digest_stream *s, const void *bytes, size_t len,
                                struct err *e)
{
    int r = gnutls_hash(s->hash, bytes, len);
    return r < 0 ? hash_error(r, e) : ERR_OK;
}

void digest_stream_end(struct digest_stream *s, struct digest *ret)
{
    gnutls_hash_output(s->hash, ret->bytes);
}

void digest_stream_free(struct digest_stream *s)
{
    if (!s)
        return;
    gnutls_hash_deinit(s->hash, NULL);
    free(s);
}

void digest_hex(const struct digest *d, char ret[DIGEST_HEX + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < DIGEST_BYTES; i++) {
        ret[2 * i] = digits[d->bytes[i] >> 4];
        ret[2 * i + 1] = digits[d->bytes[i] & 15];
    }
    ret[DIGEST_HEX] = 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool digest_parse(const char *text, struct digest *ret)
{
    struct digest d;
    for (int i = 0; i < DIGEST_BYTES; i++) {
        int high = hex_value(text[2 * i]);
        int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);
        if (low < 0)
            return false;
        d.bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (text[DIGEST_HEX])
        return false;
    *ret = d;
    return true;
}

int digest_compare(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, DIGEST_BYTES);
}

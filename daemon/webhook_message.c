#include "daemon/webhook_message.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "whsec_";
enum { SECRET_NEW = 32, MAC = 32, SIGNED_MAX = 4 << 20 };

enum err_code webhook_secret_new(struct webhook_secret *ret, struct err *e)
{
    int error = gnutls_rnd(GNUTLS_RND_RANDOM, ret->bytes, SECRET_NEW);
    if (error < 0)
        return err_set(e, ERR_INTERNAL, "no random bytes: %s", gnutls_strerror(error));
    ret->len = SECRET_NEW;
    return ERR_OK;
}

enum err_code webhook_secret_parse(const char *text, struct webhook_secret *ret, struct err *e)
{
    size_t skip = sizeof prefix - 1;
    gnutls_datum_t from, to = { 0 };
    bool sound = strncmp(text, prefix, skip) == 0 && strlen(text) < WEBHOOK_SECRET_TEXT;
    if (sound) {
        from.data = (unsigned char *)(text + skip);
        from.size = (unsigned)(strlen(text) - skip);
        sound = gnutls_base64_decode2(&from, &to) == 0;
    }
    sound = sound && to.size >= WEBHOOK_SECRET_MIN && to.size <= WEBHOOK_SECRET_MAX;
    if (sound) {
        memcpy(ret->bytes, to.data, to.size);
        ret->len = to.size;
    }
    gnutls_free(to.data);
    return sound ? ERR_OK
                 : err_set(e, ERR_FIELD_RANGE,
                           "the request: a secret is \"whsec_\" and the base64 of %d to %d bytes",
                           WEBHOOK_SECRET_MIN, WEBHOOK_SECRET_MAX);
}

static enum err_code base64(const uint8_t *bytes, size_t len, char *ret, size_t size, struct err *e)
{
    gnutls_datum_t from = { .data = (unsigned char *)bytes, .size = (unsigned)len }, to = { 0 };
    if (gnutls_base64_encode2(&from, &to) < 0)
        return err_set(e, ERR_NOMEM, "no memory for base64");
    int n = snprintf(ret, size, "%.*s", (int)to.size, (const char *)to.data);
    gnutls_free(to.data);
    return n >= 0 && (size_t)n < size ? ERR_OK : err_set(e, ERR_INTERNAL, "base64 is too long");
}

enum err_code webhook_secret_text(const struct webhook_secret *s, char ret[WEBHOOK_SECRET_TEXT],
                                  struct err *e)
{
    size_t skip = sizeof prefix - 1;
    memcpy(ret, prefix, skip);
    return base64(s->bytes, s->len, ret + skip, WEBHOOK_SECRET_TEXT - skip, e);
}

enum err_code webhook_sign(const struct webhook_secret *s, const char *id, int64_t seconds,
                           const char *body, char ret[WEBHOOK_SIGNATURE_TEXT], struct err *e)
{
    CLEANUP(buf_fini) struct buf text;
    char head[160];
    uint8_t mac[MAC];
    buf_init(&text, SIGNED_MAX);
    snprintf(head, sizeof head, "%s.%" PRId64 ".", id, seconds);
    enum err_code r = buf_append(&text, head, strlen(head), e);
    if (!r)
        r = buf_append(&text, body, strlen(body), e);
    if (r)
        return r;
    int error = gnutls_hmac_fast(GNUTLS_MAC_SHA256, s->bytes, s->len, text.data, text.len, mac);
    if (error < 0)
        return err_set(e, ERR_INTERNAL, "cannot sign: %s", gnutls_strerror(error));
    memcpy(ret, "v1,", 3);
    return base64(mac, sizeof mac, ret + 3, WEBHOOK_SIGNATURE_TEXT - 3, e);
}

enum err_code webhook_body(const char *id, const char *type, const char *subject, int64_t at_ms,
                           const char *data, char **ret, struct err *e)
{
    char at[CLOCK_TEXT], *text = NULL;
    clock_text(at_ms, at);
    /* All but data is made of letters that JSON takes as they are. */
    if (asprintf(&text,
                 "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"/api/v1/events\","
                 "\"type\":\"%s\",\"subject\":\"%s\",\"time\":\"%s\","
                 "\"datacontenttype\":\"application/json\",\"data\":%s}",
                 id, type, subject, at, data) < 0)
        return err_set(e, ERR_NOMEM, "no memory for a message");
    *ret = text;
    return ERR_OK;
}

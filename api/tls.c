#include "api/tls.h"

#include "data/base/cleanup.h"
#include "data/base/file.h"

#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { PEM_BYTES_MAX = 1 << 20 };

/* A certificate and the ones before it. */
struct credentials {
    gnutls_certificate_credentials_t gnutls; /* owned */
    struct credentials *older;               /* owned */
};

struct tls {
    char *cert_path, *key_path; /* owned */
    struct buf cert, key;       /* as first read */

    pthread_mutex_t mu;
    struct credentials *current; /* guarded by mu; the list behind it only grows */
};

static void wipe(struct buf *b)
{
    if (b->data)
        gnutls_memset(b->data, 0, b->len);
    buf_fini(b);
}

static void credentials_free(struct credentials *c)
{
    while (c) {
        struct credentials *older = c->older;
        if (c->gnutls)
            gnutls_certificate_free_credentials(c->gnutls);
        free(c);
        c = older;
    }
}
CLEANUP_DEFINE(struct credentials, credentials_free);

static enum err_code make(const struct tls *t, const struct buf *cert, const struct buf *key,
                          struct credentials **ret, struct err *e)
{
    CLEANUP(credentials_free_p) struct credentials *c = calloc(1, sizeof *c);
    if (!c || gnutls_certificate_allocate_credentials(&c->gnutls) < 0)
        return err_set(e, ERR_NOMEM, "no memory for a certificate");
    const gnutls_datum_t chain = { cert->data, (unsigned)cert->len };
    const gnutls_datum_t secret = { key->data, (unsigned)key->len };
    int error =
        gnutls_certificate_set_x509_key_mem(c->gnutls, &chain, &secret, GNUTLS_X509_FMT_PEM);
    if (error < 0)
        return err_set(e, ERR_FIELD_RANGE, "%s and %s are no PEM certificate and its key: %s",
                       t->cert_path, t->key_path, gnutls_strerror(error));
    *ret = STEAL(c);
    return ERR_OK;
}

static enum err_code read_files(const struct tls *t, struct buf *cert, struct buf *key,
                                struct err *e)
{
    buf_init(cert, PEM_BYTES_MAX);
    buf_init(key, PEM_BYTES_MAX);
    enum err_code code = file_read(t->cert_path, cert, e);
    return code ? code : file_read(t->key_path, key, e);
}

enum err_code tls_reload(struct tls *t, struct err *e)
{
    CLEANUP(wipe) struct buf cert = { 0 };
    CLEANUP(wipe) struct buf key = { 0 };
    struct credentials *next;
    enum err_code code = read_files(t, &cert, &key, e);
    if (!code)
        code = make(t, &cert, &key, &next, e);
    if (code)
        return code;
    pthread_mutex_lock(&t->mu);
    next->older = t->current;
    t->current = next;
    pthread_mutex_unlock(&t->mu);
    return ERR_OK;
}

enum err_code tls_new(const char *cert, const char *key, struct tls **ret, struct err *e)
{
    struct tls *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NOMEM, "no memory for TLS");
    pthread_mutex_init(&t->mu, NULL);
    t->cert_path = strdup(cert);
    t->key_path = strdup(key);
    enum err_code code = ERR_OK;
    if (!t->cert_path || !t->key_path)
        code = err_set(e, ERR_NOMEM, "no memory for TLS");
    if (!code)
        code = read_files(t, &t->cert, &t->key, e);
    if (!code)
        code = make(t, &t->cert, &t->key, &t->current, e);
    if (code) {
        tls_free(t);
        return code;
    }
    *ret = t;
    return ERR_OK;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    credentials_free(t->current);
    wipe(&t->cert);
    wipe(&t->key);
    pthread_mutex_destroy(&t->mu);
    free(t->cert_path);
    free(t->key_path);
    free(t);
}

void tls_apply(struct tls *t, struct gnutls_session_int *session)
{
    pthread_mutex_lock(&t->mu);
    struct credentials *c = t->current;
    pthread_mutex_unlock(&t->mu);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, c->gnutls);
}

/* RFC 8446, 5.1: type, version, length. */
enum { RECORD_HEAD = 5, RECORD_ALERT = 21, RECORD_DATA = 23 };
/* "GET / HTTP/1.0", two line ends, and the shortest authentication tag. */
enum { SHORTEST_REQUEST = 18 + 8 };

bool tls_is_goodbye(const uint8_t *records, size_t len)
{
    while (len >= RECORD_HEAD) {
        size_t body = (size_t)records[3] << 8 | records[4];
        bool is_short = records[0] == RECORD_DATA && body < SHORTEST_REQUEST;
        if ((records[0] != RECORD_ALERT && !is_short) || body > len - RECORD_HEAD)
            return false;
        records += RECORD_HEAD + body;
        len -= RECORD_HEAD + body;
    }
    return len == 0;
}

const char *tls_priorities(void)
{
    return "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
}

const char *tls_cert_text(const struct tls *t)
{
    return (const char *)t->cert.data;
}

const char *tls_key_text(const struct tls *t)
{
    return (const char *)t->key.data;
}

/* tls.h -- the certificate that connections are encrypted with, and how it is replaced.
 *
 * A connection keeps the certificate that was in force when it began. Replaced ones are kept until
 * the end, because a connection may still refer to one; a reload is rare and a certificate small.
 * Threads: any; tls_free() alone, last, after every connection. */
#ifndef KENNEL_TLS_H
#define KENNEL_TLS_H

#include "data/base/err.h"

#include <stdint.h>

struct tls;
struct gnutls_session_int;

/* PEM files: the chain, the server's own certificate first, and its private key. ERR_FIELD_RANGE
 * naming the file when they are none or do not belong together, ERR_IO. */
enum err_code tls_new(const char *cert, const char *key, struct tls **ret, struct err *e) MUST_USE;
void tls_free(struct tls *t);
/* Reads both files again. On failure the old certificate stays in force. */
enum err_code tls_reload(struct tls *t, struct err *e) MUST_USE;

/* Before the handshake of a new connection. */
void tls_apply(struct tls *t, struct gnutls_session_int *session);

/* Whether what came from a client is no more than its goodbye: whole records that are alerts, or
 * too short for a request (TLS 1.3 encrypts what kind a record is). len 0: it is. A pure function.
 */
bool tls_is_goodbye(const uint8_t *records, size_t len);

/* Protocol versions and ciphers, for the HTTP server: TLS 1.2 and 1.3. Static. */
const char *tls_priorities(void);
/* What the HTTP server wants at its start, in PEM; valid until tls_free(). */
const char *tls_cert_text(const struct tls *t);
const char *tls_key_text(const struct tls *t);

#endif

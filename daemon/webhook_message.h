/* webhook_message.h -- what a webhook is sent: an event as CloudEvents 1.0 in JSON's structured
 * mode (github.com/cloudevents/spec), signed as Standard Webhooks 1.0.0 says
 * (standardwebhooks.com).
 *
 * Threads: any; nothing is shared. */
#ifndef KENNEL_WEBHOOK_MESSAGE_H
#define KENNEL_WEBHOOK_MESSAGE_H

#include "data/base/buf.h"

#include <stdint.h>

#define WEBHOOK_CONTENT_TYPE "application/cloudevents+json"

enum {
    WEBHOOK_SECRET_MIN = 24, /* bytes */
    WEBHOOK_SECRET_MAX = 64,
    WEBHOOK_SECRET_TEXT = 96,   /* "whsec_", base64, zero */
    WEBHOOK_SIGNATURE_TEXT = 48 /* "v1,", base64 of 32 bytes, zero */
};

struct webhook_secret {
    uint8_t bytes[WEBHOOK_SECRET_MAX];
    size_t len;
};

/* 32 random bytes. */
enum err_code webhook_secret_new(struct webhook_secret *ret, struct err *e) MUST_USE;
/* "whsec_" and base64. ERR_FIELD_RANGE for another form or length; the text is not repeated. */
enum err_code webhook_secret_parse(const char *text, struct webhook_secret *ret, struct err *e)
    MUST_USE;
enum err_code webhook_secret_text(const struct webhook_secret *s, char ret[WEBHOOK_SECRET_TEXT],
                                  struct err *e) MUST_USE;

/* The header webhook-signature of "ID.SECONDS.BODY". */
enum err_code webhook_sign(const struct webhook_secret *s, const char *id, int64_t seconds,
                           const char *body, char ret[WEBHOOK_SIGNATURE_TEXT], struct err *e)
    MUST_USE;

/* The body; data is JSON text. The caller frees *ret. */
enum err_code webhook_body(const char *id, const char *type, const char *subject, int64_t at_ms,
                           const char *data, char **ret, struct err *e) MUST_USE;

#endif

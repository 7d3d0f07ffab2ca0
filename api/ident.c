#include "api/ident.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdint.h>
#include <string.h>

enum err_code ident_random(char ret[IDENT_TEXT + 1], struct err *e)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[IDENT_TEXT / 2];
    int error = gnutls_rnd(GNUTLS_RND_RANDOM, bytes, sizeof bytes);
    if (error < 0)
        return err_set(e, ERR_INTERNAL, "no random bytes: %s", gnutls_strerror(error));
    for (size_t i = 0; i < sizeof bytes; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[IDENT_TEXT] = 0;
    return ERR_OK;
}

bool ident_is_sane(const char *text)
{
    static const char sane[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-_.:@+/=";
    size_t len = strlen(text);
    return len >= 1 && len <= IDENT_MAX && strspn(text, sane) == len;
}

#include "daemon/key_file.h"

#include "daemon/keys.h"
#include "data/base/cleanup.h"
#include "data/base/file.h"
#include "data/base/name.h"

#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 1 << 20, SECRET_MIN = 32, SECRET_MAX = 128 };

static enum err_code refuse(const char *path, int line, const char *rule, struct err *e)
{
    return err_set(e, ERR_FIELD_RANGE, "%s, line %d: %s", path, line, rule);
}

static bool read_rate(const char *text, double *ret)
{
    char *end;
    double rate = strtod(text, &end);
    if (*end || end == text || !(rate >= KEY_RATE_MIN && rate <= KEY_RATE_MAX))
        return false;
    *ret = rate;
    return true;
}

static enum err_code add_line(const char *path, int number, char *line, struct key_ring *ret,
                              struct err *e)
{
    static const char blanks[] = " \t\r";
    static const char sane[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-_.+/=";
    char *rest = NULL;
    const char *name = strtok_r(line, blanks, &rest);
    if (!name || name[0] == '#')
        return ERR_OK;
    const char *role = strtok_r(NULL, blanks, &rest), *secret = strtok_r(NULL, blanks, &rest);
    const char *rate = strtok_r(NULL, blanks, &rest);
    struct key key = { 0 };
    if (!secret || strtok_r(NULL, blanks, &rest))
        return refuse(path, number, "expected NAME ROLE KEY [RATE]", e);
    /* What stands in the name's place may be a key: it is not repeated. */
    if (name_check(name, "key name", NULL) != ERR_OK)
        return refuse(path, number, "the name must be 1 to 64 of a-z A-Z 0-9 . _ -", e);
    if (!role_parse(role, &key.role))
        return refuse(path, number, "the role must be score, train, promote or admin", e);
    size_t len = strlen(secret);
    if (len < SECRET_MIN || len > SECRET_MAX || strspn(secret, sane) != len)
        return refuse(path, number, "the key must be 32 to 128 letters, digits and -_.+/=", e);
    if (rate && !read_rate(rate, &key.rate))
        return refuse(path, number, "the rate must be a number from 0.001 to 1000000", e);
    memcpy(key.name, name, strlen(name) + 1);
    enum err_code code = digest_of(secret, len, &key.digest, e);
    return code ? code : key_ring_add(ret, &key, e);
}

static void wipe(struct buf *b)
{
    if (b->data)
        gnutls_memset(b->data, 0, b->len);
    buf_fini(b);
}

enum err_code key_file_read(const char *path, struct key_ring *ret, struct err *e)
{
    CLEANUP(wipe) struct buf text;
    buf_init(&text, FILE_BYTES_MAX);
    enum err_code code = file_read(path, &text, e);
    int number = 0;
    for (char *line = (char *)text.data, *next; line && !code; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        code = add_line(path, ++number, line, ret, e);
    }
    return code;
}

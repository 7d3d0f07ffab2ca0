#include "api/score_body.h"

#include "api/contract.h"
#include "api/media.h"
#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <string.h>

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Outside strings a line break means the same as a space; inside, only base64 is touched, where
 * both mean nothing. */
static void blank_lines(struct buf *b)
{
    for (size_t i = 0; i < b->len; i++)
        if (is_blank(b->data[i]))
            b->data[i] = ' ';
}

enum err_code score_body_base64(const char *text, const char *what, struct buf *ret, struct err *e)
{
    size_t len = strlen(text);
    if (strspn(text, " ") == len)
        return err_set(e, ERR_BODY_MISSING, "%s is empty: a picture in base64 is expected", what);
    gnutls_datum_t in = { .data = (unsigned char *)text, .size = (unsigned)len };
    gnutls_datum_t out = { 0 };
    int error = gnutls_base64_decode2(&in, &out);
    if (error == GNUTLS_E_MEMORY_ERROR)
        return err_set(e, ERR_NOMEM, "no memory for a picture");
    if (error < 0)
        return err_set(e, ERR_BASE64_SYNTAX, "%s is not base64", what);
    enum err_code code = buf_append(ret, out.data, out.size, e);
    gnutls_free(out.data);
    return code;
}

static enum err_code from_json(struct request *r, struct err *e)
{
    blank_lines(&r->body);
    CLEANUP(json_decref_p) json_t *body = NULL;
    enum err_code code = json_read((const char *)r->body.data, r->body.len, &body, e);
    if (code)
        return code;
    code = contract_check_body(r->server->contract, r->match.route, body, e);
    if (code)
        return code;
    const char *data = NULL;
    const struct json_field fields[] = {
        { .name = "data", .kind = JSON_KIND_STRING, .required = true, .into = &data },
    };
    code = json_take(body, "the request", fields, 1, e);
    return code ? code : score_body_base64(data, "data", &r->picture, e);
}

static bool looks_like_json(const struct buf *b)
{
    size_t i = 0;
    while (i < b->len && is_blank(b->data[i]))
        i++;
    return i < b->len && b->data[i] == '{';
}

enum err_code score_body_picture(struct request *r, const struct buf **ret, struct err *e)
{
    if (!r->body.len)
        return err_set(e, ERR_BODY_MISSING, "a picture is expected");
    bool image = strncmp(r->content_type, "image/", 6) == 0;
    bool json = r->match.route->body == BODY_SCORE_JSON || media_is_json(r->content_type) ||
                (!image && looks_like_json(&r->body));
    const struct buf *picture = &r->body;
    if (json && r->picture.len) { /* decoded before the request went to a task thread */
        picture = &r->picture;
    } else if (json) {
        enum err_code code = from_json(r, e);
        if (code)
            return code;
        picture = &r->picture;
    }
    if (picture->len > r->server->limits.max_picture_bytes)
        return err_set(e, ERR_PICTURE_BYTES,
                       "a picture of %zu bytes is more than the limit of %" PRIu64, picture->len,
                       r->server->limits.max_picture_bytes);
    *ret = picture;
    return ERR_OK;
}

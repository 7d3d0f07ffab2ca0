#include "api/content_coding.h"

#include "data/base/cleanup.h"

#include <string.h>
#include <strings.h>
#include <zlib.h>

enum { STEP = 64 << 10, LEVEL = 1 /* the reply is waited for */ };

static enum content_coding find(const char *name, size_t len)
{
    for (enum content_coding c = CODING_GZIP; c <= CODING_DEFLATE; c++)
        if (strlen(content_coding_name(c)) == len &&
            strncasecmp(content_coding_name(c), name, len) == 0)
            return c;
    return CODING_NONE;
}

enum err_code content_coding_read(const char *header, enum content_coding *ret, struct err *e)
{
    enum content_coding c = find(header, strlen(header));
    if (c == CODING_NONE && header[0] && strcasecmp(header, "identity") != 0)
        return err_set(e, ERR_MEDIA_TYPE,
                       "content coding \"%.40s\" is not taken; gzip and deflate are", header);
    *ret = c;
    return ERR_OK;
}

/* "gzip;q=0" and "gzip; q=0.000" refuse it. */
static bool is_refused(const char *parameters, size_t len)
{
    const char *q = memchr(parameters, '=', len);
    return q && strspn(q + 1, "0.") == strcspn(q + 1, " \t,") && q[1] == '0';
}

enum content_coding content_coding_accepted(const char *header)
{
    while (*header) {
        header += strspn(header, ", \t");
        size_t len = strcspn(header, ","), name = strcspn(header, ",; \t");
        enum content_coding c = find(header, name);
        if (c != CODING_NONE && !is_refused(header + name, len - name))
            return c;
        header += len;
    }
    return CODING_NONE;
}

const char *content_coding_name(enum content_coding coding)
{
    return coding == CODING_GZIP ? "gzip" : coding == CODING_DEFLATE ? "deflate" : "identity";
}

/* zlib's choice of format: 15 bits of window, and 16 for gzip. */
static int window(enum content_coding coding)
{
    return coding == CODING_GZIP ? 15 + 16 : 15;
}

static void end_inflate(z_stream *z)
{
    inflateEnd(z);
}

static void end_deflate(z_stream *z)
{
    deflateEnd(z);
}

/* Room for the next piece: what is left below the limit, and one byte that tells of more. */
static enum err_code next_room(struct buf *out, z_stream *z, struct err *e)
{
    size_t left = out->max - out->len;
    if (!left)
        return err_set(e, ERR_BODY_BOMB, "the body unpacks to more than the limit of %zu bytes",
                       out->max);
    size_t step = left < STEP ? left : STEP;
    enum err_code r = buf_reserve(out, step, e);
    if (r)
        return r;
    z->next_out = out->data + out->len;
    z->avail_out = (unsigned)step;
    return ERR_OK;
}

/* What was written since next_room(). */
static void count_room(struct buf *out, const z_stream *z)
{
    out->len = (size_t)(z->next_out - out->data);
    buf_terminate(out);
}

enum err_code content_unpack(enum content_coding coding, const void *packed, size_t len,
                             struct buf *ret, struct err *e)
{
    CLEANUP(end_inflate) z_stream z = { .next_in = (void *)packed, .avail_in = (unsigned)len };
    if (len > UINT32_MAX)
        return err_set(e, ERR_BODY_BOMB, "a packed body of %zu bytes is too large", len);
    if (inflateInit2(&z, window(coding)) != Z_OK)
        return err_set(e, ERR_NOMEM, "no memory to unpack a body");
    /* The limit itself must be told from more than the limit. */
    size_t limit = ret->max;
    ret->max = limit < SIZE_MAX ? limit + 1 : limit;
    int result = Z_OK;
    enum err_code r = ERR_OK;
    while (!r && result == Z_OK) {
        r = next_room(ret, &z, e);
        if (r)
            break;
        result = inflate(&z, Z_NO_FLUSH);
        count_room(ret, &z);
    }
    ret->max = limit;
    if (r == ERR_BODY_BOMB || (!r && ret->len > limit))
        return err_set(e, ERR_BODY_BOMB, "the body unpacks to more than the limit of %zu bytes",
                       limit);
    if (r)
        return r;
    if (result == Z_MEM_ERROR)
        return err_set(e, ERR_NOMEM, "no memory to unpack a body");
    if (result != Z_STREAM_END)
        return err_set(e, ERR_BODY_CODING, "the body is not whole %s: %s",
                       content_coding_name(coding), z.msg ? z.msg : "it ends too early");
    if (z.avail_in)
        return err_set(e, ERR_BODY_CODING, "%u bytes follow the body's %s", z.avail_in,
                       content_coding_name(coding));
    return ERR_OK;
}

enum err_code content_pack(enum content_coding coding, const void *bytes, size_t len,
                           struct buf *ret, struct err *e)
{
    CLEANUP(end_deflate) z_stream z = { .next_in = (void *)bytes, .avail_in = (unsigned)len };
    if (len > UINT32_MAX / 2)
        return err_set(e, ERR_BODY_TOO_LARGE, "a reply of %zu bytes is not packed", len);
    if (deflateInit2(&z, LEVEL, Z_DEFLATED, window(coding), 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return err_set(e, ERR_NOMEM, "no memory to pack a reply");
    size_t most = deflateBound(&z, len);
    enum err_code r = buf_reserve(ret, most, e);
    if (r)
        return r;
    z.next_out = ret->data + ret->len;
    z.avail_out = (unsigned)most;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        return err_set(e, ERR_INTERNAL, "a reply could not be packed");
    count_room(ret, &z);
    return ERR_OK;
}

#include "data/gzip_source.h"

#include <inttypes.h>
#include <string.h>

void gzip_source_init(struct gzip_source *g, archive_read_fn read, void *context)
{
    g->read = read;
    g->context = context;
    g->taken = 0;
    g->state = GZIP_UNDECIDED;
    g->ended = false;
    g->z = (z_stream){ .next_in = g->input };
}

void gzip_source_fini(struct gzip_source *g)
{
    if (gzip_source_is_gzip(g))
        inflateEnd(&g->z);
}

bool gzip_source_is_gzip(const struct gzip_source *g)
{
    return g->state >= GZIP_MEMBER;
}

static ssize_t take(struct gzip_source *g, void *bytes, size_t len, struct err *e)
{
    ssize_t n = g->ended ? 0 : g->read(g->context, bytes, len, e);
    g->ended |= n == 0;
    g->taken += n > 0 ? (uint64_t)n : 0;
    return n;
}

/* Until `need` bytes of input are there, or the end. */
static enum err_code fill(struct gzip_source *g, unsigned need, struct err *e)
{
    if (g->z.avail_in >= need)
        return ERR_OK;
    memmove(g->input, g->z.next_in, g->z.avail_in);
    g->z.next_in = g->input;
    while (g->z.avail_in < need && !g->ended) {
        struct err told = { 0 };
        ssize_t n = take(g, g->input + g->z.avail_in, sizeof g->input - g->z.avail_in, &told);
        if (n < 0)
            return err_set(e, told.code ? told.code : ERR_INTERNAL, "%s", told.message);
        g->z.avail_in += (unsigned)n;
    }
    return ERR_OK;
}

/* At the beginning and after each member. */
static enum err_code decide(struct gzip_source *g, struct err *e)
{
    enum err_code r = fill(g, 2, e);
    if (r)
        return r;
    bool is_gzip = g->z.avail_in >= 2 && g->z.next_in[0] == 0x1f && g->z.next_in[1] == 0x8b;
    if (!is_gzip) {
        g->state = g->state == GZIP_UNDECIDED ? GZIP_NO : GZIP_TAIL;
        return ERR_OK;
    }
    int status = g->state == GZIP_BETWEEN ? inflateReset(&g->z) : inflateInit2(&g->z, 15 + 16);
    if (status != Z_OK)
        return err_set(e, ERR_NOMEM, "no memory to unpack gzip");
    g->state = GZIP_MEMBER;
    return ERR_OK;
}

static enum err_code inflate_some(struct gzip_source *g, struct err *e)
{
    enum err_code r = fill(g, 1, e);
    if (r)
        return r;
    if (g->z.avail_in == 0)
        return err_set(e, ERR_ARCHIVE_TRUNCATED,
                       "the archive is cut off after %" PRIu64 " bytes: the end of the gzip stream "
                       "is missing",
                       g->taken);
    int status = inflate(&g->z, Z_NO_FLUSH);
    if (status == Z_STREAM_END)
        g->state = GZIP_BETWEEN;
    else if (status == Z_MEM_ERROR)
        return err_set(e, ERR_NOMEM, "no memory to unpack gzip");
    else if (status != Z_OK && status != Z_BUF_ERROR)
        return err_set(e, ERR_ARCHIVE_CORRUPT, "the archive is damaged: gzip: %s",
                       g->z.msg ? g->z.msg : "not a stream of it");
    return ERR_OK;
}

ssize_t gzip_source_read(void *context, void *bytes, size_t len, struct err *e)
{
    struct gzip_source *g = context;
    g->z.next_out = bytes;
    g->z.avail_out = (unsigned)(len < GZIP_INPUT_BYTES ? len : GZIP_INPUT_BYTES);
    unsigned room = g->z.avail_out;
    while (g->z.avail_out == room) {
        enum err_code r = ERR_OK;
        switch (g->state) {
        case GZIP_UNDECIDED:
        case GZIP_BETWEEN:
            r = decide(g, e);
            break;
        case GZIP_MEMBER:
            r = inflate_some(g, e);
            break;
        case GZIP_TAIL:
            r = fill(g, 1, e);
            if (!r && g->z.avail_in == 0)
                return 0;
            g->z.avail_in = 0;
            break;
        case GZIP_NO:
            if (g->z.avail_in == 0)
                return take(g, bytes, len, e);
            room = room < g->z.avail_in ? room : g->z.avail_in;
            memcpy(bytes, g->z.next_in, room);
            g->z.next_in += room;
            g->z.avail_in -= room;
            return (ssize_t)room;
        }
        if (r)
            return -1;
    }
    return (ssize_t)(room - g->z.avail_out);
}

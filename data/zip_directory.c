#include "data/zip_directory.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum { END_HEAD = 22 }; /* of the end record, the last one of a zip */

static uint32_t get_u16(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static bool is_signature(const struct zip_directory *d, uint8_t third, uint8_t fourth)
{
    return d->head[0] == 'P' && d->head[1] == 'K' && d->head[2] == third && d->head[3] == fourth;
}

void zip_directory_init(struct zip_directory *d)
{
    *d = (struct zip_directory){ .need = 4 };
}

/* The upper half of the external attributes is st_mode when the maker was Unix or macOS. */
static enum err_code check_mode(const struct zip_directory *d, uint32_t name_len, struct err *e)
{
    uint32_t maker = d->head[5], mode = get_u16(d->head + 40);
    const char *name = (const char *)d->head + ZIP_RECORD_HEAD;
    if (maker != 3 && maker != 19)
        return ERR_OK;
    if (S_ISLNK(mode))
        return err_set(e, ERR_ARCHIVE_LINK, "%.*s: symbolic links are not allowed", (int)name_len,
                       name);
    if (S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode) || S_ISSOCK(mode))
        return err_set(e, ERR_ARCHIVE_DEVICE, "%.*s: devices, fifos and sockets are not allowed",
                       (int)name_len, name);
    return ERR_OK;
}

/* need bytes of the record are there: what now? */
static enum err_code take_head(struct zip_directory *d, struct err *e)
{
    if (d->need == 4) {
        bool is_known = true;
        if (is_signature(d, 1, 2)) {
            d->need = ZIP_RECORD_HEAD;
        } else if (is_signature(d, 5, 6)) {
            d->need = END_HEAD;
        } else if (is_signature(d, 6, 6)) {
            d->need = 12; /* zip64 end record: its size follows the signature */
        } else if (is_signature(d, 6, 7)) {
            d->skip = 16; /* zip64 locator: 20 bytes */
            d->have = 0;
        } else {
            is_known = false;
        }
        if (!is_known && d->started)
            return err_set(e, ERR_ARCHIVE_CORRUPT,
                           "the zip's directory is damaged at record %" PRIu64, d->members + 1);
        d->started |= is_known;
        if (!is_known) {
            d->have = 3;
            memmove(d->head, d->head + 1, d->have);
        }
        return ERR_OK;
    }
    if (is_signature(d, 5, 6)) {
        d->ended = true;
        return ERR_OK;
    }
    if (is_signature(d, 6, 6)) {
        uint32_t low = get_u16(d->head + 4), rest = 0;
        for (int i = 6; i < 12; i++)
            rest |= d->head[i];
        if (rest)
            return err_set(e, ERR_ARCHIVE_CORRUPT, "the zip's end record is damaged");
        d->skip = low;
        d->have = 0;
        d->need = 4;
        return ERR_OK;
    }
    uint32_t name_len = get_u16(d->head + 28);
    uint32_t kept = name_len < ZIP_NAME_KEPT ? name_len : ZIP_NAME_KEPT;
    if (d->need < ZIP_RECORD_HEAD + kept) {
        d->need = ZIP_RECORD_HEAD + kept;
        return ERR_OK;
    }
    d->members++;
    d->skip = name_len - kept + get_u16(d->head + 30) + get_u16(d->head + 32);
    d->have = 0;
    d->need = 4;
    return check_mode(d, kept, e);
}

enum err_code zip_directory_add(struct zip_directory *d, const uint8_t *bytes, size_t len,
                                struct err *e)
{
    while (len && !d->ended) {
        size_t n;
        if (d->skip) {
            n = d->skip < len ? d->skip : len;
            d->skip -= (uint32_t)n;
        } else {
            n = d->need - d->have < len ? d->need - d->have : len;
            memcpy(d->head + d->have, bytes, n);
            d->have += (uint32_t)n;
            while (!d->skip && d->have == d->need && !d->ended) {
                enum err_code r = take_head(d, e);
                if (r)
                    return r;
            }
        }
        bytes += n;
        len -= n;
    }
    return ERR_OK;
}

enum err_code zip_directory_end(const struct zip_directory *d, uint64_t members, struct err *e)
{
    if (!d->ended)
        return err_set(e, ERR_ARCHIVE_TRUNCATED, "the zip is cut off in its directory");
    if (d->members != members)
        return err_set(e, ERR_ARCHIVE_CORRUPT,
                       "the zip's directory lists %" PRIu64 " members, but it has %" PRIu64,
                       d->members, members);
    return ERR_OK;
}

#include "data/png_chunks.h"

#include "data/exif.h"

#include <ctype.h>
#include <string.h>

#include <zlib.h>

enum { SIGNATURE = 8, HEAD = 8, CRC = 4, IHDR_BYTES = 13, COLOUR_PALETTE = 3 };

struct chunk {
    const uint8_t *name; /* 4 bytes */
    const uint8_t *data;
    size_t len;
};

/* What of the chunks before IDAT is handed on. */
struct header {
    uint8_t ihdr[IHDR_BYTES];
    struct chunk palette; /* zeroed: none */
};

static void write32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t read32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is(const struct chunk *k, const char *name)
{
    return memcmp(k->name, name, 4) == 0;
}

/* Length of the text up to a zero byte, or len when there is none. */
static size_t until_zero(const uint8_t *p, size_t len)
{
    const uint8_t *end = len ? memchr(p, 0, len) : NULL;
    return end ? (size_t)(end - p) : len;
}

/* How much a zlib stream unpacks to, up to one past the cap; what is broken counts as
 * nothing, for Pillow ignores it. */
static size_t unpacked(const uint8_t *p, size_t len)
{
    z_stream z = { 0 };
    if (inflateInit(&z) != Z_OK)
        return 0;
    z.next_in = (z_const Bytef *)(uintptr_t)p;
    z.avail_in = (uInt)len;
    size_t total = 0;
    int state = Z_OK;
    while (state == Z_OK && total <= PNG_CHUNK_UNPACKED_MAX) {
        uint8_t sink[8192];
        z.next_out = sink;
        z.avail_out = sizeof sink;
        state = inflate(&z, Z_NO_FLUSH);
        total += sizeof sink - z.avail_out;
    }
    inflateEnd(&z);
    return state == Z_OK || state == Z_STREAM_END || state == Z_BUF_ERROR ? total : 0;
}

/* The zlib stream within a zTXt, iTXt or iCCP chunk; *ret_len 0 for none. False: packed in a way
 * that is not known. */
static bool packed_part(const struct chunk *k, const uint8_t **ret, size_t *ret_len)
{
    *ret_len = 0;
    size_t at = until_zero(k->data, k->len) + 1; /* behind the keyword */
    if (is(k, "iTXt")) {
        if (at + 2 > k->len || k->data[at] == 0 || k->data[at + 1] != 0)
            return true;
        at += 2;
        for (int i = 0; i < 2 && at < k->len; i++) /* language, translated keyword */
            at += until_zero(k->data + at, k->len - at) + 1;
    } else {
        if (at < k->len && k->data[at] != 0)
            return false;
        at += 1;
    }
    if (at < k->len) {
        *ret = k->data + at;
        *ret_len = k->len - at;
    }
    return true;
}

/* What an ancillary chunk says and costs. text is the running total. */
static enum err_code look_into(struct png_chunks *c, const struct chunk *k, size_t *text,
                               struct err *e)
{
    size_t size = 0;
    if (is(k, "eXIf")) {
        c->orientation = exif_orientation(k->data, k->len);
    } else if (is(k, "tEXt")) {
        size = k->len;
    } else if (is(k, "zTXt") || is(k, "iTXt") || is(k, "iCCP")) {
        const uint8_t *packed = NULL;
        size_t len;
        if (!packed_part(k, &packed, &len))
            return err_set(e, ERR_PICTURE_CORRUPT, "PNG: unknown compression of chunk %.4s",
                           (const char *)k->name);
        size = len ? unpacked(packed, len) : k->len;
        if (len && size > PNG_CHUNK_UNPACKED_MAX)
            return err_set(e, ERR_PICTURE_BOMB, "PNG: a %.4s chunk unpacks to over %d bytes",
                           (const char *)k->name, PNG_CHUNK_UNPACKED_MAX);
        if (is(k, "iCCP"))
            size = 0;
    }
    *text += size;
    if (*text > PNG_TEXT_MAX)
        return err_set(e, ERR_PICTURE_BOMB, "PNG: texts of over %d bytes", PNG_TEXT_MAX);
    return ERR_OK;
}

static bool name_valid(const uint8_t *name)
{
    for (int i = 0; i < 4; i++)
        if (!isalnum(name[i]) && name[i] != '_')
            return false;
    return true;
}

/* How much of a chunk is there. */
enum chunk_end {
    CHUNK_NONE,   /* not even its name */
    CHUNK_CUT,    /* not all of its data */
    CHUNK_NO_CRC, /* its data, not its checksum */
    CHUNK_WHOLE,
};

/* The chunk at *at, which is moved behind it where it is whole. */
static enum chunk_end next_chunk(const struct png_chunks *c, size_t *at, struct chunk *ret)
{
    size_t rest = c->len - *at;
    if (rest < HEAD)
        return CHUNK_NONE;
    *ret = (struct chunk){ c->bytes + *at + 4, c->bytes + *at + HEAD, read32(c->bytes + *at) };
    rest -= HEAD;
    if (rest < ret->len)
        return CHUNK_CUT;
    if (rest - ret->len < CRC)
        return CHUNK_NO_CRC;
    *at += HEAD + ret->len + CRC;
    return CHUNK_WHOLE;
}

/* Up to the first IDAT everything must be right. */
static enum err_code walk_header(struct png_chunks *c, struct header *h, size_t *at, size_t *text,
                                 struct err *e)
{
    for (bool first = true;; first = false) {
        struct chunk k;
        size_t begin = *at;
        enum chunk_end end = next_chunk(c, at, &k);
        if (end == CHUNK_NONE)
            return err_set(e, ERR_PICTURE_TRUNCATED, "PNG: the file ends within its header");
        if (!name_valid(k.name))
            return err_set(e, ERR_PICTURE_CORRUPT, "PNG: broken chunk name at byte %zu", begin + 4);
        if (first != is(&k, "IHDR"))
            return err_set(e, ERR_PICTURE_CORRUPT, "PNG: the header chunk is not the first");
        if (is(&k, "IDAT")) {
            c->image = begin;
            return ERR_OK;
        }
        if (end != CHUNK_WHOLE)
            return err_set(e, ERR_PICTURE_TRUNCATED, "PNG: the file ends within its header");
        if (crc32(crc32(0, k.name, 4), k.data, (uInt)k.len) != read32(k.data + k.len))
            return err_set(e, ERR_PICTURE_CORRUPT, "PNG: wrong checksum of chunk %.4s",
                           (const char *)k.name);
        if (is(&k, "IEND"))
            return err_set(e, ERR_PICTURE_TRUNCATED, "PNG: no picture data");
        if (first && k.len < IHDR_BYTES)
            return err_set(e, ERR_PICTURE_CORRUPT, "PNG: a header chunk of %zu bytes", k.len);
        if (first)
            memcpy(h->ihdr, k.data, IHDR_BYTES);
        if (is(&k, "PLTE"))
            h->palette = k;
        enum err_code code = look_into(c, &k, text, e);
        if (code != ERR_OK)
            return code;
    }
}

/* Signature, IHDR and, for a palette picture, PLTE with as many colours as pixels can ask for:
 * the file's, then what Pillow has for the rest. Checksums are not looked at. */
static void make_start(struct png_chunks *c, const struct header *h)
{
    static const uint8_t signature[SIGNATURE] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
    uint8_t *p = c->start;
    memcpy(p, signature, SIGNATURE);
    write32(p + SIGNATURE, IHDR_BYTES);
    memcpy(p + SIGNATURE + 4, "IHDR", 4);
    uint8_t *ihdr = p + SIGNATURE + HEAD;
    memcpy(ihdr, h->ihdr, IHDR_BYTES);
    ihdr[10] = 0;             /* compression: Pillow takes any number for deflate, */
    ihdr[12] = ihdr[12] != 0; /* and any but 0 for Adam7 */
    p += PNG_CHUNKS_HEADER;

    if (ihdr[9] == COLOUR_PALETTE && ihdr[8] <= 8) {
        size_t colours = (size_t)1 << ihdr[8], given = h->palette.len / 3;
        write32(p, (uint32_t)(colours * 3));
        memcpy(p + 4, "PLTE", 4);
        for (size_t i = 0; i < colours; i++) {
            uint8_t *colour = p + HEAD + 3 * i;
            if (i < given)
                memcpy(colour, h->palette.data + 3 * i, 3);
            else
                memset(colour, (int)i, 3);
        }
        p += HEAD + colours * 3 + CRC;
    }
    c->part = c->start;
    c->part_end = p;
}

enum err_code png_chunks_init(struct png_chunks *c, const uint8_t *bytes, size_t len, struct err *e)
{
    *c = (struct png_chunks){ .bytes = bytes, .len = len, .orientation = EXIF_UPRIGHT };
    struct header h = { 0 };
    size_t at = SIGNATURE, text = 0;
    enum err_code code = walk_header(c, &h, &at, &text, e);
    if (code != ERR_OK)
        return code;
    c->width = read32(h.ihdr);
    c->height = read32(h.ihdr + 4);
    make_start(c, &h);

    /* Behind the pixels a file may simply stop between two chunks or be damaged there. */
    struct chunk k;
    enum chunk_end end = CHUNK_WHOLE;
    for (bool pixels = true; end == CHUNK_WHOLE;) {
        end = next_chunk(c, &at, &k);
        if (end == CHUNK_NONE || !name_valid(k.name) || is(&k, "IEND"))
            break;
        pixels = pixels && is(&k, "IDAT");
        if (pixels)
            continue;
        if (end == CHUNK_CUT)
            return err_set(e, ERR_PICTURE_TRUNCATED, "PNG: the file ends within chunk %.4s",
                           (const char *)k.name);
        code = look_into(c, &k, &text, e);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

/* The IDAT at c->image becomes the next part: its beginning first, its data then. One that
 * the file's end cuts is given as far as it goes, for the rows may all be there. */
static bool open_image_part(struct png_chunks *c)
{
    if (c->kind == PNG_PART_HEAD) {
        c->part = c->bytes + c->image + HEAD;
        c->part_end = c->part + c->data_len;
        c->image += HEAD + c->data_len;
        c->image += c->len - c->image < CRC ? c->len - c->image : CRC;
        c->kind = PNG_PART_DATA;
        return true;
    }
    if (c->len - c->image < HEAD || memcmp(c->bytes + c->image + 4, "IDAT", 4) != 0)
        return false;
    size_t rest = c->len - c->image - HEAD, len = read32(c->bytes + c->image);
    c->data_len = len < rest ? len : rest;
    write32(c->head + CRC, (uint32_t)c->data_len);
    memcpy(c->head + CRC + 4, "IDAT", 4);
    c->part = c->kind == PNG_PART_START ? c->head + CRC : c->head;
    c->part_end = c->head + sizeof c->head;
    c->kind = PNG_PART_HEAD;
    return true;
}

bool png_chunks_read(struct png_chunks *c, uint8_t *ret, size_t len)
{
    while (len > 0) {
        if (c->part == c->part_end && !open_image_part(c))
            return false;
        size_t left = (size_t)(c->part_end - c->part);
        size_t n = len < left ? len : left;
        memcpy(ret, c->part, n);
        c->part += n;
        ret += n;
        len -= n;
    }
    return true;
}

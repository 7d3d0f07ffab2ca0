/* png_chunks.h -- the chunks of a PNG file: checked as Pillow checks them, and the few that
 * matter handed on.
 *
 * libpng is given a stream made here: signature, IHDR, a whole palette where there is one,
 * and the first run of IDAT. So no text, profile or unknown chunk can cost it anything, and
 * files that Pillow takes and libpng does not (no or too short a palette, a wrong palette of
 * a grey picture) are taken. What texts and profiles may unpack to is capped here, with
 * Pillow's limits. Checksums count up to the first IDAT, as in Pillow.
 * Threads: one owner. */
#ifndef KENNEL_PNG_CHUNKS_H
#define KENNEL_PNG_CHUNKS_H

#include "data/base/err.h"

#include <stdint.h>

enum {
    PNG_CHUNK_UNPACKED_MAX = 1 << 20, /* bytes of one text or profile */
    PNG_TEXT_MAX = 64 << 20,          /* bytes of all texts */
};

enum {
    PNG_CHUNKS_HEADER = 8 + 8 + 13 + 4,   /* signature and IHDR */
    PNG_CHUNKS_PALETTE = 8 + 256 * 3 + 4, /* PLTE */
};

struct png_chunks {
    const uint8_t *bytes; /* borrowed: the whole file */
    size_t len;
    uint32_t width, height;
    int orientation; /* 1..8 */
    size_t image;    /* where the next IDAT of the run begins */

    /* The stream: parts that end at part_end; the next one is made when it is used up. */
    const uint8_t *part, *part_end;
    enum png_part { PNG_PART_START, PNG_PART_HEAD, PNG_PART_DATA } kind;
    uint8_t start[PNG_CHUNKS_HEADER + PNG_CHUNKS_PALETTE];
    uint8_t head[4 + 8]; /* a chunk's end and the next one's beginning */
    size_t data_len;     /* of the IDAT whose head was given */
};

/* Walks the file; bytes must outlive c, and c must stay where it is. ERR_PICTURE_TRUNCATED,
 * ERR_PICTURE_CORRUPT (checksum, chunk name, header), ERR_PICTURE_BOMB. */
enum err_code png_chunks_init(struct png_chunks *c, const uint8_t *bytes, size_t len, struct err *e)
    MUST_USE;

/* The next len bytes of the stream; false when it ends before. */
bool png_chunks_read(struct png_chunks *c, uint8_t *ret, size_t len);

#endif

#include "data/exif.h"

#include <stdbool.h>
#include <string.h>

enum {
    TIFF_HEADER = 8,
    TAG_BYTES = 12,
    TAG_ORIENTATION = 0x0112,
    /* TIFF types that hold a whole number in the entry itself */
    TYPE_SHORT = 3,
    TYPE_LONG = 4,
    TYPE_SSHORT = 8,
    TYPE_SLONG = 9,
};

static uint32_t read16(const uint8_t *p, bool big)
{
    return big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static uint32_t read32(const uint8_t *p, bool big)
{
    return big ? read16(p, big) << 16 | read16(p + 2, big)
               : read16(p + 2, big) << 16 | read16(p, big);
}

int exif_orientation(const uint8_t *tiff, size_t len)
{
    if (len < TIFF_HEADER)
        return EXIF_UPRIGHT;
    bool big = memcmp(tiff, "MM", 2) == 0;
    if (!big && memcmp(tiff, "II", 2) != 0)
        return EXIF_UPRIGHT;
    if (read16(tiff + 2, big) != 42)
        return EXIF_UPRIGHT;
    size_t at = read32(tiff + 4, big);
    if (at > len || len - at < 2)
        return EXIF_UPRIGHT;

    size_t count = read16(tiff + at, big);
    at += 2;
    uint32_t orientation = EXIF_UPRIGHT;
    for (size_t i = 0; i < count && len - at >= TAG_BYTES; i++, at += TAG_BYTES) {
        const uint8_t *tag = tiff + at;
        if (read16(tag, big) != TAG_ORIENTATION || read32(tag + 4, big) != 1)
            continue;
        /* Pillow keeps the last one of several. */
        uint32_t type = read16(tag + 2, big);
        if (type == TYPE_SHORT || type == TYPE_SSHORT)
            orientation = read16(tag + 8, big);
        else if (type == TYPE_LONG || type == TYPE_SLONG)
            orientation = read32(tag + 8, big);
    }
    return orientation >= 1 && orientation <= 8 ? (int)orientation : EXIF_UPRIGHT;
}

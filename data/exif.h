/* exif.h -- which way up a picture was taken.
 *
 * Only the orientation tag (0x0112) of the first image file directory is read. Anything
 * broken means 1: a bad EXIF block never costs a picture.
 * Specification: JEITA CP-3451 (Exif), TIFF 6.0. Threads: any; no state. */
#ifndef KENNEL_EXIF_H
#define KENNEL_EXIF_H

#include <stddef.h>
#include <stdint.h>

enum { EXIF_UPRIGHT = 1 };

/* tiff is the block behind "Exif\0\0" (JPEG APP1) or the whole PNG eXIf chunk.
 * Returns 1..8. */
int exif_orientation(const uint8_t *tiff, size_t len);

#endif

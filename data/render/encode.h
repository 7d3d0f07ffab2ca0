/* encode.h -- a canvas as a JPEG file. Threads: any; no state. */
#ifndef KENNEL_RENDER_ENCODE_H
#define KENNEL_RENDER_ENCODE_H

#include "data/base/buf.h"
#include "data/render/canvas.h"

/* Appends the file of c->bytes to ret. quality 1..100, libjpeg's. */
enum err_code encode_jpeg(const struct canvas *c, int quality, struct buf *ret, struct err *e)
    MUST_USE;

#endif

#include "data/render/encode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

struct job {
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    jmp_buf fail;
    unsigned char *bytes; /* malloc()ed by libjpeg */
    unsigned long len;
};

static void on_error(j_common_ptr c)
{
    struct job *j = c->client_data;
    longjmp(j->fail, 1);
}

static void compress(struct job *j, const struct canvas *canvas, int quality)
{
    jpeg_create_compress(&j->c);
    jpeg_mem_dest(&j->c, &j->bytes, &j->len);
    j->c.image_width = j->c.image_height = (JDIMENSION)canvas->size;
    j->c.input_components = 3;
    j->c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&j->c);
    jpeg_set_quality(&j->c, quality, TRUE);
    jpeg_start_compress(&j->c, TRUE);
    while (j->c.next_scanline < j->c.image_height) {
        JSAMPROW row = canvas->bytes + (size_t)j->c.next_scanline * 3 * (size_t)canvas->size;
        jpeg_write_scanlines(&j->c, &row, 1);
    }
    jpeg_finish_compress(&j->c);
}

/* The jump lands in a frame that owns no locals. */
static bool attempt(struct job *j, const struct canvas *canvas, int quality)
{
    if (setjmp(j->fail) != 0)
        return false;
    compress(j, canvas, quality);
    return true;
}

enum err_code encode_jpeg(const struct canvas *c, int quality, struct buf *ret, struct err *e)
{
    struct job j = { 0 };
    j.c.err = jpeg_std_error(&j.errors);
    j.errors.error_exit = on_error;
    j.c.client_data = &j;
    enum err_code code;
    if (attempt(&j, c, quality)) {
        code = buf_append(ret, j.bytes, j.len, e);
    } else {
        char text[JMSG_LENGTH_MAX];
        j.errors.format_message((j_common_ptr)&j.c, text);
        code = err_set(e, ERR_NOMEM, "JPEG: %s", text);
    }
    jpeg_destroy_compress(&j.c);
    free(j.bytes);
    return code;
}

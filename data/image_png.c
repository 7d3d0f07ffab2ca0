/* PNG through libpng, reduced to 8 bit RGB the way Pillow's convert("RGB") does it: alpha and
 * transparent colours are dropped (not blended), grey is repeated, palettes are looked up.
 *
 * 16 bits a sample: the high byte. Pillow 9.4 does the same for RGB, RGBA and grey with
 * alpha; plain 16-bit grey it cuts off at 255, which turns nearly every such picture white. That
 * is no use to a classifier, so here grey is treated like the rest.
 *
 * Too few rows are ERR_PICTURE_TRUNCATED, also where the compressed stream ends properly before
 * the last row (Pillow shows black there). Checksums of pixel data are not looked at, as in Pillow.
 * Reading stops with the last row: libpng by itself would go on to inflate whatever the file has
 * behind it. */
#include "data/exif.h"
#include "data/image_codec.h"
#include "data/orient.h"
#include "data/png_chunks.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

struct job {
    png_structp png;
    png_infop info;
    jmp_buf fail;
    const struct image_request *q;
    struct image *img;
    struct png_chunks chunks;
    uint8_t *stored;    /* owned: the picture before it is turned; NULL when it is upright */
    uint64_t rows_left; /* to be unpacked, in all passes */
    enum err_code code;
    struct err *e;
};

static _Noreturn void on_error(png_structp png, png_const_charp message)
{
    struct job *j = png_get_error_ptr(png);
    /* The message of an unsupported or short file is libpng's only way to tell. */
    enum err_code code = strstr(message, "Not enough image data") ? ERR_PICTURE_TRUNCATED
                         : strstr(message, "emory")               ? ERR_NOMEM
                                                                  : ERR_PICTURE_CORRUPT;
    if (j->code == ERR_OK)
        j->code = err_set(j->e, code, "PNG: %s", message);
    longjmp(j->fail, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep ret, size_t len)
{
    struct job *j = png_get_io_ptr(png);
    if (j->rows_left > 0 && png_chunks_read(&j->chunks, ret, len))
        return;
    /* Nothing is left to be read for: that is success. */
    if (j->rows_left > 0)
        j->code = err_set(j->e, ERR_PICTURE_TRUNCATED, "PNG: the file ends within the picture");
    longjmp(j->fail, 1);
}

/* Counts the rows. libpng has a row's pixels in place before it asks for more data. */
static void on_row(png_structp png, png_row_infop info, png_bytep row)
{
    (void)info;
    (void)row;
    struct job *j = png_get_io_ptr(png);
    j->rows_left--;
}

/* Rows that are stored in all passes. */
static uint64_t rows_of(const struct job *j)
{
    uint32_t width = j->chunks.width, height = j->chunks.height;
    if (png_get_interlace_type(j->png, j->info) == PNG_INTERLACE_NONE)
        return height;
    static const struct {
        uint32_t x, y, step_y; /* a pass's first pixel, and how far apart its rows are */
    } adam7[] = {
        { 0, 0, 8 }, { 4, 0, 8 }, { 0, 4, 8 }, { 2, 0, 4 }, { 0, 2, 4 }, { 1, 0, 2 }, { 0, 1, 2 },
    };
    uint64_t rows = 0;
    for (size_t i = 0; i < sizeof adam7 / sizeof *adam7; i++)
        if (width > adam7[i].x && height > adam7[i].y)
            rows += (height - adam7[i].y - 1) / adam7[i].step_y + 1;
    return rows;
}

static void to_rgb8(struct job *j)
{
    png_set_strip_16(j->png);
    png_set_expand(j->png); /* palette to RGB, grey of few bits to 8; there is no tRNS here */
    png_set_gray_to_rgb(j->png);
    png_set_strip_alpha(j->png);
    png_set_read_user_transform_fn(j->png, on_row);
}

static void read_picture(struct job *j)
{
    png_set_read_fn(j->png, j, on_read);
    png_set_user_limits(j->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours was checked already */
    png_set_crc_action(j->png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
    j->rows_left = 1; /* unknown yet */
    png_read_info(j->png, j->info);
    to_rgb8(j);
    int passes = png_set_interlace_handling(j->png);
    png_read_update_info(j->png, j->info);
    j->rows_left = rows_of(j);

    int width = (int)j->chunks.width, height = (int)j->chunks.height;
    size_t stride = (size_t)width * 3;
    if (png_get_rowbytes(j->png, j->info) != stride)
        png_error(j->png, "unexpected row length");

    int orientation = j->chunks.orientation;
    bool swaps = orient_swaps(orientation);
    j->code = image_reserve(j->img, swaps ? height : width, swaps ? width : height, j->e);
    if (j->code != ERR_OK)
        longjmp(j->fail, 1);
    uint8_t *to = j->img->rgb;
    if (orientation != EXIF_UPRIGHT) {
        to = j->stored = malloc(stride * (size_t)height);
        if (!to)
            png_error(j->png, "out of memory");
    }

    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < height; y++)
            png_read_row(j->png, to + (size_t)y * stride, NULL);
}

static void turn(struct job *j)
{
    int width = (int)j->chunks.width, height = (int)j->chunks.height;
    struct orient o;
    orient_init(&o, j->chunks.orientation, width, height);
    for (int y = 0; y < height; y++) {
        const uint8_t *row = j->stored + (size_t)y * (size_t)width * 3;
        orient_place(&o, &row, 1, y, j->img->rgb);
    }
}

/* The jump lands in a frame that owns no locals; the job is its caller's. */
static void attempt(struct job *j)
{
    if (setjmp(j->fail) == 0)
        read_picture(j);
}

enum err_code image_png_decode(const struct image_request *q, struct image *img, struct err *e)
{
    struct job j = { .q = q, .img = img, .code = ERR_OK, .e = e };
    enum err_code code = png_chunks_init(&j.chunks, q->bytes, q->len, e);
    if (code == ERR_OK)
        code = image_check_size(q, j.chunks.width, j.chunks.height, e);
    if (code != ERR_OK)
        return code;

    j.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &j, on_error, on_warning);
    j.info = j.png ? png_create_info_struct(j.png) : NULL;
    if (j.info)
        attempt(&j);
    else
        j.code = err_set(e, ERR_NOMEM, "no memory to read a PNG");
    png_destroy_read_struct(&j.png, &j.info, NULL);
    if (j.code == ERR_OK) {
        if (j.stored)
            turn(&j);
        img->format = IMAGE_PNG;
        img->full_width = img->width;
        img->full_height = img->height;
    }
    free(j.stored);
    return j.code;
}

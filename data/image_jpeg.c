/* JPEG through libjpeg, driven the way Pillow drives it, so that both take and refuse the same
 * files: warnings are ignored, and the data source *suspends* at its end instead of making up an
 * end marker, which is how a cut-off file is told from a damaged one.
 *
 * Time is bounded: a picture's scans times its blocks may not pass BLOCK_VISITS_MAX. The slowest
 * of a dozen files made for it (50 MP, three full components, arithmetic, 24 scans) took 2 seconds
 * on one core. */
#include "data/exif.h"
#include "data/image_codec.h"
#include "data/orient.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

enum {
    STRIP = 16, /* rows in hand before they are turned into place */
    SCANS_MAX = 500,
    SCANS_MIN = 24, /* allowed however large the picture: encoders write 10 to 20 */
    BLOCK_VISITS_MAX = 50000000,
};

struct job {
    struct jpeg_decompress_struct c;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf fail;
    const struct image_request *q;
    struct image *img;
    int scans_max;
    enum err_code code;
    struct err *e;
};

static _Noreturn void fail(struct job *j, enum err_code code, const char *text)
{
    j->code = err_set(j->e, code, "JPEG: %s", text);
    longjmp(j->fail, 1);
}

static enum err_code code_of(int message)
{
    switch (message) {
    case JERR_OUT_OF_MEMORY:
        return ERR_NOMEM;
    case JERR_CANT_SUSPEND: /* the arithmetic decoder's word for the end of the data */
        return ERR_PICTURE_TRUNCATED;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_COMPONENT_COUNT:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
    case JERR_ARITH_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_IMAGE_TOO_BIG:
        return ERR_PICTURE_UNSUPPORTED;
    default:
        return ERR_PICTURE_CORRUPT;
    }
}

static void on_error(j_common_ptr c)
{
    struct job *j = c->client_data;
    char text[JMSG_LENGTH_MAX];
    c->err->format_message(c, text);
    /* libjpeg's own limit of a side comes before ours is looked at; ours says more. */
    if (c->err->msg_code == JERR_IMAGE_TOO_BIG) {
        j->code = image_check_size(j->q, j->c.image_width, j->c.image_height, j->e);
        if (j->code != ERR_OK)
            longjmp(j->fail, 1);
    }
    fail(j, code_of(c->err->msg_code), text);
}

static void on_message(j_common_ptr c, int level)
{
    (void)c;
    (void)level;
}

static void on_progress(j_common_ptr c)
{
    struct job *j = c->client_data;
    if (j->c.input_scan_number > j->scans_max) {
        j->code = err_set(j->e, ERR_PICTURE_BOMB,
                          "JPEG: more than %d scans in a picture of %u x %u pixels", j->scans_max,
                          j->c.image_width, j->c.image_height);
        longjmp(j->fail, 1);
    }
}

static void source_nothing(j_decompress_ptr c)
{
    (void)c;
}

static boolean source_suspend(j_decompress_ptr c)
{
    (void)c;
    return FALSE;
}

static void source_skip(j_decompress_ptr c, long count)
{
    if (count <= 0)
        return;
    size_t n = (size_t)count < c->src->bytes_in_buffer ? (size_t)count : c->src->bytes_in_buffer;
    c->src->next_input_byte += n;
    c->src->bytes_in_buffer -= n;
}

static int orientation_of(const struct job *j)
{
    /* The first Exif block counts, as in Pillow. */
    for (jpeg_saved_marker_ptr m = j->c.marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length >= 6 && memcmp(m->data, "Exif", 5) == 0)
            return m->data[5] == 0 ? exif_orientation(m->data + 6, m->data_length - 6)
                                   : EXIF_UPRIGHT;
    return EXIF_UPRIGHT;
}

/* Only 1/2, 1/4 and 1/8 have fast inverse transforms. */
static unsigned scale_for(const struct job *j)
{
    if (j->q->shorter_side <= 0)
        return 1;
    unsigned shorter = j->c.image_width < j->c.image_height ? j->c.image_width : j->c.image_height;
    for (unsigned scale = 8; scale > 1; scale /= 2)
        if ((shorter + scale - 1) / scale >= (unsigned)j->q->shorter_side)
            return scale;
    return 1;
}

static int scans_allowed(const struct job *j)
{
    uint64_t blocks = 1;
    for (int i = 0; i < j->c.num_components; i++) {
        const jpeg_component_info *component = &j->c.comp_info[i];
        blocks += (uint64_t)component->width_in_blocks * component->height_in_blocks;
    }
    uint64_t scans = BLOCK_VISITS_MAX / blocks;
    return scans > SCANS_MAX ? SCANS_MAX : scans < SCANS_MIN ? SCANS_MIN : (int)scans;
}

static void read_header(struct job *j)
{
    int found;
    do
        found = jpeg_read_header(&j->c, FALSE);
    while (found == JPEG_HEADER_TABLES_ONLY);
    if (found != JPEG_HEADER_OK)
        fail(j, ERR_PICTURE_TRUNCATED, "the file ends within its header");

    if (j->c.data_precision != 8)
        fail(j, ERR_PICTURE_UNSUPPORTED, "only 8 bits a sample are supported");
    if (j->c.num_components != 1 && j->c.num_components != 3 && j->c.num_components != 4)
        fail(j, ERR_PICTURE_UNSUPPORTED, "only 1, 3 or 4 components are supported");
    j->code = image_check_size(j->q, j->c.image_width, j->c.image_height, j->e);
    if (j->code != ERR_OK)
        longjmp(j->fail, 1);
    j->scans_max = scans_allowed(j);
}

/* Up to count rows; fails where the file ends first. */
static void read_rows(struct job *j, JSAMPARRAY rows, unsigned count)
{
    for (unsigned done = 0; done < count;) {
        unsigned got = jpeg_read_scanlines(&j->c, rows + done, count - done);
        if (got == 0)
            fail(j, ERR_PICTURE_TRUNCATED, "the file ends within the picture");
        done += got;
    }
}

/* (a * b + 127.5) / 255 rounded, as Pillow's MULDIV255. */
static unsigned scale255(unsigned a, unsigned b)
{
    unsigned t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* Four-component files hold inverted ink (Adobe's way; Pillow takes all of them for such): c
 * here is 255 - C. In place: RGB lies over the first three quarters. */
static void ink_to_rgb(uint8_t *row, unsigned width)
{
    const uint8_t *ink = row;
    uint8_t *rgb = row;
    for (unsigned x = 0; x < width; x++, ink += 4, rgb += 3) {
        unsigned k = ink[3];
        unsigned r = k - scale255(255u - ink[0], k);
        unsigned g = k - scale255(255u - ink[1], k);
        unsigned b = k - scale255(255u - ink[2], k);
        rgb[0] = (uint8_t)r;
        rgb[1] = (uint8_t)g;
        rgb[2] = (uint8_t)b;
    }
}

/* Three components and upright: straight into the picture. */
static void read_in_place(struct job *j)
{
    size_t stride = (size_t)j->c.output_width * 3;
    while (j->c.output_scanline < j->c.output_height) {
        JSAMPROW rows[STRIP];
        unsigned count = j->c.output_height - j->c.output_scanline;
        if (count > STRIP)
            count = STRIP;
        for (unsigned i = 0; i < count; i++)
            rows[i] = j->img->rgb + (j->c.output_scanline + i) * stride;
        read_rows(j, rows, count);
    }
}

static void read_by_strips(struct job *j, const struct orient *o)
{
    JSAMPARRAY strip =
        j->c.mem->alloc_sarray((j_common_ptr)&j->c, JPOOL_IMAGE,
                               j->c.output_width * (unsigned)j->c.output_components, STRIP);
    while (j->c.output_scanline < j->c.output_height) {
        unsigned y = j->c.output_scanline;
        unsigned count = j->c.output_height - y;
        if (count > STRIP)
            count = STRIP;
        read_rows(j, strip, count);
        if (j->c.output_components == 4)
            for (unsigned i = 0; i < count; i++)
                ink_to_rgb(strip[i], j->c.output_width);
        orient_place(o, (const uint8_t *const *)strip, (int)count, (int)y, j->img->rgb);
    }
}

static void read_picture(struct job *j)
{
    jpeg_create_decompress(&j->c);
    j->c.src = &j->source;
    j->c.progress = &j->progress;
    jpeg_save_markers(&j->c, JPEG_APP0 + 1, 0xffff);
    read_header(j);

    int orientation = orientation_of(j);
    j->c.out_color_space = j->c.num_components == 4 ? JCS_CMYK : JCS_RGB;
    j->c.scale_num = 1;
    j->c.scale_denom = scale_for(j);
    jpeg_calc_output_dimensions(&j->c);

    int width = (int)j->c.output_width, height = (int)j->c.output_height;
    bool swaps = orient_swaps(orientation);
    j->code = image_reserve(j->img, swaps ? height : width, swaps ? width : height, j->e);
    if (j->code != ERR_OK)
        longjmp(j->fail, 1);
    j->img->format = IMAGE_JPEG;
    j->img->full_width = (int)(swaps ? j->c.image_height : j->c.image_width);
    j->img->full_height = (int)(swaps ? j->c.image_width : j->c.image_height);

    if (!jpeg_start_decompress(&j->c))
        fail(j, ERR_PICTURE_TRUNCATED, "the file ends within the picture");
    if (orientation == EXIF_UPRIGHT && j->c.output_components == 3) {
        read_in_place(j);
    } else {
        struct orient o;
        orient_init(&o, orientation, width, height);
        read_by_strips(j, &o);
    }
    /* Checks what follows as far as it is there; suspending is no failure once all rows are. */
    (void)jpeg_finish_decompress(&j->c);
}

/* The jump lands in a frame that owns no locals; the job is its caller's. */
static void attempt(struct job *j)
{
    if (setjmp(j->fail) == 0)
        read_picture(j);
}

enum err_code image_jpeg_decode(const struct image_request *q, struct image *img, struct err *e)
{
    struct job j = {
        .source = { .next_input_byte = q->bytes,
                    .bytes_in_buffer = q->len,
                    .init_source = source_nothing,
                    .fill_input_buffer = source_suspend,
                    .skip_input_data = source_skip,
                    .resync_to_restart = jpeg_resync_to_restart,
                    .term_source = source_nothing },
        .progress = { .progress_monitor = on_progress },
        .q = q,
        .img = img,
        .code = ERR_OK,
        .e = e,
    };
    j.c.err = jpeg_std_error(&j.errors);
    j.errors.error_exit = on_error;
    j.errors.emit_message = on_message;
    j.c.client_data = &j;
    attempt(&j);
    jpeg_destroy_decompress(&j.c);
    return j.code;
}

#include "data/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

enum { PIECE = 64 * 1024 };

/* --- writing ------------------------------------------------------------------------------ */

struct pack_writer {
    struct archive *out;
    struct archive_entry *entry;
    pack_write_fn write;
    void *context;
    struct err error; /* of write */
};

/* A failure is kept and told by whoever called libarchive, not by it: one that has failed does not
 * free its buffers (3.6). What comes after a failure goes nowhere. */
static la_ssize_t on_write(struct archive *out, void *context, const void *bytes, size_t len)
{
    struct pack_writer *w = context;
    (void)out;
    if (!w->error.code && w->write(w->context, bytes, len, &w->error) && !w->error.code)
        err_set(&w->error, ERR_INTERNAL, "writing an archive failed without a reason");
    return (la_ssize_t)len;
}

static enum err_code check_written(struct pack_writer *w, bool ok, struct err *e)
{
    if (w->error.code)
        return err_set(e, w->error.code, "%s", w->error.message);
    if (ok)
        return ERR_OK;
    const char *text = archive_error_string(w->out);
    return err_set(e, archive_errno(w->out) == ENOMEM ? ERR_NOMEM : ERR_INTERNAL,
                   "cannot write an archive: %s", text ? text : "no reason is known");
}

/* GNU's tar, because it writes a file of any size with one header. */
enum err_code pack_writer_new(pack_write_fn write, void *context, struct pack_writer **ret,
                              struct err *e)
{
    CLEANUP(pack_writer_free_p) struct pack_writer *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ERR_NOMEM, "no memory to write an archive");
    w->write = write;
    w->context = context;
    w->out = archive_write_new();
    w->entry = archive_entry_new();
    if (!w->out || !w->entry)
        return err_set(e, ERR_NOMEM, "no memory to write an archive");
    if (archive_write_set_format_gnutar(w->out) != ARCHIVE_OK ||
        archive_write_add_filter_none(w->out) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(w->out, 0) != ARCHIVE_OK ||
        archive_write_open(w->out, w, NULL, on_write, NULL) != ARCHIVE_OK)
        return check_written(w, false, e);
    *ret = STEAL(w);
    return ERR_OK;
}

enum err_code pack_file(struct pack_writer *w, const char *path, uint64_t size, struct err *e)
{
    archive_entry_clear(w->entry);
    archive_entry_set_pathname(w->entry, path);
    archive_entry_set_filetype(w->entry, AE_IFREG);
    archive_entry_set_perm(w->entry, 0600);
    archive_entry_set_size(w->entry, (la_int64_t)size);
    return check_written(w, archive_write_header(w->out, w->entry) == ARCHIVE_OK, e);
}

enum err_code pack_add(struct pack_writer *w, const void *bytes, size_t len, struct err *e)
{
    if (!len)
        return ERR_OK;
    la_ssize_t n = archive_write_data(w->out, bytes, len);
    if (n >= 0 && (size_t)n != len)
        return err_set(e, ERR_INTERNAL, "a file of an archive is longer than was said");
    return check_written(w, n >= 0, e);
}

enum err_code pack_end(struct pack_writer *w, struct err *e)
{
    return check_written(w, archive_write_close(w->out) == ARCHIVE_OK, e);
}

void pack_writer_free(struct pack_writer *w)
{
    if (!w)
        return;
    /* What was not ended is not to be ended by being freed. */
    w->error.code = w->error.code ? w->error.code : ERR_CANCELLED;
    archive_write_free(w->out);
    archive_entry_free(w->entry);
    free(w);
}

/* --- reading ------------------------------------------------------------------------------ */

struct pack_reader {
    struct archive *in;
    archive_read_fn read;
    void *context;
    struct err error; /* of read */
    uint8_t piece[PIECE];
};

static la_ssize_t on_read(struct archive *in, void *context, const void **ret)
{
    struct pack_reader *r = context;
    ssize_t n = r->read(r->context, r->piece, sizeof r->piece, &r->error);
    if (n < 0) {
        archive_set_error(in, EIO, "%s", r->error.message);
        return ARCHIVE_FATAL;
    }
    *ret = r->piece;
    return n;
}

static enum err_code read_error(struct pack_reader *r, struct err *e)
{
    if (r->error.code)
        return err_set(e, r->error.code, "%s", r->error.message);
    const char *text = archive_error_string(r->in);
    if (archive_errno(r->in) == ENOMEM)
        return err_set(e, ERR_NOMEM, "no memory to read the archive");
    if (archive_format(r->in) == 0)
        return err_set(e, ERR_ARCHIVE_FORMAT, "that is no tar archive");
    if (text && strcasestr(text, "truncated"))
        return err_set(e, ERR_ARCHIVE_TRUNCATED, "the archive is cut off");
    return err_set(e, ERR_ARCHIVE_CORRUPT, "the archive is damaged: %s",
                   text ? text : "no reason is known");
}

enum err_code pack_reader_new(archive_read_fn read, void *context, struct pack_reader **ret,
                              struct err *e)
{
    CLEANUP(pack_reader_free_p) struct pack_reader *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory to read an archive");
    r->read = read;
    r->context = context;
    r->in = archive_read_new();
    if (!r->in)
        return err_set(e, ERR_NOMEM, "no memory to read an archive");
    if (archive_read_support_format_tar(r->in) != ARCHIVE_OK ||
        archive_read_open(r->in, r, NULL, on_read, NULL) != ARCHIVE_OK)
        return read_error(r, e);
    *ret = STEAL(r);
    return ERR_OK;
}

enum err_code pack_next(struct pack_reader *r, const char **ret_path, uint64_t *ret_size,
                        struct err *e)
{
    struct archive_entry *entry = NULL;
    int code = archive_read_next_header(r->in, &entry);
    if (code == ARCHIVE_EOF) {
        *ret_path = NULL;
        return ERR_OK;
    }
    if (code != ARCHIVE_OK || !entry)
        return read_error(r, e);
    const char *path = archive_entry_pathname(entry);
    if (!path || archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) ||
        archive_entry_size(entry) < 0)
        return err_set(e, ERR_ARCHIVE_FORMAT, "%.100s in the archive is no regular file",
                       path ? path : "what has no name");
    *ret_path = path;
    *ret_size = (uint64_t)archive_entry_size(entry);
    return ERR_OK;
}

enum err_code pack_read(struct pack_reader *r, void *bytes, size_t len, size_t *ret, struct err *e)
{
    la_ssize_t n = archive_read_data(r->in, bytes, len);
    if (n < 0)
        return read_error(r, e);
    *ret = (size_t)n;
    return ERR_OK;
}

void pack_reader_free(struct pack_reader *r)
{
    if (!r)
        return;
    archive_read_free(r->in);
    free(r);
}

#include "data/render/tar.h"

#include <errno.h>
#include <stdlib.h>

#include <archive.h>
#include <archive_entry.h>

struct tar {
    struct archive *archive;     /* owned */
    struct archive_entry *entry; /* owned */
    const char *what;
};

static enum err_code fail(struct tar *t, struct err *e)
{
    int number = archive_errno(t->archive);
    return err_errno(e, number > 0 ? number : EIO, "writing %s", t->what);
}

enum err_code tar_new(int fd, const char *what, struct tar **ret, struct err *e)
{
    struct tar *t = calloc(1, sizeof *t);
    if (t) {
        t->what = what;
        t->archive = archive_write_new();
        t->entry = archive_entry_new();
    }
    if (!t || !t->archive || !t->entry) {
        tar_free(t);
        return err_set(e, ERR_NOMEM, "no memory for an archive");
    }
    /* No padding to whole tape blocks, which would be there in a pipe and not in a file. */
    if (archive_write_set_format_ustar(t->archive) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(t->archive, 1) != ARCHIVE_OK ||
        archive_write_open_fd(t->archive, fd) != ARCHIVE_OK) {
        enum err_code code = fail(t, e);
        tar_free(t);
        return code;
    }
    *ret = t;
    return ERR_OK;
}

enum err_code tar_add(struct tar *t, const char *path, const void *bytes, size_t len, struct err *e)
{
    archive_entry_clear(t->entry);
    archive_entry_set_pathname(t->entry, path);
    archive_entry_set_size(t->entry, (la_int64_t)len);
    archive_entry_set_filetype(t->entry, AE_IFREG);
    archive_entry_set_perm(t->entry, 0644);
    archive_entry_set_mtime(t->entry, 0, 0);
    if (archive_write_header(t->archive, t->entry) != ARCHIVE_OK ||
        archive_write_data(t->archive, bytes, len) != (la_ssize_t)len)
        return fail(t, e);
    return ERR_OK;
}

enum err_code tar_finish(struct tar *t, struct err *e)
{
    return archive_write_close(t->archive) == ARCHIVE_OK ? ERR_OK : fail(t, e);
}

void tar_free(struct tar *t)
{
    if (!t)
        return;
    /* Unless it is finished: freeing alone would write an end behind half an archive. */
    if (t->archive)
        archive_write_fail(t->archive);
    archive_write_free(t->archive);
    archive_entry_free(t->entry);
    free(t);
}

#include "daemon/sweep.h"

#include "daemon/named.h"
#include "data/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

/* All blobs are listed (32 bytes each), sorted, and those that a row names are marked: two passes
 * over sorted or indexed data instead of a query for each blob. */
struct found {
    struct digest *digests;
    bool *named;
    size_t count, cap;
};

static void found_fini(struct found *f)
{
    free(f->digests);
    free(f->named);
}

static enum err_code collect(void *context, const struct digest *d, struct err *e)
{
    struct found *f = context;
    if (f->count == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 1024;
        struct digest *digests = reallocarray(f->digests, cap, sizeof *digests);
        if (!digests)
            return err_set(e, ERR_NOMEM, "no memory to sweep %zu blobs", f->count);
        f->digests = digests;
        f->cap = cap;
    }
    f->digests[f->count++] = *d;
    return ERR_OK;
}

static int compare(const void *a, const void *b)
{
    return digest_compare(a, b);
}

static enum err_code mark_named(struct db *db, struct found *f, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_read(db, &t, e);
    if (!r)
        r = named_digests(t, &rows, e);
    bool more = false;
    while (!r && !(r = db_next(rows, &more, e)) && more) {
        struct digest d;
        r = db_digest(rows, 0, &d, e);
        if (r)
            break;
        struct digest *at = bsearch(&d, f->digests, f->count, sizeof d, compare);
        if (at)
            f->named[at - f->digests] = true;
    }
    return r;
}

enum err_code sweep_blobs(struct db *db, struct blobs *blobs, struct err *e)
{
    CLEANUP(found_fini) struct found f = { 0 };
    enum err_code r = blobs_walk(blobs, collect, &f, e);
    if (r || !f.count)
        return r;
    f.named = calloc(f.count, sizeof *f.named);
    if (!f.named)
        return err_set(e, ERR_NOMEM, "no memory to sweep %zu blobs", f.count);
    qsort(f.digests, f.count, sizeof *f.digests, compare);
    r = mark_named(db, &f, e);
    for (size_t i = 0; !r && i < f.count; i++)
        if (!f.named[i])
            r = blobs_remove(blobs, &f.digests[i], e);
    return r;
}

static void close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

static enum err_code sweep_job(struct db_tx *t, const char *jobs, const char *id, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r =
        db_get(t, &row, e, "SELECT 1 FROM job WHERE id = ? AND ended_ms IS NULL", DB_TEXT(id));
    if (r || row)
        return r;
    CLEANUP(cleanup_free) char *path = NULL;
    r = file_path(&path, e, "%s/%s", jobs, id);
    return r ? r : file_remove_tree(path, e);
}

enum err_code sweep_jobs(struct db *db, const char *jobs, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(close_folder) DIR *folder = opendir(jobs);
    if (!folder)
        return err_errno(e, errno, "cannot read folder %s", jobs);
    enum err_code r = db_read(db, &t, e);
    while (!r) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry)
            return errno ? err_errno(e, errno, "cannot read folder %s", jobs) : ERR_OK;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = sweep_job(t, jobs, entry->d_name, e);
    }
    return r;
}

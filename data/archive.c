#include "data/archive.h"

#include "data/archive_path.h"
#include "data/base/buf.h"
#include "data/base/cleanup.h"
#include "data/gzip_source.h"
#include "data/zip_directory.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <string.h>

/* Only tar and zip: libarchive knows dozens of formats, each a way in. gzip is unpacked before
 * libarchive sees the bytes (gzip_source.h).
 *
 * libarchive's reader of zip streams never sees a zip's directory, which comes last. So it takes a
 * link for a file, overlooks a member whose header is damaged, and does not miss a lost end; the
 * directory is checked here after the last member (zip_directory.h).
 *
 * A tar that ends without its zero block is refused as cut off, although tar(1) takes it: a
 * `tar c | curl -T -` whose tar dies ends its upload like a whole one. */
enum {
    BLOCK_BYTES = 64 * 1024,
    /* Pictures do not shrink; what grows by more than this is not a set of pictures. */
    BOMB_RATIO = 100,
    BOMB_GRACE = 64 * 1024 * 1024,
    TAR_BLOCK = 512,
};

/* Where the bytes come from, as libarchive's reader sees it. */
struct source {
    struct gzip_source gzip;
    uint64_t taken; /* bytes read so far, `len` of them in blocks[current] */
    size_t len;
    size_t earlier_len; /* in the other block: the bytes right before */
    int current;
    bool ended;
    bool end_told;    /* libarchive asked for more than there was */
    struct err error; /* of the callback */
    uint8_t blocks[2][BLOCK_BYTES];
};

struct walk {
    struct source source;
    struct archive *reader;
    struct archive_entry *entry; /* ours, because the reader's own may be NULL without memory */
    const struct archive_limits *limits;
    archive_file_fn on_file;
    void *file_context;
    uint64_t entries;
    uint64_t unpacked;
    struct buf path;
    struct buf member;
    locale_t utf8; /* of this thread during the walk; 0: none */
    locale_t before;
};

static void walk_free(struct walk *w)
{
    if (w->utf8) {
        uselocale(w->before);
        freelocale(w->utf8);
    }
    archive_entry_free(w->entry);
    archive_read_free(w->reader);
    gzip_source_fini(&w->source.gzip);
    buf_fini(&w->path);
    buf_fini(&w->member);
    free(w);
}
CLEANUP_DEFINE(struct walk, walk_free);

/* Reads the next block, full unless it is the last. -1: the callback's error is in s->error. */
static ssize_t read_block(struct source *s)
{
    int next = 1 - s->current;
    size_t len = 0;
    while (len < BLOCK_BYTES && !s->ended && !s->error.code) {
        ssize_t n = gzip_source_read(&s->gzip, s->blocks[next] + len, BLOCK_BYTES - len, &s->error);
        if (n < 0 && !s->error.code)
            err_set(&s->error, ERR_INTERNAL, "reading an archive failed without a reason");
        s->ended = n == 0;
        len += n > 0 ? (size_t)n : 0;
    }
    if (len) {
        s->earlier_len = s->len;
        s->len = len;
        s->current = next;
        s->taken += len;
    } else if (!s->error.code) {
        s->end_told = true;
    }
    return len || !s->error.code ? (ssize_t)len : -1;
}

static la_ssize_t on_read(struct archive *reader, void *context, const void **ret)
{
    struct source *s = context;
    ssize_t n = read_block(s);
    if (n < 0) {
        archive_set_error(reader, EIO, "%s", s->error.message);
        return ARCHIVE_FATAL;
    }
    *ret = s->blocks[s->current];
    return n;
}

/* Turns libarchive's last complaint into an error. */
static enum err_code reader_error(struct walk *w, const char *path, struct err *e)
{
    if (w->source.error.code)
        return err_set(e, w->source.error.code, "%s", w->source.error.message);
    const char *text = archive_error_string(w->reader);
    const char *separator = path ? ": " : "";
    path = path ? path : "";
    /* "Can't initialize ZIP decompression": zlib had no memory. */
    if (archive_errno(w->reader) == ENOMEM || (text && strstr(text, "Can't initialize")))
        return err_set(e, ERR_NOMEM, "no memory to read the archive");
    if (archive_format(w->reader) == 0 && w->entries == 0 &&
        !(text && strcasestr(text, "truncated")))
        return err_set(e, ERR_ARCHIVE_FORMAT, "neither a tar (plain or gzip) nor a zip archive");
    /* libarchive also says "truncated" of a damaged member that ends too early; -5 is zlib's word
     * for an end of input. Without a text: the stream of a zip ended where a header or the
     * directory was due. */
    if (w->source.end_told && (!text || strcasestr(text, "truncated") || strstr(text, "(-5)")))
        return err_set(e, ERR_ARCHIVE_TRUNCATED,
                       "%.200s%sthe archive is cut off after %" PRIu64 " bytes", path, separator,
                       w->source.gzip.taken);
    return err_set(e, ERR_ARCHIVE_CORRUPT, "%.200s%sthe archive is damaged: %s", path, separator,
                   text ? text : "no reason is known");
}

static enum err_code check_kind(struct archive_entry *entry, const char *path, bool *ret_file,
                                struct err *e)
{
    if (archive_entry_hardlink(entry))
        return err_set(e, ERR_ARCHIVE_LINK, "%.300s: hard links are not allowed", path);
    if (archive_entry_is_encrypted(entry))
        return err_set(e, ERR_ARCHIVE_FORMAT, "%.300s: encrypted archives are not read", path);
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
        *ret_file = true;
        return ERR_OK;
    case AE_IFDIR:
        *ret_file = false;
        return ERR_OK;
    case AE_IFLNK:
        return err_set(e, ERR_ARCHIVE_LINK, "%.300s: symbolic links are not allowed", path);
    case AE_IFCHR:
    case AE_IFBLK:
    case AE_IFIFO:
    case AE_IFSOCK:
        return err_set(e, ERR_ARCHIVE_DEVICE, "%.300s: devices, fifos and sockets are not allowed",
                       path);
    default:
        return err_set(e, ERR_ARCHIVE_CORRUPT, "%.300s: a member of unknown kind", path);
    }
}

static enum err_code check_growth(const struct walk *w, uint64_t unpacked, const char *path,
                                  struct err *e)
{
    if (unpacked > w->limits->max_unpacked)
        return err_set(e, ERR_ARCHIVE_BOMB,
                       "%.300s: the archive unpacks to more than %" PRIu64 " bytes", path,
                       w->limits->max_unpacked);
    if (unpacked > BOMB_GRACE && (unpacked - BOMB_GRACE) / BOMB_RATIO > w->source.gzip.taken)
        return err_set(e, ERR_ARCHIVE_BOMB,
                       "%.300s: %" PRIu64 " bytes unpack to more than %d times as many", path,
                       w->source.gzip.taken, BOMB_RATIO);
    return ERR_OK;
}

static enum err_code fill_to(struct buf *b, uint64_t end, struct err *e)
{
    size_t gap = (size_t)(end - b->len);
    enum err_code r = buf_reserve(b, gap, e);
    if (r)
        return r;
    memset(b->data + b->len, 0, gap);
    b->len = (size_t)end;
    buf_terminate(b);
    return ERR_OK;
}

/* The member's bytes to w->member as long as they fit; *ret_len is the size in any case. All of it
 * is unpacked even then, because only that tells a bomb. */
static enum err_code read_member(struct walk *w, struct archive_entry *entry, const char *path,
                                 uint64_t *ret_len, struct err *e)
{
    buf_reset(&w->member);
    uint64_t end = 0;
    for (;;) {
        const void *bytes;
        size_t len;
        la_int64_t at;
        int status = archive_read_data_block(w->reader, &bytes, &len, &at);
        if (status == ARCHIVE_EOF)
            break;
        if (status != ARCHIVE_OK)
            return reader_error(w, path, e);
        /* The holes of a sparse tar count as what they unpack to. */
        if (at < 0 || (uint64_t)at < end || (uint64_t)at > (uint64_t)INT64_MAX - len)
            return err_set(e, ERR_ARCHIVE_CORRUPT, "%.300s: its pieces overlap", path);
        end = (uint64_t)at + len;
        enum err_code r = check_growth(w, w->unpacked + end, path, e);
        if (r)
            return r;
        if (end > w->limits->max_member)
            continue;
        r = fill_to(&w->member, (uint64_t)at, e);
        if (!r)
            r = buf_append(&w->member, bytes, len, e);
        if (r)
            return r;
    }
    /* A sparse member may end in a hole. */
    if (archive_entry_size_is_set(entry) && (uint64_t)archive_entry_size(entry) > end) {
        end = (uint64_t)archive_entry_size(entry);
        enum err_code r = check_growth(w, w->unpacked + end, path, e);
        if (!r && end <= w->limits->max_member)
            r = fill_to(&w->member, end, e);
        if (r)
            return r;
    }
    w->unpacked += end;
    *ret_len = end;
    return ERR_OK;
}

static enum err_code take_entry(struct walk *w, struct archive_entry *entry, struct err *e)
{
    if (++w->entries > w->limits->max_entries)
        return err_set(e, ERR_ARCHIVE_ENTRIES, "the archive has more than %" PRIu64 " members",
                       w->limits->max_entries);
    const char *name = archive_entry_pathname_utf8(entry);
    if (!name)
        name = archive_entry_pathname(entry);
    if (!name)
        return err_set(e, ERR_ARCHIVE_PATH, "member %" PRIu64 " of the archive has no name",
                       w->entries);
    enum err_code r = archive_path_clean(name, &w->path, e);
    if (r)
        return r;
    const char *path = (const char *)w->path.data;
    bool is_file = false;
    r = check_kind(entry, path, &is_file, e);
    if (r || !is_file)
        return r;
    if (w->path.len == 0)
        return err_set(e, ERR_ARCHIVE_PATH, "member %" PRIu64 " of the archive has an empty name",
                       w->entries);
    uint64_t len = 0;
    r = read_member(w, entry, path, &len, e);
    if (r)
        return r;
    bool fits = len <= w->limits->max_member;
    /* An empty member is no missing one. */
    const uint8_t *bytes = w->member.data ? w->member.data : (const uint8_t *)"";
    return w->on_file(w->file_context, path, fits ? bytes : NULL, (size_t)len, e);
}

/* The directory begins `from` bytes into the stream, in one of the two blocks held. */
static enum err_code check_zip(struct walk *w, uint64_t from, struct err *e)
{
    struct source *s = &w->source;
    struct zip_directory d;
    zip_directory_init(&d);
    uint64_t start = s->taken - s->len;
    if (from > s->taken || from + s->earlier_len < start)
        return err_set(e, ERR_INTERNAL, "a zip's directory is not where it was");
    enum err_code r = ERR_OK;
    if (from < start) {
        size_t back = (size_t)(start - from);
        r = zip_directory_add(&d, s->blocks[1 - s->current] + s->earlier_len - back, back, e);
        from = start;
    }
    if (!r)
        r = zip_directory_add(&d, s->blocks[s->current] + (from - start), (size_t)(s->taken - from),
                              e);
    while (!r) {
        ssize_t n = read_block(s);
        if (n <= 0)
            break;
        r = zip_directory_add(&d, s->blocks[s->current], (size_t)n, e);
    }
    if (r || s->error.code)
        return r;
    return zip_directory_end(&d, w->entries, e);
}

/* After the last member: is this the end that was meant? Takes the rest of the source, so that an
 * upload that breaks off in it is seen to. */
static enum err_code check_end(struct walk *w, struct err *e)
{
    enum err_code r = ERR_OK;
    uint64_t at = (uint64_t)archive_filter_bytes(w->reader, 0);
    if ((archive_format(w->reader) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_ZIP) {
        if (gzip_source_is_gzip(&w->source.gzip))
            return err_set(e, ERR_ARCHIVE_FORMAT, "a zip inside gzip is not read");
        r = check_zip(w, at, e);
    } else if (at < (uint64_t)archive_read_header_position(w->reader) + TAR_BLOCK) {
        r = err_set(e, ERR_ARCHIVE_TRUNCATED,
                    "the archive is cut off after %" PRIu64 " bytes: the block that ends a tar is "
                    "missing",
                    w->source.gzip.taken);
    }
    while (!r && read_block(&w->source) > 0) {
    }
    if (w->source.error.code)
        return err_set(e, w->source.error.code, "%s", w->source.error.message);
    return r;
}

static enum err_code open_reader(struct walk *w, struct err *e)
{
    w->reader = archive_read_new();
    w->entry = w->reader ? archive_entry_new2(w->reader) : NULL;
    if (!w->entry)
        return err_set(e, ERR_NOMEM, "no memory to read an archive");
    if (archive_read_support_format_tar(w->reader) != ARCHIVE_OK ||
        archive_read_support_format_zip_streamable(w->reader) != ARCHIVE_OK)
        return err_set(e, archive_errno(w->reader) == ENOMEM ? ERR_NOMEM : ERR_INTERNAL,
                       "cannot read archives: %s", archive_error_string(w->reader));
    /* archive_read_open() does not look whether it had memory for the last of these. */
    if (archive_read_set_read_callback(w->reader, on_read) != ARCHIVE_OK ||
        archive_read_set_callback_data(w->reader, &w->source) != ARCHIVE_OK)
        return err_set(e, ERR_NOMEM, "no memory to read an archive");
    if (archive_read_open1(w->reader) != ARCHIVE_OK)
        return reader_error(w, NULL, e);
    return ERR_OK;
}

enum err_code archive_walk(archive_read_fn read, void *read_context,
                           const struct archive_limits *limits, archive_file_fn on_file,
                           void *file_context, struct err *e)
{
    CLEANUP(walk_free_p) struct walk *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ERR_NOMEM, "no memory to read an archive");
    gzip_source_init(&w->source.gzip, read, read_context);
    w->limits = limits;
    w->on_file = on_file;
    w->file_context = file_context;
    buf_init(&w->path, ARCHIVE_PATH_MAX);
    buf_init(&w->member, limits->max_member < SIZE_MAX ? (size_t)limits->max_member : SIZE_MAX);

    /* In the locale "C" libarchive drops every name that is said to be UTF-8. */
    w->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (w->utf8)
        w->before = uselocale(w->utf8);

    enum err_code r = open_reader(w, e);
    while (!r) {
        int status = archive_read_next_header2(w->reader, w->entry);
        if (status == ARCHIVE_EOF)
            return check_end(w, e);
        /* A warning is about an owner's name or the like that cannot be had in this locale. */
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
            return reader_error(w, NULL, e);
        r = take_entry(w, w->entry, e);
    }
    return r;
}

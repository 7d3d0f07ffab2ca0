#include "data/archive.h"

#include "data/base/buf.h"
#include "data/base/cleanup.h"
#include "data/base/file.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

/* ---- making archives, with libarchive's writer */

struct member {
    const char *path;
    const char *text;
    unsigned type; /* 0: a file */
    const char *link;
};

static const struct member three[] = {
    { "train/", NULL, AE_IFDIR, NULL },
    { "train/a.txt", "alpha", 0, NULL },
    { "train/b/empty", "", 0, NULL },
    { "./val//./c", "gamma gamma gamma gamma gamma gamma gamma", 0, NULL },
};
enum { THREE = 4 };
static const char three_seen[] = "train/a.txt=5:alpha\ntrain/b/empty=0:\n"
                                 "val/c=41:gamma gamma gamma gamma gamma gamma gamma\n";

enum kind { USTAR, PAX, GNU, TAR_GZ, ZIP, ZIP_STORED, ZIP_STREAMED, ZIP_STORED_STREAMED, KINDS };

static bool is_zip(enum kind kind)
{
    return kind >= ZIP;
}

static la_ssize_t to_buf(struct archive *a, void *context, const void *bytes, size_t len)
{
    (void)a;
    return buf_append(context, bytes, len, NULL) ? -1 : (la_ssize_t)len;
}

static struct archive *begin(struct buf *ret, enum kind kind)
{
    buf_init(ret, 1 << 28);
    struct archive *a = archive_write_new();
    archive_write_set_bytes_in_last_block(a, 1);
    switch (kind) {
    case USTAR:
        archive_write_set_format_ustar(a);
        break;
    case PAX:
        archive_write_set_format_pax(a);
        break;
    case GNU:
        archive_write_set_format_gnutar(a);
        break;
    case TAR_GZ:
        archive_write_set_format_ustar(a);
        archive_write_add_filter_gzip(a);
        break;
    default:
        archive_write_set_format_zip(a);
        if (kind == ZIP_STORED || kind == ZIP_STORED_STREAMED)
            archive_write_zip_set_compression_store(a);
    }
    assert_int_equal(archive_write_open(a, ret, NULL, to_buf, NULL), ARCHIVE_OK);
    return a;
}

static void add(struct archive *a, const struct member *m, enum kind kind)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, m->path);
    archive_entry_set_filetype(entry, m->type ? m->type : AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    if (m->link && m->type)
        archive_entry_set_symlink(entry, m->link);
    else if (m->link)
        archive_entry_set_hardlink(entry, m->link);
    if (m->text && kind != ZIP_STREAMED && kind != ZIP_STORED_STREAMED)
        archive_entry_set_size(entry, (la_int64_t)strlen(m->text));
    assert_true(archive_write_header(a, entry) >= ARCHIVE_WARN);
    if (m->text && *m->text)
        assert_int_equal(archive_write_data(a, m->text, strlen(m->text)), strlen(m->text));
    archive_entry_free(entry);
}

static void end(struct archive *a)
{
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

static void make(struct buf *ret, enum kind kind, const struct member *members, size_t count)
{
    struct archive *a = begin(ret, kind);
    for (size_t i = 0; i < count; i++)
        add(a, &members[i], kind);
    end(a);
}

/* ---- walking them */

struct feed {
    const uint8_t *bytes;
    size_t len, at, piece;
    size_t fail_at; /* fails there; SIZE_MAX: never */
    bool ended;     /* the end was read */
};

static ssize_t read_feed(void *context, void *bytes, size_t len, struct err *e)
{
    struct feed *f = context;
    assert_false(f->ended);
    if (f->at >= f->fail_at) {
        err_set(e, ERR_BODY_INCOMPLETE, "the upload broke off");
        return -1;
    }
    size_t left = f->len - f->at;
    size_t n = len < f->piece ? len : f->piece;
    n = n < left ? n : left;
    if (n)
        memcpy(bytes, f->bytes + f->at, n);
    f->at += n;
    f->ended = n == 0;
    return (ssize_t)n;
}

struct seen {
    struct buf text;
    int files;
    int stop_at;
};

static enum err_code see(void *context, const char *path, const uint8_t *bytes, size_t len,
                         struct err *e)
{
    struct seen *s = context;
    if (++s->files == s->stop_at)
        return err_set(e, ERR_CANCELLED, "enough");
    assert_int_equal(buf_printf(&s->text, NULL, "%s=%zu:", path, len), ERR_OK);
    if (!bytes)
        return buf_printf(&s->text, e, "(too large)\n");
    if (len > 1000)
        return buf_printf(&s->text, e, "(%c..%c)\n", bytes[0], bytes[len - 1]);
    assert_int_equal(buf_append(&s->text, bytes, len, NULL), ERR_OK);
    return buf_append(&s->text, "\n", 1, e);
}

static const struct archive_limits roomy = { .max_entries = 1000,
                                             .max_member = 1 << 20,
                                             .max_unpacked = 1 << 30 };

struct outcome {
    enum err_code code;
    struct err e;
    char text[10000];
    int files;
};

static struct outcome walk_feed(struct feed *f, const struct archive_limits *limits, int stop_at)
{
    struct outcome o = { 0 };
    struct seen s = { .stop_at = stop_at };
    buf_init(&s.text, sizeof o.text - 1);
    o.code = archive_walk(read_feed, f, limits, see, &s, &o.e);
    assert_true(o.code == ERR_OK || o.e.code == o.code);
    if (s.text.data)
        strcpy(o.text, (char *)s.text.data);
    o.files = s.files;
    buf_fini(&s.text);
    return o;
}

static struct outcome walk(const struct buf *b, size_t len, const struct archive_limits *limits)
{
    struct feed f = { b->data, len, 0, 1000, SIZE_MAX, false };
    return walk_feed(&f, limits, 0);
}

static void assert_walk(const struct buf *b, enum err_code code, const char *named)
{
    struct outcome o = walk(b, b->len, &roomy);
    if (o.code != code || (named && !strstr(o.e.message, named)))
        print_error("%s: %s\n", err_slug(o.code), o.e.message);
    assert_int_equal(o.code, code);
    assert_true(!named || strstr(o.e.message, named));
}

static void assert_one(enum kind kind, const struct member *m, enum err_code code,
                       const char *named)
{
    struct buf b;
    make(&b, kind, m, 1);
    assert_walk(&b, code, named);
    buf_fini(&b);
}

/* ---- tests */

static void every_format_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1, 7, 512, 1000, 65536, SIZE_MAX };
    for (enum kind kind = USTAR; kind < KINDS; kind++) {
        struct buf b;
        make(&b, kind, three, THREE);
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
            struct feed f = { b.data, b.len, 0, pieces[i], SIZE_MAX, false };
            struct outcome o = walk_feed(&f, &roomy, 0);
            assert_string_equal(o.e.message, "");
            assert_int_equal(o.code, ERR_OK);
            assert_string_equal(o.text, three_seen);
            assert_true(f.ended); /* the upload was taken to its end */
        }
        buf_fini(&b);
    }
}

static void an_archive_without_files_is_one(void **state)
{
    (void)state;
    for (enum kind kind = USTAR; kind < KINDS; kind++) {
        for (size_t members = 0; members < 2; members++) {
            struct buf b;
            make(&b, kind, three, members);
            struct outcome o = walk(&b, b.len, &roomy);
            assert_int_equal(o.code, ERR_OK);
            assert_int_equal(o.files, 0);
            buf_fini(&b);
        }
    }
}

static void what_is_no_archive_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        { "", 0 },
        { "x", 1 },
        { "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1", 13 },
        { "\x89PNG\r\n\x1a\n", 8 },
        { "!<arch>\ndebian-binary", 21 },
        { "070701000000", 12 },
        { "7z\xbc\xaf\x27\x1c", 6 },
        { "Rar!\x1a\7", 6 },
        { "BZh91AY&SY", 10 },
        { "{\"path\": \"/x\"}", 14 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b;
        buf_init(&b, 5000);
        assert_int_equal(buf_append(&b, cases[i].bytes, cases[i].len, NULL), ERR_OK);
        assert_walk(&b, ERR_ARCHIVE_FORMAT, NULL);
        /* The same with enough behind it to be looked at longer. */
        while (b.len && b.len < 3000)
            assert_int_equal(buf_append(&b, "qwertyuiop", 10, NULL), ERR_OK);
        assert_walk(&b, ERR_ARCHIVE_FORMAT, NULL);
        buf_fini(&b);
    }
}

static void paths_that_lead_out_are_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "../x", "a/../../x", "a/b/..", "..",       "/etc/passwd", "//x",
        "\\x",  "C:\\x",     "c:/x",   "a\\..\\x", "..\\x",       "./../x",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct member m = { paths[i], "x", 0, NULL };
        assert_one(GNU, &m, ERR_ARCHIVE_PATH, NULL);
        assert_one(ZIP, &m, ERR_ARCHIVE_PATH, NULL);
    }
    assert_one(GNU, &(struct member){ "../evil", "x", 0, NULL }, ERR_ARCHIVE_PATH, "../evil");
    assert_one(GNU, &(struct member){ "../", NULL, AE_IFDIR, NULL }, ERR_ARCHIVE_PATH, "..");
    assert_one(GNU, &(struct member){ "a..b/...c", "x", 0, NULL }, ERR_OK, NULL);
}

static void paths_have_a_longest(void **state)
{
    (void)state;
    char path[4200];
    for (int len = 4095; len <= 4097; len++) {
        for (int i = 0; i < len; i++)
            path[i] = i % 100 == 99 ? '/' : 'x';
        path[len] = 0;
        path[len - 1] = 'x';
        assert_one(GNU, &(struct member){ path, "x", 0, NULL },
                   len > 4096 ? ERR_ARCHIVE_PATH : ERR_OK, NULL);
    }
}

static void names_come_as_utf8(void **state)
{
    (void)state;
    static const struct {
        enum kind kind;
        const char *path, *seen;
    } cases[] = {
        { GNU, "caf\xc3\xa9/\xe7\x8a\xac", "caf\xc3\xa9/\xe7\x8a\xac=1:x\n" },
        { PAX, "caf\xc3\xa9/\xe7\x8a\xac", "caf\xc3\xa9/\xe7\x8a\xac=1:x\n" },
        { ZIP, "caf\xc3\xa9/\xe7\x8a\xac", "caf\xc3\xa9/\xe7\x8a\xac=1:x\n" },
        { GNU, "caf\xe9/x", "caf\xef\xbf\xbd/x=1:x\n" },
        { PAX, "caf\xe9/x", "caf\xef\xbf\xbd/x=1:x\n" },
        { ZIP, "caf\xe9/x", "caf\xef\xbf\xbd/x=1:x\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b;
        make(&b, cases[i].kind, &(struct member){ cases[i].path, "x", 0, NULL }, 1);
        struct outcome o = walk(&b, b.len, &roomy);
        assert_int_equal(o.code, ERR_OK);
        assert_string_equal(o.text, cases[i].seen);
        buf_fini(&b);
    }
    /* A pax header and a zip that say UTF-8, as other writers make them. */
    struct buf b;
    make(&b, ZIP, &(struct member){ "cafXX", "x", 0, NULL }, 1);
    b.data[7] |= 8; /* general purpose bit 11 */
    memcpy(b.data + 33, "\xc3\xa9", 2);
    struct outcome o = walk(&b, b.len, &roomy);
    assert_string_equal(o.e.message, "");
    assert_string_equal(o.text, "caf\xc3\xa9=1:x\n");
    buf_fini(&b);
}

static void links_are_refused(void **state)
{
    (void)state;
    const struct member symbolic = { "train/link", NULL, AE_IFLNK, "/etc/passwd" };
    const struct member hard[] = { { "a", "x", 0, NULL }, { "train/hard", NULL, 0, "a" } };
    for (enum kind kind = USTAR; kind < KINDS; kind++) {
        assert_one(kind, &symbolic, ERR_ARCHIVE_LINK, "train/link");
        if (is_zip(kind))
            continue; /* there are none in a zip */
        struct buf b;
        make(&b, kind, hard, 2);
        assert_walk(&b, ERR_ARCHIVE_LINK, "train/hard");
        buf_fini(&b);
    }
}

static void devices_are_refused(void **state)
{
    (void)state;
    static const unsigned types[] = { AE_IFCHR, AE_IFBLK, AE_IFIFO };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const struct member m = { "train/odd", NULL, types[i], NULL };
        for (enum kind kind = USTAR; kind <= TAR_GZ; kind++)
            assert_one(kind, &m, ERR_ARCHIVE_DEVICE, "train/odd");
    }
    /* In a zip only the directory at the end says so; libarchive writes no such zip. */
    static const unsigned modes[] = { S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK };
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct buf b;
        make(&b, ZIP, three + 1, 1);
        uint8_t *record = memmem(b.data, b.len, "PK\1\2", 4);
        assert_non_null(record);
        record[41] = (uint8_t)(modes[i] >> 8);
        assert_walk(&b, modes[i] == S_IFLNK ? ERR_ARCHIVE_LINK : ERR_ARCHIVE_DEVICE, "train/a.txt");
        buf_fini(&b);
    }
}

static void entries_are_limited(void **state)
{
    (void)state;
    for (enum kind kind = USTAR; kind < KINDS; kind++) {
        struct buf b;
        struct archive_limits limits = roomy;
        make(&b, kind, three, THREE);
        limits.max_entries = THREE;
        assert_int_equal(walk(&b, b.len, &limits).code, ERR_OK);
        limits.max_entries = THREE - 1;
        struct outcome o = walk(&b, b.len, &limits);
        assert_int_equal(o.code, ERR_ARCHIVE_ENTRIES);
        assert_non_null(strstr(o.e.message, "3 members"));
        assert_int_equal(o.files, 2);
        buf_fini(&b);
    }
}

static void what_is_unpacked_is_limited(void **state)
{
    (void)state;
    for (enum kind kind = USTAR; kind < KINDS; kind++) {
        struct buf b;
        struct archive_limits limits = roomy;
        make(&b, kind, three, THREE);
        limits.max_unpacked = 46;
        assert_int_equal(walk(&b, b.len, &limits).code, ERR_OK);
        limits.max_unpacked = 45;
        struct outcome o = walk(&b, b.len, &limits);
        assert_int_equal(o.code, ERR_ARCHIVE_BOMB);
        assert_non_null(strstr(o.e.message, "val/c"));
        assert_non_null(strstr(o.e.message, "45 bytes"));
        buf_fini(&b);
    }
}

static void a_member_over_the_limit_is_told_and_passed_over(void **state)
{
    (void)state;
    const struct member members[] = { { "a", "12345", 0, NULL },
                                      { "b", "123456", 0, NULL },
                                      { "c", "1", 0, NULL } };
    for (enum kind kind = USTAR; kind < KINDS; kind++) {
        struct buf b;
        struct archive_limits limits = roomy;
        make(&b, kind, members, 3);
        limits.max_member = 5;
        struct outcome o = walk(&b, b.len, &limits);
        assert_int_equal(o.code, ERR_OK);
        assert_string_equal(o.text, "a=5:12345\nb=6:(too large)\nc=1:1\n");
        buf_fini(&b);
    }
}

static void add_zeros(struct archive *a, const char *path, size_t len)
{
    static const char zeros[65536];
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, path);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_size(entry, (la_int64_t)len);
    assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
    for (size_t at = 0; at < len; at += sizeof zeros)
        assert_int_equal(archive_write_data(a, zeros, sizeof zeros), sizeof zeros);
    archive_entry_free(entry);
}

static void a_bomb_is_refused_before_it_is_unpacked(void **state)
{
    (void)state;
    static const enum kind kinds[] = { TAR_GZ, ZIP };
    for (size_t k = 0; k < 2; k++) {
        for (size_t members = 1; members <= 100; members += 99) {
            struct buf b;
            struct archive *a = begin(&b, kinds[k]);
            char path[20];
            for (size_t i = 0; i < members; i++) {
                snprintf(path, sizeof path, "zeros%zu", i);
                add_zeros(a, path, (128 << 20) / 65536 / members * 65536);
            }
            end(a);
            assert_true(b.len < 1 << 20);
            assert_walk(&b, ERR_ARCHIVE_BOMB, "zeros");
            buf_fini(&b);
        }
    }
}

/* Headers with an enormous hole and next to no data. */
static void holes_count_as_what_they_unpack_to(void **state)
{
    (void)state;
    struct buf b;
    struct archive *a = begin(&b, PAX);
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, "sparse");
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_size(entry, 100000);
    archive_entry_sparse_add_entry(entry, 50000, 512);
    assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
    char *bytes = calloc(1, 100000);
    assert_non_null(bytes);
    bytes[50000] = 'x';
    assert_true(archive_write_data(a, bytes, 100000) > 0);
    free(bytes);
    archive_entry_free(entry);
    end(a);
    assert_true(b.len < 20000);

    struct archive_limits limits = roomy;
    limits.max_unpacked = 100000;
    struct outcome o = walk(&b, b.len, &limits);
    assert_int_equal(o.code, ERR_OK);
    assert_non_null(strstr(o.text, "=100000:("));
    limits.max_unpacked = 99999;
    assert_int_equal(walk(&b, b.len, &limits).code, ERR_ARCHIVE_BOMB);
    limits = roomy;
    limits.max_member = 99999;
    o = walk(&b, b.len, &limits);
    assert_non_null(strstr(o.text, "=100000:(too large)"));
    buf_fini(&b);
}

/* No cut of any archive passes for a whole one. */
static void every_cut_is_noticed(void **state)
{
    (void)state;
    for (enum kind kind = USTAR; kind < KINDS; kind++) {
        struct buf b;
        make(&b, kind, three, THREE);
        size_t whole = b.len;
        if (kind < TAR_GZ) {
            /* One zero block ends a tar; the padding behind it means nothing. */
            while (b.data[whole - 1] == 0)
                whole--;
            whole = (whole + 511) / 512 * 512 + 512;
        }
        for (size_t len = 0; len < whole; len++) {
            struct outcome o = walk(&b, len, &roomy);
            bool allowed = o.code == ERR_ARCHIVE_FORMAT && len < 512;
            /* A zip cut inside a data descriptor: newer libarchives read its checksum as wrong. */
            allowed = allowed || (is_zip(kind) && o.code == ERR_ARCHIVE_CORRUPT);
            if (o.code != ERR_ARCHIVE_TRUNCATED && !allowed)
                print_error("kind %d cut at %zu of %zu: %s %s\n", (int)kind, len, whole,
                            err_slug(o.code), o.e.message);
            assert_true(o.code == ERR_ARCHIVE_TRUNCATED || allowed);
        }
        assert_int_equal(walk(&b, whole, &roomy).code, ERR_OK);
        buf_fini(&b);
    }
}

static void several_gzip_members_are_one_stream(void **state)
{
    (void)state;
    struct buf tar, first, second;
    make(&tar, USTAR, three, THREE);
    for (int half = 0; half < 2; half++) {
        struct buf *b = half ? &second : &first;
        buf_init(b, 1 << 20);
        struct archive *a = archive_write_new();
        archive_write_set_bytes_in_last_block(a, 1);
        archive_write_set_format_raw(a);
        archive_write_add_filter_gzip(a);
        assert_int_equal(archive_write_open(a, b, NULL, to_buf, NULL), ARCHIVE_OK);
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_filetype(entry, AE_IFREG);
        assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
        size_t len = half ? tar.len - 1000 : 1000;
        assert_int_equal(archive_write_data(a, tar.data + half * 1000, len), len);
        archive_entry_free(entry);
        end(a);
    }
    assert_int_equal(buf_append(&first, second.data, second.len, NULL), ERR_OK);
    assert_string_equal(walk(&first, first.len, &roomy).text, three_seen);
    size_t whole = first.len;
    assert_int_equal(buf_append(&first, "\0\0\0\0", 4, NULL), ERR_OK);
    assert_string_equal(walk(&first, first.len, &roomy).text, three_seen);
    assert_int_equal(walk(&first, whole - 1, &roomy).code, ERR_ARCHIVE_TRUNCATED);
    /* The checksum at the very end. */
    first.data[whole - 6] ^= 1;
    assert_walk(&first, ERR_ARCHIVE_CORRUPT, "gzip");
    buf_fini(&tar);
    buf_fini(&first);
    buf_fini(&second);

    /* Of a zip in gzip nothing is taken to be in order. */
    make(&first, ZIP, three, THREE);
    buf_init(&second, 1 << 20);
    struct archive *a = archive_write_new();
    archive_write_set_format_raw(a);
    archive_write_add_filter_gzip(a);
    assert_int_equal(archive_write_open(a, &second, NULL, to_buf, NULL), ARCHIVE_OK);
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_filetype(entry, AE_IFREG);
    assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, first.data, first.len), first.len);
    archive_entry_free(entry);
    end(a);
    assert_walk(&second, ERR_ARCHIVE_FORMAT, "zip inside gzip");
    buf_fini(&first);
    buf_fini(&second);
}

/* No damage crashes, hangs or is taken for something else; where a checksum covers it, it is
 * noticed. */
static void every_flip_is_harmless(void **state)
{
    (void)state;
    for (enum kind kind = USTAR; kind < KINDS; kind++) {
        struct buf b;
        make(&b, kind, three, THREE);
        size_t len = b.len < 4000 ? b.len : 4000;
        for (size_t i = 0; i < len * 8; i += 3) {
            b.data[i / 8] ^= (uint8_t)(1 << i % 8);
            struct outcome o = walk(&b, b.len, &roomy);
            assert_true(o.code == ERR_OK || !err_is_fault(o.code));
            b.data[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        assert_int_equal(walk(&b, b.len, &roomy).code, ERR_OK);
        buf_fini(&b);
    }
}

/* Text that does not shrink much. */
static void make_noise(char *ret, size_t size)
{
    uint32_t seed = 1;
    for (size_t i = 0; i < size - 1; i++) {
        seed = seed * 1664525 + 1013904223;
        ret[i] = (char)('!' + (seed >> 24) % 90);
    }
    ret[size - 1] = 0;
}

static void damage_is_told_from_an_early_end(void **state)
{
    (void)state;
    struct buf b;
    make(&b, USTAR, three, THREE);
    b.data[512 + 10] ^= 1; /* the second header's name, under its checksum */
    assert_walk(&b, ERR_ARCHIVE_CORRUPT, NULL);
    buf_fini(&b);

    for (enum kind kind = ZIP; kind < KINDS; kind++) {
        make(&b, kind, three, THREE);
        /* The text of the last member no longer has its CRC-32. */
        uint8_t *name = memmem(b.data, b.len, "./val//./c", 10);
        assert_non_null(name);
        uint8_t *data = name + 10 + (name[-2] | name[-1] << 8);
        data[3] ^= 0x20;
        struct outcome o = walk(&b, b.len, &roomy);
        /* A stream of unknown size may then only end with the upload. */
        bool endless = kind != ZIP && o.code == ERR_ARCHIVE_TRUNCATED;
        assert_true(o.code == ERR_ARCHIVE_CORRUPT || endless);
        buf_fini(&b);
    }

    /* The last member's header is not seen at all, only the directory misses it. */
    make(&b, ZIP_STORED, three, THREE);
    uint8_t *header = memmem(b.data, b.len, "./val", 5);
    assert_non_null(header);
    header[-30] = 'Q';
    assert_walk(&b, ERR_ARCHIVE_CORRUPT, "lists 4 members");
    buf_fini(&b);

    char noise[5001];
    make_noise(noise, sizeof noise);
    make(&b, TAR_GZ, &(struct member){ "noise", noise, 0, NULL }, 1);
    assert_walk(&b, ERR_OK, NULL);
    memset(b.data + 2000, 0xff, 200);
    assert_walk(&b, ERR_ARCHIVE_CORRUPT, NULL);
    memset(b.data + 2000, 0xff, b.len - 2000);
    assert_walk(&b, ERR_ARCHIVE_CORRUPT, NULL);
    buf_fini(&b);
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

/* A zip as seekable writers make it, sizes in the header; libarchive writes them behind the data.
 */
static void a_member_that_ends_too_early_is_damage(void **state)
{
    (void)state;
    struct buf b;
    char noise[5001];
    make_noise(noise, sizeof noise);
    const struct member members[] = { three[1], { "noise", noise, 0, NULL } };
    make(&b, ZIP, members, 2);
    const uint8_t *record = memmem(b.data, b.len, "PK\1\2", 4);
    assert_non_null(record);
    memcpy(b.data + 14, record + 16, 12); /* CRC-32, both sizes */
    b.data[6] &= (uint8_t)~8u;
    assert_walk(&b, ERR_OK, NULL);
    put_u32(b.data + 18, b.data[18] - 2u);
    assert_walk(&b, ERR_ARCHIVE_CORRUPT, "train/a.txt");
    buf_fini(&b);
}

/* Padding, as tapes have it, is a part of the upload. */
static void the_source_is_taken_to_its_end(void **state)
{
    (void)state;
    struct buf b;
    make(&b, USTAR, three, THREE);
    assert_int_equal(buf_reserve(&b, 300000, NULL), ERR_OK);
    memset(b.data + b.len, 0, 300000);
    b.len += 300000;
    struct feed f = { b.data, b.len, 0, 1000, SIZE_MAX, false };
    assert_int_equal(walk_feed(&f, &roomy, 0).code, ERR_OK);
    assert_true(f.ended);
    f = (struct feed){ b.data, b.len, 0, 1000, 290000, false };
    assert_int_equal(walk_feed(&f, &roomy, 0).code, ERR_BODY_INCOMPLETE);
    buf_fini(&b);
}

static void encrypted_zips_are_refused_as_such(void **state)
{
    (void)state;
    struct buf b;
    make(&b, ZIP, three, THREE);
    uint8_t *name = memmem(b.data, b.len, "train/a.txt", 11);
    assert_non_null(name);
    name[-30 + 6] |= 1; /* general purpose bit 0 */
    assert_walk(&b, ERR_ARCHIVE_FORMAT, "encrypted");
    buf_fini(&b);
}

static void the_sources_error_is_the_walks(void **state)
{
    (void)state;
    for (enum kind kind = USTAR; kind < KINDS; kind++) {
        struct buf b;
        make(&b, kind, three, THREE);
        for (size_t at = 0; at <= b.len; at += at < 600 ? 1 : 97) {
            struct feed f = { b.data, b.len, 0, 50, at, false };
            struct outcome o = walk_feed(&f, &roomy, 0);
            assert_int_equal(o.code, ERR_BODY_INCOMPLETE);
            assert_string_equal(o.e.message, "the upload broke off");
        }
        buf_fini(&b);
    }
}

static void the_receivers_error_stops_the_walk(void **state)
{
    (void)state;
    struct buf b;
    make(&b, USTAR, three, THREE);
    struct feed f = { b.data, b.len, 0, SIZE_MAX, SIZE_MAX, false };
    struct outcome o = walk_feed(&f, &roomy, 2);
    assert_int_equal(o.code, ERR_CANCELLED);
    assert_string_equal(o.e.message, "enough");
    assert_int_equal(o.files, 2);
    buf_fini(&b);
}

/* ---- folders */

struct fixture {
    char folder[64];
};

static int set_up(void **state)
{
    static struct fixture f;
    strcpy(f.folder, "/tmp/kennel-archive-XXXXXX");
    *state = &f;
    return mkdtemp(f.folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    return file_remove_tree(f->folder, NULL) == ERR_OK ? 0 : -1;
}

static void below(const struct fixture *f, const char *name, char ret[200])
{
    snprintf(ret, 200, "%s/%s", f->folder, name);
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[200];
    below(f, name, path);
    char *slash = strrchr(path, '/');
    *slash = 0;
    assert_int_equal(file_mkdirs(path, NULL), ERR_OK);
    *slash = '/';
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), ERR_OK);
}

static struct outcome walk_folder(const char *folder, const struct archive_limits *limits,
                                  int stop_at)
{
    struct outcome o = { 0 };
    struct seen s = { .stop_at = stop_at };
    buf_init(&s.text, sizeof o.text - 1);
    o.code = archive_walk_folder(folder, limits, see, &s, &o.e);
    if (s.text.data)
        strcpy(o.text, (char *)s.text.data);
    o.files = s.files;
    buf_fini(&s.text);
    return o;
}

static void a_folder_is_walked_in_order(void **state)
{
    const struct fixture *f = *state;
    write_file(f, "val/c", "gamma");
    write_file(f, "train/b", "");
    write_file(f, "train/a/x", "123456");
    write_file(f, "train/a.txt", "12345");
    write_file(f, "Train/\xff", "y");
    struct archive_limits limits = roomy;
    limits.max_member = 5;
    limits.max_entries = 9;
    limits.max_unpacked = 17;
    struct outcome o = walk_folder(f->folder, &limits, 0);
    assert_int_equal(o.code, ERR_OK);
    assert_string_equal(o.text, "Train/\xef\xbf\xbd=1:y\ntrain/a/x=6:(too large)\n"
                                "train/a.txt=5:12345\ntrain/b=0:\nval/c=5:gamma\n");
    limits.max_entries = 8;
    assert_int_equal(walk_folder(f->folder, &limits, 0).code, ERR_ARCHIVE_ENTRIES);
    limits.max_entries = 9;
    limits.max_unpacked = 16;
    o = walk_folder(f->folder, &limits, 0);
    assert_int_equal(o.code, ERR_ARCHIVE_BOMB);
    assert_non_null(strstr(o.e.message, "val/c"));
    o = walk_folder(f->folder, &roomy, 3);
    assert_int_equal(o.code, ERR_CANCELLED);
    assert_int_equal(o.files, 3);
}

static void links_in_a_folder_are_refused(void **state)
{
    const struct fixture *f = *state;
    static const char *const targets[] = { "/etc/passwd", "/etc", "a", "absent", "." };
    char path[200];
    write_file(f, "train/a", "x");
    below(f, "train/link", path);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        assert_int_equal(symlink(targets[i], path), 0);
        struct outcome o = walk_folder(f->folder, &roomy, 0);
        assert_int_equal(o.code, ERR_ARCHIVE_LINK);
        assert_non_null(strstr(o.e.message, "train/link"));
        assert_string_equal(o.text, "train/a=1:x\n");
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(symlink("train", path), 0);
    assert_int_equal(walk_folder(path, &roomy, 0).code, ERR_ARCHIVE_LINK);
}

static void devices_in_a_folder_are_refused(void **state)
{
    const struct fixture *f = *state;
    char path[200];
    below(f, "odd", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct outcome o = walk_folder(f->folder, &roomy, 0);
    assert_int_equal(o.code, ERR_ARCHIVE_DEVICE);
    assert_non_null(strstr(o.e.message, "odd"));
    assert_int_equal(unlink(path), 0);

    CLEANUP(cleanup_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%.80s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(walk_folder(f->folder, &roomy, 0).code, ERR_ARCHIVE_DEVICE);
}

static void what_is_no_folder(void **state)
{
    const struct fixture *f = *state;
    char path[200];
    below(f, "absent", path);
    struct outcome o = walk_folder(path, &roomy, 0);
    assert_int_equal(o.code, ERR_IO);
    assert_non_null(strstr(o.e.message, "absent"));
    write_file(f, "file", "x");
    below(f, "file", path);
    assert_int_equal(walk_folder(path, &roomy, 0).code, ERR_IO);
    assert_int_equal(unlink(path), 0);
    o = walk_folder(f->folder, &roomy, 0);
    assert_int_equal(o.code, ERR_OK);
    assert_int_equal(o.files, 0);
}

static void folders_have_a_depth(void **state)
{
    const struct fixture *f = *state;
    for (int depth = 32; depth <= 33; depth++) {
        char name[100] = "";
        for (int i = 0; i < depth; i++)
            strcat(name, "d/");
        strcat(name, "x");
        write_file(f, name, "x");
        assert_int_equal(walk_folder(f->folder, &roomy, 0).code,
                         depth > 32 ? ERR_ARCHIVE_PATH : ERR_OK);
    }
}

int main(void)
{
#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_in_pieces_of_any_size),
        cmocka_unit_test(an_archive_without_files_is_one),
        cmocka_unit_test(what_is_no_archive_is_refused),
        cmocka_unit_test(paths_that_lead_out_are_refused),
        cmocka_unit_test(paths_have_a_longest),
        cmocka_unit_test(names_come_as_utf8),
        cmocka_unit_test(links_are_refused),
        cmocka_unit_test(devices_are_refused),
        cmocka_unit_test(entries_are_limited),
        cmocka_unit_test(what_is_unpacked_is_limited),
        cmocka_unit_test(a_member_over_the_limit_is_told_and_passed_over),
        cmocka_unit_test(a_bomb_is_refused_before_it_is_unpacked),
        cmocka_unit_test(holes_count_as_what_they_unpack_to),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(several_gzip_members_are_one_stream),
        cmocka_unit_test(every_flip_is_harmless),
        cmocka_unit_test(damage_is_told_from_an_early_end),
        cmocka_unit_test(a_member_that_ends_too_early_is_damage),
        cmocka_unit_test(the_source_is_taken_to_its_end),
        cmocka_unit_test(encrypted_zips_are_refused_as_such),
        cmocka_unit_test(the_sources_error_is_the_walks),
        cmocka_unit_test(the_receivers_error_stops_the_walk),
        FOLDER_TEST(a_folder_is_walked_in_order),
        FOLDER_TEST(links_in_a_folder_are_refused),
        FOLDER_TEST(devices_in_a_folder_are_refused),
        FOLDER_TEST(what_is_no_folder),
        FOLDER_TEST(folders_have_a_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

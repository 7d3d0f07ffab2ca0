#include "nn/checkpoint.h"

#include "data/base/cleanup.h"
#include "data/base/file.h"
#include "data/base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

enum { HEADER_MAX = 1 << 24, PIECE = 1 << 20 };
static const char magic[8] = { 'K', 'N', 'L', 'C', 'K', 'P', 'T', '1' };

struct stream {
    int fd;
    const char *path;
    uint32_t crc;
};

static enum err_code put(struct stream *s, const void *bytes, size_t len, struct err *e)
{
    if (len == 0) /* zlib takes no bytes at NULL for a wish to begin anew */
        return ERR_OK;
    s->crc = (uint32_t)crc32_z(s->crc, bytes, len);
    return file_write_all(s->fd, bytes, len, s->path, e);
}

static enum err_code put_all(struct stream *s, const struct buf *header,
                             const struct checkpoint_array *arrays, size_t count, struct err *e)
{
    uint64_t len = header->len;
    enum err_code r = put(s, magic, sizeof magic, e);
    if (!r)
        r = put(s, &len, sizeof len, e);
    if (!r)
        r = put(s, header->data, header->len, e);
    for (size_t i = 0; !r && i < count; i++) {
        len = arrays[i].count;
        r = put(s, &len, sizeof len, e);
        if (!r)
            r = put(s, arrays[i].data, arrays[i].count * sizeof(float), e);
    }
    uint32_t crc = s->crc;
    if (!r)
        r = put(s, &crc, sizeof crc, e);
    if (!r && fsync(s->fd) < 0)
        r = err_errno(e, errno, "cannot sync %s", s->path);
    return r;
}

static enum err_code sync_folder(const char *path, struct err *e)
{
    CLEANUP(cleanup_free) char *folder = strdup(path);
    if (!folder)
        return err_set(e, ERR_NOMEM, "no memory for a checkpoint");
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    return file_sync_dir(slash ? folder : ".", e);
}

enum err_code checkpoint_write(const char *path, const json_t *header,
                               const struct checkpoint_array *arrays, size_t count, struct err *e)
{
    CLEANUP(cleanup_free) char *beside = NULL;
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, HEADER_MAX);
    enum err_code r = file_path(&beside, e, "%s.new", path);
    if (!r)
        r = json_write(header, &text, e);
    if (r)
        return r;
    CLEANUP(cleanup_fd) int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, errno, "cannot write %s", beside);
    struct stream s = { .fd = fd, .path = beside };
    r = put_all(&s, &text, arrays, count, e);
    if (!r && rename(beside, path) < 0)
        r = err_errno(e, errno, "cannot rename %s", beside);
    if (r) {
        unlink(beside);
        return r;
    }
    return sync_folder(path, e);
}

/* False at the end of the file and on an error alike. */
static bool get(struct stream *s, void *bytes, size_t len)
{
    uint8_t *into = bytes;
    if (len == 0)
        return true;
    for (size_t at = 0; at < len;) {
        ssize_t n = read(s->fd, into + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    s->crc = (uint32_t)crc32_z(s->crc, bytes, len);
    return true;
}

/* Stands before the first array then. */
static bool get_header(struct stream *s, struct buf *ret)
{
    char found[sizeof magic];
    uint64_t len = 0;
    if (!get(s, found, sizeof found) || memcmp(found, magic, sizeof magic) != 0 ||
        !get(s, &len, sizeof len) || len > HEADER_MAX || buf_reserve(ret, len, NULL) != ERR_OK ||
        !get(s, ret->data, len))
        return false;
    ret->len = len;
    buf_terminate(ret);
    return true;
}

/* The rest of the file, with its checksum. */
static bool check_rest(struct stream *s)
{
    CLEANUP(cleanup_free) uint8_t *piece = malloc(PIECE);
    off_t at = lseek(s->fd, 0, SEEK_CUR), end = lseek(s->fd, 0, SEEK_END);
    uint32_t crc = 0;
    if (!piece || at < 0 || end < at + (off_t)sizeof crc || lseek(s->fd, at, SEEK_SET) < 0)
        return false;
    for (off_t left = end - at - (off_t)sizeof crc; left > 0;) {
        size_t len = left < PIECE ? (size_t)left : PIECE;
        if (!get(s, piece, len))
            return false;
        left -= (off_t)len;
    }
    uint32_t expected = s->crc;
    return get(s, &crc, sizeof crc) && crc == expected;
}

enum err_code checkpoint_header(const char *path, json_t **ret_header, struct err *e)
{
    CLEANUP(buf_fini) struct buf text;
    CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    buf_init(&text, HEADER_MAX);
    if (fd < 0 && errno != ENOENT)
        return err_errno(e, errno, "cannot read %s", path);
    struct stream s = { .fd = fd, .path = path };
    json_t *header = NULL;
    if (fd >= 0 && get_header(&s, &text) && check_rest(&s) &&
        json_read((const char *)text.data, text.len, &header, NULL) != ERR_OK)
        header = NULL;
    *ret_header = header;
    return ERR_OK;
}

enum err_code checkpoint_read(const char *path, const struct checkpoint_array *arrays, size_t count,
                              struct err *e)
{
    CLEANUP(buf_fini) struct buf text;
    CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    buf_init(&text, HEADER_MAX);
    if (fd < 0)
        return err_errno(e, errno, "cannot read %s", path);
    struct stream s = { .fd = fd, .path = path };
    if (!get_header(&s, &text))
        return err_set(e, ERR_IO, "cannot read %s", path);
    for (size_t i = 0; i < count; i++) {
        uint64_t len = 0;
        if (!get(&s, &len, sizeof len))
            return err_set(e, ERR_IO, "cannot read %s", path);
        if (len != arrays[i].count)
            return err_set(e, ERR_INTERNAL, "%s: array %zu has %" PRIu64 " numbers, expected %zu",
                           path, i, len, arrays[i].count);
        if (!get(&s, arrays[i].data, len * sizeof(float)))
            return err_set(e, ERR_IO, "cannot read %s", path);
    }
    return ERR_OK;
}

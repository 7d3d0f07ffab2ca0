#include "data/feature_cache.h"

#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <zlib.h>

/* The file; all numbers little-endian:
 *
 *   offset  bytes  header
 *        0      8  "KNLFEAT\n"
 *        8      4  format version, 1
 *       12      4  width
 *       16     32  key
 *       48      4  CRC-32 of bytes 0..47
 *       52     12  zero
 *
 *   offset  bytes  record n, at 64 + n * (40 + 4 * width)
 *        0     32  picture digest
 *       32      4  view
 *       36  4*width  float32
 *  36+4*width   4  CRC-32 of all before it in the record
 *
 * Invariants
 *  1. Records are only appended; [0, end) on the disk is never written again.
 *  2. Bytes past the last whole record are nobody's: cut off at opening, overwritten by the next
 *     append.
 *  3. A file whose header is not this one holds nothing and is begun anew: it is a cache.
 *  4. Of two records with one key the later counts. A checksum is looked at when the record is
 *     asked for, not at opening, so that opening costs 36 bytes a record. */
enum {
    HEADER_BYTES = 64,
    HEADER_CHECKED = 48,
    KEY_BYTES = DIGEST_BYTES + 4,
    FORMAT_VERSION = 1,
    WIDTH_MAX = 1 << 20,
    PENDING_BYTES = 1 << 20,
    LOCK_POLL_MS = 5,
};

/* Half a digest tells pictures apart; the record has all of it. */
struct slot {
    uint8_t half[DIGEST_BYTES / 2];
    uint32_t view;
    uint32_t record; /* number + 1; 0: free */
};
#define RECORD_UNSOUND UINT32_MAX /* the slot's key is known to have no sound record */

struct feature_cache {
    char *path;
    char *folder;
    int fd;
    int width;
    size_t record_bytes;
    uint64_t stored;      /* records in the file */
    uint8_t *pending;     /* records behind them, not yet written */
    size_t pending_count; /* in records */
    size_t pending_max;
    uint8_t *scratch; /* one record */
    struct slot *slots;
    size_t slot_count; /* a power of two */
    size_t used;       /* slots that are not free */
    size_t sound;      /* of them, without those known to be unsound */
    bool is_shared;    /* the writer's lock has been given up */
    bool is_new;       /* the folder has not been synced since the file was made */
};

CLEANUP_DEFINE(struct feature_cache, feature_cache_close);

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t checksum(const uint8_t *bytes, size_t len)
{
    return (uint32_t)crc32(0, bytes, (uInt)len);
}

static const uint8_t magic[8] = { 'K', 'N', 'L', 'F', 'E', 'A', 'T', '\n' };

static void make_header(const struct digest *key, int width, uint8_t ret[HEADER_BYTES])
{
    memset(ret, 0, HEADER_BYTES);
    memcpy(ret, magic, sizeof magic);
    put_u32(ret + 8, FORMAT_VERSION);
    put_u32(ret + 12, (uint32_t)width);
    memcpy(ret + 16, key->bytes, DIGEST_BYTES);
    put_u32(ret + HEADER_CHECKED, checksum(ret, HEADER_CHECKED));
}

static off_t record_at(const struct feature_cache *c, uint64_t record)
{
    return (off_t)(HEADER_BYTES + record * c->record_bytes);
}

/* False at the end of the file and on an error alike. */
static bool read_at(int fd, void *bytes, size_t len, off_t at)
{
    uint8_t *into = bytes;
    while (len) {
        ssize_t n = pread(fd, into, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        into += n;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* The key's slot, or the free one where it belongs. There always is a free one. */
static struct slot *find_slot(struct slot *slots, size_t count, const uint8_t *half, uint32_t view)
{
    uint64_t hash;
    memcpy(&hash, half, sizeof hash);
    hash += view * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = (size_t)hash & (count - 1);; i = (i + 1) & (count - 1)) {
        struct slot *s = &slots[i];
        if (s->record == 0 || (s->view == view && memcmp(s->half, half, sizeof s->half) == 0))
            return s;
    }
}

/* Room for one more key at a load of three quarters. */
static enum err_code reserve_slot(struct feature_cache *c, struct err *e)
{
    if (c->slots && c->used + 1 <= c->slot_count / 4 * 3)
        return ERR_OK;
    size_t count = c->slots ? c->slot_count * 2 : 1024;
    struct slot *slots = calloc(count, sizeof *slots);
    if (!slots)
        return err_set(e, ERR_NOMEM, "no memory for the index of %s", c->path);
    for (size_t i = 0; c->slots && i < c->slot_count; i++) {
        const struct slot *s = &c->slots[i];
        if (s->record)
            *find_slot(slots, count, s->half, s->view) = *s;
    }
    free(c->slots);
    c->slots = slots;
    c->slot_count = count;
    return ERR_OK;
}

/* After reserve_slot(). */
static void index_record(struct feature_cache *c, const uint8_t *half, uint32_t view,
                         uint64_t record)
{
    struct slot *s = find_slot(c->slots, c->slot_count, half, view);
    if (s->record == 0) {
        memcpy(s->half, half, sizeof s->half);
        s->view = view;
        c->used++;
    }
    if (s->record == 0 || s->record == RECORD_UNSOUND)
        c->sound++;
    s->record = (uint32_t)record + 1;
}

static enum err_code read_index(struct feature_cache *c, struct err *e)
{
    for (uint64_t i = 0; i < c->stored; i++) {
        uint8_t key[KEY_BYTES];
        if (!read_at(c->fd, key, sizeof key, record_at(c, i)))
            return err_errno(e, errno, "cannot read %s", c->path);
        enum err_code r = reserve_slot(c, e);
        if (r)
            return r;
        index_record(c, key, get_u32(key + DIGEST_BYTES), i);
    }
    return reserve_slot(c, e);
}

static enum err_code take_lock(const struct feature_cache *c, int wait_ms, struct err *e)
{
    int64_t deadline = clock_monotonic_us() + (int64_t)wait_ms * 1000;
    while (flock(c->fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_errno(e, errno, "cannot lock %s", c->path);
        if (clock_monotonic_us() >= deadline)
            return err_set(e, ERR_BUSY, "%s is in use by another process (waited %d ms)", c->path,
                           wait_ms);
        /* flock() has no timeout of its own. */
        nanosleep(&(struct timespec){ .tv_nsec = LOCK_POLL_MS * 1000000L }, NULL);
    }
    return ERR_OK;
}

/* What is removed while one waits for the lock would be written for nobody. */
static enum err_code open_locked(struct feature_cache *c, int wait_ms, struct err *e)
{
    for (;;) {
        struct stat st;
        c->fd = open(c->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (c->fd < 0)
            return err_errno(e, errno, "cannot open %s", c->path);
        enum err_code r = take_lock(c, wait_ms, e);
        if (r)
            return r;
        if (fstat(c->fd, &st) < 0)
            return err_errno(e, errno, "cannot read %s", c->path);
        if (st.st_nlink)
            return ERR_OK;
        cleanup_fd(&c->fd);
    }
}

/* Under the lock: what is there is kept when its header is ours. */
static enum err_code adopt_file(struct feature_cache *c, const struct digest *key, struct err *e)
{
    struct stat st;
    if (fstat(c->fd, &st) < 0)
        return err_errno(e, errno, "cannot read %s", c->path);
    uint8_t expected[HEADER_BYTES], found[HEADER_BYTES];
    make_header(key, c->width, expected);
    if (st.st_size >= HEADER_BYTES && read_at(c->fd, found, sizeof found, 0) &&
        memcmp(found, expected, sizeof found) == 0) {
        uint64_t stored = (uint64_t)(st.st_size - HEADER_BYTES) / c->record_bytes;
        c->stored = stored < UINT32_MAX - 1 ? stored : UINT32_MAX - 2;
        if (st.st_size > record_at(c, c->stored) && ftruncate(c->fd, record_at(c, c->stored)) < 0)
            return err_errno(e, errno, "cannot cut off the torn end of %s", c->path);
        return ERR_OK;
    }
    c->is_new = true;
    if (ftruncate(c->fd, 0) < 0)
        return err_errno(e, errno, "cannot begin %s anew", c->path);
    return file_write_all(c->fd, expected, sizeof expected, c->path, e);
}

enum err_code feature_cache_open(const char *folder, const struct digest *key, int width,
                                 int wait_ms, struct feature_cache **ret, struct err *e)
{
    if (width < 1 || width > WIDTH_MAX)
        return err_set(e, ERR_INTERNAL, "a feature vector must have 1 to %d numbers, not %d",
                       WIDTH_MAX, width);
    CLEANUP(feature_cache_close_p) struct feature_cache *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_NOMEM, "no memory for a feature cache");
    c->fd = -1;
    c->width = width;
    c->record_bytes = KEY_BYTES + (size_t)width * 4 + 4;
    c->pending_max = PENDING_BYTES / c->record_bytes;
    if (c->pending_max == 0)
        c->pending_max = 1;
    char hex[DIGEST_HEX + 1];
    digest_hex(key, hex);
    enum err_code r = file_path(&c->path, e, "%s/%s", folder, hex);
    if (!r)
        r = file_path(&c->folder, e, "%s", folder);
    if (r)
        return r;
    c->scratch = malloc(c->record_bytes);
    c->pending = malloc(c->pending_max * c->record_bytes);
    if (!c->scratch || !c->pending)
        return err_set(e, ERR_NOMEM, "no memory for the feature cache %s", c->path);

    r = file_mkdirs(folder, e);
    if (r)
        return r;
    r = open_locked(c, wait_ms, e);
    if (!r)
        r = adopt_file(c, key, e);
    /* Says when it was last used (data/feature_folder.h); without that it only goes sooner. */
    if (!r && futimens(c->fd, NULL) < 0) {
    }
    if (!r)
        r = read_index(c, e);
    if (r)
        return r;
    *ret = STEAL(c);
    return ERR_OK;
}

/* On failure the records stay pending and can still be read. */
static enum err_code write_out(struct feature_cache *c, struct err *e)
{
    if (c->pending_count == 0)
        return ERR_OK;
    off_t end = record_at(c, c->stored);
    if (lseek(c->fd, end, SEEK_SET) < 0)
        return err_errno(e, errno, "cannot write %s", c->path);
    enum err_code r =
        file_write_all(c->fd, c->pending, c->pending_count * c->record_bytes, c->path, e);
    if (r) {
        /* Only gives the space back; were it left, opening would cut it off. */
        if (ftruncate(c->fd, end) < 0) {
        }
        return r;
    }
    c->stored += c->pending_count;
    c->pending_count = 0;
    return ERR_OK;
}

void feature_cache_close(struct feature_cache *c)
{
    if (!c)
        return;
    /* Whoever has to know calls _flush() before. */
    if (c->fd >= 0 && write_out(c, NULL) != ERR_OK)
        c->pending_count = 0;
    cleanup_fd(&c->fd);
    free(c->slots);
    free(c->pending);
    free(c->scratch);
    free(c->folder);
    free(c->path);
    free(c);
}

static const uint8_t *load(struct feature_cache *c, uint64_t record)
{
    if (record >= c->stored)
        return c->pending + (size_t)(record - c->stored) * c->record_bytes;
    return read_at(c->fd, c->scratch, c->record_bytes, record_at(c, record)) ? c->scratch : NULL;
}

static bool is_sound(const struct feature_cache *c, const uint8_t *record,
                     const struct digest *picture)
{
    size_t checked = c->record_bytes - 4;
    return record && checksum(record, checked) == get_u32(record + checked) &&
           memcmp(record, picture->bytes, DIGEST_BYTES) == 0;
}

bool feature_cache_get(struct feature_cache *c, const struct digest *picture, int view, float *ret)
{
    struct slot *s = find_slot(c->slots, c->slot_count, picture->bytes, (uint32_t)view);
    if (s->record == 0 || s->record == RECORD_UNSOUND)
        return false;
    const uint8_t *record = load(c, s->record - 1);
    if (!is_sound(c, record, picture)) {
        s->record = RECORD_UNSOUND;
        c->sound--;
        return false;
    }
    for (int i = 0; i < c->width; i++) {
        uint32_t bits = get_u32(record + KEY_BYTES + 4 * (size_t)i);
        memcpy(&ret[i], &bits, sizeof bits);
    }
    return true;
}

enum err_code feature_cache_put(struct feature_cache *c, const struct digest *picture, int view,
                                const float *vector, struct err *e)
{
    if (c->is_shared)
        return err_set(e, ERR_BUSY, "%s has been given to other writers", c->path);
    enum err_code r = reserve_slot(c, e);
    if (!r && c->pending_count == c->pending_max)
        r = write_out(c, e);
    if (r)
        return r;
    uint64_t number = c->stored + c->pending_count;
    if (number >= RECORD_UNSOUND - 1)
        return err_set(e, ERR_DISK_FULL, "%s holds as many records as it can", c->path);

    uint8_t *record = c->pending + c->pending_count * c->record_bytes;
    memcpy(record, picture->bytes, DIGEST_BYTES);
    put_u32(record + DIGEST_BYTES, (uint32_t)view);
    for (int i = 0; i < c->width; i++) {
        uint32_t bits;
        memcpy(&bits, &vector[i], sizeof bits);
        put_u32(record + KEY_BYTES + 4 * (size_t)i, bits);
    }
    size_t checked = c->record_bytes - 4;
    put_u32(record + checked, checksum(record, checked));
    c->pending_count++;
    index_record(c, picture->bytes, (uint32_t)view, number);
    return ERR_OK;
}

enum err_code feature_cache_flush(struct feature_cache *c, struct err *e)
{
    enum err_code r = write_out(c, e);
    if (r)
        return r;
    if (fsync(c->fd) < 0)
        return err_errno(e, errno, "cannot sync %s", c->path);
    if (c->is_new) {
        r = file_sync_dir(c->folder, e);
        if (r)
            return r;
        c->is_new = false;
    }
    return ERR_OK;
}

enum err_code feature_cache_share(struct feature_cache *c, struct err *e)
{
    enum err_code r = feature_cache_flush(c, e);
    if (r)
        return r;
    if (flock(c->fd, LOCK_UN) < 0)
        return err_errno(e, errno, "cannot unlock %s", c->path);
    c->is_shared = true;
    return ERR_OK;
}

size_t feature_cache_count(const struct feature_cache *c)
{
    return c->sound;
}

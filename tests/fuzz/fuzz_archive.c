/* Any bytes as an archive, under small limits that must hold; and every path that comes out as a
 * place in a dataset. */
#include "data/archive.h"
#include "data/base/utf8.h"
#include "data/layout.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct archive_limits limits = { .max_entries = 20,
                                              .max_member = 5000,
                                              .max_unpacked = 1 << 20 };

struct input {
    const uint8_t *data;
    size_t left;
};

struct output {
    uint64_t files;
    uint64_t bytes;
    uint64_t sum; /* of all bytes, so that all are read */
};

/* In pieces of 1 to 256 bytes, by the bytes themselves. */
static ssize_t read_input(void *context, void *bytes, size_t len, struct err *e)
{
    (void)e;
    struct input *in = context;
    if (!in->left)
        return 0;
    size_t n = (size_t)in->data[0] * 16 + 1;
    n = n < in->left ? n : in->left;
    n = n < len ? n : len;
    memcpy(bytes, in->data, n);
    in->data += n;
    in->left -= n;
    return (ssize_t)n;
}

static void check_path(const char *path)
{
    size_t len = strlen(path);
    if (len == 0 || len > 4096 || path[0] == '/')
        abort();
    for (size_t i = 0; i < len;) {
        uint32_t point;
        size_t n = utf8_next(path + i, len - i, &point);
        if (n == 0)
            abort();
        i += n;
    }
    for (const char *at = path; *at; at += strcspn(at, "/"), at += *at == '/')
        if (strncmp(at, "../", 3) == 0 || strcmp(at, "..") == 0 || *at == '/')
            abort();
}

static enum err_code take_file(void *context, const char *path, const uint8_t *bytes, size_t len,
                               struct err *e)
{
    (void)e;
    struct output *out = context;
    check_path(path);
    if ((bytes != NULL) != (len <= limits.max_member))
        abort();
    for (size_t i = 0; bytes && i < len; i++)
        out->sum += bytes[i];
    out->files++;
    out->bytes += len;

    struct layout l;
    bool skip = false;
    struct err refusal;
    if (layout_parse(path, &l, &skip, &refusal) == ERR_OK && !skip &&
        (l.split > SPLIT_AUTO || layout_check_label(l.label, &refusal) != ERR_OK))
        abort();
    return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };
    struct output out = { 0 };
    struct err e = { 0 };
    enum err_code r = archive_walk(read_input, &in, &limits, take_file, &out, &e);
    if (out.files > limits.max_entries || out.bytes > limits.max_unpacked)
        abort();
    if (r == ERR_OK ? in.left != 0 : err_is_fault(r) || e.code != r || !e.message[0])
        abort();
    return 0;
}

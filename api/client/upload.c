#include "api/client/upload.h"

#include "api/client/tar_stream.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { WHOLE_MAX = 1 << 30 };

static ssize_t read_file(void *context, void *bytes, size_t len)
{
    FILE *f = context;
    size_t n = fread(bytes, 1, len, f);
    if (!n && ferror(f)) {
        fprintf(stderr, "kennel: cannot read: %s\n", strerror(errno));
        return -1;
    }
    return (ssize_t)n;
}

static enum outcome complain(const char *path)
{
    fprintf(stderr, "kennel: %s: %s\n", path, strerror(errno));
    return FAILED;
}

static FILE *open_file(const char *path)
{
    return strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
}

static enum outcome open_folder(const char *path, struct upload *ret)
{
    ret->tar = tar_stream_new(path);
    if (!ret->tar)
        return FAILED;
    if (!tar_stream_files(ret->tar)) {
        fprintf(stderr, "kennel: %s: no files in it\n", path);
        return FAILED;
    }
    ret->body.type = "application/x-tar";
    ret->body.read = tar_stream_read;
    ret->body.context = ret->tar;
    ret->body.expected = tar_stream_size(ret->tar);
    return DONE;
}

enum outcome upload_open(const char *path, struct upload *ret)
{
    *ret = (struct upload){ .body = { .size = -1 } };
    progress_init(&ret->progress);
    ret->body.progress = &ret->progress;
    struct stat st;
    bool is_stdin = strcmp(path, "-") == 0;
    if (!is_stdin && stat(path, &st) < 0)
        return complain(path);
    if (!is_stdin && S_ISDIR(st.st_mode))
        return open_folder(path, ret);
    ret->file = open_file(path);
    if (!ret->file)
        return complain(path);
    ret->body.type = "application/octet-stream";
    ret->body.read = read_file;
    ret->body.context = ret->file;
    if (!is_stdin && S_ISREG(st.st_mode))
        ret->body.expected = ret->body.size = st.st_size;
    return DONE;
}

void upload_fini(struct upload *u)
{
    if (u->file && u->file != stdin)
        fclose(u->file);
    tar_stream_free(u->tar);
}

enum outcome upload_read_all(const char *path, struct buf *ret)
{
    buf_init(ret, WHOLE_MAX);
    FILE *f = open_file(path);
    if (!f)
        return complain(path);
    char piece[65536];
    enum outcome outcome = DONE;
    for (size_t n; outcome == DONE && (n = fread(piece, 1, sizeof piece, f)) > 0;)
        if (buf_append(ret, piece, n, NULL)) {
            fprintf(stderr, "kennel: %s is too large\n", path);
            outcome = FAILED;
        }
    if (ferror(f))
        outcome = complain(path);
    if (f != stdin)
        fclose(f);
    return outcome;
}

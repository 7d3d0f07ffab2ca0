/* kennel-render: labelled pictures, drawn, as a tar for `kennel dataset import`. */
#include "data/base/cleanup.h"
#include "data/base/file.h"
#include "data/render/source.h"
#include "data/render/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

static const char usage[] =
    "usage: kennel-render surface|stream [OPTION]...\n"
    "\n"
    "Draws labelled JPEG pictures and writes them as a tar of train/LABEL/NUMBER.jpg and\n"
    "val/LABEL/NUMBER.jpg. The same options give the same bytes; picture number N of a seed does\n"
    "not depend on how many are drawn.\n"
    "\n"
    "  surface   parts as an inspection camera sees them: ok, scratch, dent, stain, crack, hole "
    "on\n"
    "            brushed metal, wood and fabric\n"
    "  stream    fractals, dead leaves, marks and textures to pretrain a backbone on, without an "
    "end\n"
    "\n"
    "  --count N      pictures (600; 1..100000000)\n"
    "  --from N       number of the first one (0)\n"
    "  --seed S       (1)\n"
    "  --size PIXELS  side of a picture (surface: 256, stream: 128; 32..1024)\n"
    "  --classes C    of the stream (1000; 2..10000)\n"
    "  --val PERCENT  of each class's pictures that go to val/ (20; 0..99)\n"
    "  --output FILE  (standard output)\n"
    "  --help\n";

enum { COUNT_MAX = 100000000 };

struct command {
    struct source_options source;
    uint64_t count, from;
    const char *output; /* NULL: standard output */
};

static enum err_code parse_number(const char *name, const char *text, uint64_t low, uint64_t high,
                                  uint64_t *ret, struct err *e)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < low || value > high)
        return err_set(e, ERR_FIELD_RANGE,
                       "--%s must be a number within %" PRIu64 "..%" PRIu64 ", is \"%.100s\"", name,
                       low, high, text);
    *ret = value;
    return ERR_OK;
}

static enum err_code parse_int(const char *name, const char *text, int low, int high, int *ret,
                               struct err *e)
{
    uint64_t value = 0;
    enum err_code code = parse_number(name, text, (uint64_t)low, (uint64_t)high, &value, e);
    if (code == ERR_OK)
        *ret = (int)value;
    return code;
}

static enum err_code take_option(struct command *c, int option, const char *value, struct err *e)
{
    switch (option) {
    case 'c':
        return parse_number("count", value, 1, COUNT_MAX, &c->count, e);
    case 'f':
        return parse_number("from", value, 0, UINT64_MAX / 2, &c->from, e);
    case 's':
        return parse_number("seed", value, 0, UINT64_MAX, &c->source.seed, e);
    case 'p':
        return parse_int("size", value, SOURCE_SIZE_MIN, SOURCE_SIZE_MAX, &c->source.size, e);
    case 'k':
        return parse_int("classes", value, 2, SOURCE_CLASSES_MAX, &c->source.classes, e);
    case 'v':
        return parse_int("val", value, 0, 99, &c->source.val_percent, e);
    case 'o':
        c->output = value;
        return ERR_OK;
    default:
        return err_set(e, ERR_FIELD_UNKNOWN,
                       "unknown option, or one without its value (see --help)");
    }
}

static enum err_code parse(int argc, char **argv, struct command *ret, bool *ret_help,
                           struct err *e)
{
    static const struct option options[] = {
        { "count", required_argument, NULL, 'c' },
        { "from", required_argument, NULL, 'f' },
        { "seed", required_argument, NULL, 's' },
        { "size", required_argument, NULL, 'p' },
        { "classes", required_argument, NULL, 'k' },
        { "val", required_argument, NULL, 'v' },
        { "output", required_argument, NULL, 'o' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct command c = { .source = { .seed = 1, .classes = 1000, .val_percent = 20 },
                         .count = 600 };
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'h') {
            *ret_help = true;
            return ERR_OK;
        }
        enum err_code code = take_option(&c, option, optarg, e);
        if (code != ERR_OK)
            return code;
    }
    const char *kind = optind < argc ? argv[optind] : "";
    if (optind + 1 != argc || (strcmp(kind, "surface") != 0 && strcmp(kind, "stream") != 0))
        return err_set(e, ERR_FIELD_MISSING, "give one set, surface or stream (see --help)");
    c.source.kind = strcmp(kind, "surface") == 0 ? SOURCE_SURFACE : SOURCE_STREAM;
    if (c.source.size == 0)
        c.source.size = c.source.kind == SOURCE_SURFACE ? 256 : 128;
    *ret = c;
    return ERR_OK;
}

CLEANUP_DEFINE(struct source, source_free);
CLEANUP_DEFINE(struct tar, tar_free);

static enum err_code write_all(const struct command *c, int fd, const char *what, struct err *e)
{
    CLEANUP(source_free_p) struct source *source = NULL;
    CLEANUP(tar_free_p) struct tar *tar = NULL;
    CLEANUP(buf_fini) struct buf file;
    buf_init(&file, SOURCE_FILE_MAX);
    enum err_code code = source_new(&c->source, &source, e);
    if (code == ERR_OK)
        code = tar_new(fd, what, &tar, e);
    for (uint64_t i = 0; code == ERR_OK && i < c->count; i++) {
        char path[SOURCE_PATH];
        buf_reset(&file);
        code = source_file(source, c->from + i, path, &file, e);
        if (code == ERR_OK)
            code = tar_add(tar, path, file.data, file.len, e);
    }
    return code == ERR_OK ? tar_finish(tar, e) : code;
}

/* Under another name until it is whole. */
static enum err_code write_file(const struct command *c, struct err *e)
{
    CLEANUP(cleanup_free) char *part = NULL;
    enum err_code code = file_path(&part, e, "%s.part", c->output);
    if (code != ERR_OK)
        return code;
    CLEANUP(cleanup_fd) int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_errno(e, errno, "creating %s", part);
    code = write_all(c, fd, part, e);
    if (code == ERR_OK && rename(part, c->output) != 0)
        code = err_errno(e, errno, "renaming %s to %s", part, c->output);
    if (code != ERR_OK)
        unlink(part);
    return code;
}

int main(int argc, char **argv)
{
    struct command c;
    struct err e = { 0 };
    bool help = false;
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is a write error */
    enum err_code code = parse(argc, argv, &c, &help, &e);
    if (code == ERR_OK && help)
        return fputs(usage, stdout) < 0 || fflush(stdout) != 0;
    if (code != ERR_OK) {
        fprintf(stderr, "kennel-render: %s\n", e.message);
        return 2;
    }
    if (!c.output && isatty(STDOUT_FILENO)) {
        fputs("kennel-render: standard output is a terminal; give --output FILE\n", stderr);
        return 2;
    }
    code = c.output ? write_file(&c, &e) : write_all(&c, STDOUT_FILENO, "standard output", &e);
    if (code != ERR_OK)
        fprintf(stderr, "kennel-render: %s\n", e.message);
    return code != ERR_OK;
}

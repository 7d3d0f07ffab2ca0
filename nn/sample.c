#include "nn/sample.h"

#include "data/base/cleanup.h"
#include "data/base/file.h"
#include "nn/calibrate.h"
#include "nn/crew.h"
#include "nn/picture_source.h"

#include <string.h>
#include <unistd.h>

/* DESIGN
 *
 *   task k   pictures k, k + PARTS, ... in order -> branch k of the calibration
 *   then     branches are added in their order -> ranges
 *
 * Sums of floats depend on their order; PARTS does not depend on the number of threads, so they
 * do not either. */
enum { PARTS = 8, KEY_TEXT_MAX = 8192, FILE_BYTES_MAX = 1 << 26 };

struct part {
    struct calibration *calibration;
    struct picture_source *source;
    float *input; /* owned; [3][size][size] */
};

struct run {
    const struct sample_request *q;
    size_t pictures;
    features_progress progress;
    void *context;
    struct calibration *whole;
    struct part parts[PARTS];
};

static void run_fini(struct run *run)
{
    for (int k = 0; k < PARTS; k++) {
        calibration_free(run->parts[k].calibration);
        picture_source_free(run->parts[k].source);
        free(run->parts[k].input);
    }
    calibration_free(run->whole);
}

static enum err_code part_init(const struct run *run, struct part *p, struct err *e)
{
    const struct backbone *b = run->q->backbone;
    size_t pixels = (size_t)b->pre.size * (size_t)b->pre.size;
    p->input = calloc(3 * pixels, sizeof *p->input);
    if (!p->input)
        return err_set(e, ERR_NOMEM, "no memory for a picture");
    enum err_code r = picture_source_new(run->q->blobs, &b->pre, &run->q->limits, &p->source, e);
    return r ? r : calibration_branch(run->whole, &p->calibration, e);
}

static enum err_code see(void *context, int worker, size_t task, const atomic_bool *stop,
                         struct err *e)
{
    struct run *run = context;
    struct part *p = &run->parts[task];
    (void)worker;
    enum err_code r = part_init(run, p, e);
    for (size_t i = task; i < run->pictures && !r; i += PARTS) {
        const struct features_item *item = &run->q->items[i];
        if (atomic_load(stop))
            return err_set(e, ERR_CANCELLED, "cancelled");
        r = picture_source_get(p->source, &item->picture, item->view, p->input, e);
        if (!r)
            r = calibration_add(p->calibration, p->input, NULL, e);
    }
    return r;
}

static bool tell(void *context, size_t done, size_t total)
{
    const struct run *run = context;
    return run->progress && run->progress(run->context, done, total);
}

static enum err_code calibrate(const struct sample_request *q, size_t pictures,
                               features_progress progress, void *context, struct integers *ret,
                               struct err *e)
{
    CLEANUP(run_fini)
    struct run run = { .q = q, .pictures = pictures, .progress = progress, .context = context };
    CLEANUP(ranges_fini) struct ranges ranges = { 0 };
    struct plan_options o = { .output = q->backbone->feature, .pool = true, .batch = 1 };
    size_t parts = pictures < PARTS ? pictures : PARTS;
    enum err_code r = calibration_new(q->backbone->network, &o, &run.whole, e);
    if (r)
        return r;
    const struct crew_options crew = { .name = "kennel-ranges",
                                       .threads = q->threads,
                                       .tasks = parts,
                                       .task = see,
                                       .progress = tell,
                                       .context = &run };
    r = crew_run(&crew, e);
    for (size_t k = 0; k < parts && !r; k++)
        r = calibration_add_all(run.whole, run.parts[k].calibration, e);
    if (!r)
        r = calibration_ranges(run.whole, CALIBRATE_MSE, &ranges, e);
    return r ? r : integers_from(&ranges, ret, e);
}

/* Everything that decides the ranges. */
static enum err_code make_path(const struct sample_request *q, size_t pictures, char **ret,
                               struct err *e)
{
    char hex[DIGEST_HEX + 1];
    struct digest key;
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, KEY_TEXT_MAX);
    enum err_code r = backbone_feature_key(q->backbone, &key, e);
    if (r)
        return r;
    digest_hex(&key, hex);
    r = buf_printf(&text, e, "kennel ranges 1\n%s\n", hex);
    for (size_t i = 0; i < pictures && !r; i++) {
        digest_hex(&q->items[i].picture, hex);
        r = buf_printf(&text, e, "%s %d\n", hex, q->items[i].view);
    }
    if (!r)
        r = digest_of(text.data, text.len, &key, e);
    if (r)
        return r;
    digest_hex(&key, hex);
    return file_path(ret, e, "%s/%s.ranges", q->folder, hex);
}

/* False when there is no sound file, whatever the reason: it is made again then. */
static bool read_kept(const char *path, struct integers *ret)
{
    CLEANUP(buf_fini) struct buf text;
    struct digest want;
    buf_init(&text, FILE_BYTES_MAX);
    if (access(path, R_OK) < 0 || file_read(path, &text, NULL) || text.len <= DIGEST_HEX ||
        text.data[DIGEST_HEX] != '\n')
        return false;
    text.data[DIGEST_HEX] = '\0';
    struct integers i;
    if (!digest_parse((const char *)text.data, &want) ||
        integers_parse((const char *)text.data + DIGEST_HEX + 1, &i, NULL))
        return false;
    if (digest_compare(&want, &i.digest) != 0) {
        integers_fini(&i);
        return false;
    }
    *ret = i;
    return true;
}

static enum err_code keep(const struct sample_request *q, const char *path,
                          const struct integers *i, struct err *e)
{
    char hex[DIGEST_HEX + 1];
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, FILE_BYTES_MAX);
    digest_hex(&i->digest, hex);
    enum err_code r = buf_printf(&text, e, "%s\n", hex);
    if (!r)
        r = buf_append(&text, i->text, strlen(i->text), e);
    if (!r)
        r = file_mkdirs(q->folder, e);
    return r ? r : file_write_atomic(path, text.data, text.len, e);
}

enum err_code sample_integers(const struct sample_request *q, features_progress progress,
                              void *context, struct integers *ret, size_t *ret_passes,
                              struct err *e)
{
    CLEANUP(cleanup_free) char *path = NULL;
    size_t pictures = q->count < SAMPLE_PICTURES ? q->count : SAMPLE_PICTURES;
    *ret_passes = 0;
    enum err_code r = make_path(q, pictures, &path, e);
    if (r || read_kept(path, ret))
        return r;
    CLEANUP(integers_fini) struct integers made = { 0 };
    r = calibrate(q, pictures, progress, context, &made, e);
    if (!r)
        r = keep(q, path, &made, e);
    if (r)
        return r;
    *ret_passes = pictures;
    *ret = made;
    made = (struct integers){ 0 };
    return ERR_OK;
}

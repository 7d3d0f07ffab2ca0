#include "daemon/backbones.h"

#include "daemon/db.h"
#include "daemon/record.h"
#include "data/base/clock.h"
#include "data/base/file.h"
#include "data/base/json.h"
#include "data/base/name.h"
#include "nn/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { PIECE = 1 << 18 };

CLEANUP_DEFINE(struct plan, plan_free);
CLEANUP_DEFINE(struct plan_scratch, plan_scratch_free);

#define BACKBONE_SELECT                                                                            \
    "SELECT name, digest, bytes, feature_tensor, feature_width, input_name, input_height,"         \
    " input_width, preprocess, parameters, created_ms FROM backbone"

static json_t *backbone_json(struct db_rows *row)
{
    json_t *preprocess = NULL;
    if (db_json(row, 8, &preprocess, NULL))
        return NULL;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o, s:i}, s:o, s:o, s:o}", "name",
                     db_json_text(row, 0), "digest", db_json_hex(row, 1), "bytes",
                     db_json_int(row, 2), "feature_tensor", db_json_text(row, 3), "feature_width",
                     db_json_int(row, 4), "input", "name", db_json_text(row, 5), "height",
                     db_json_int(row, 6), "width", db_json_int(row, 7), "channels", 3, "preprocess",
                     preprocess, "parameters", db_json_int(row, 9), "created",
                     db_json_time(row, 10));
}

static enum err_code show(struct db_tx *t, const char *name, json_t **ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, BACKBONE_SELECT " WHERE name = ?", DB_TEXT(name));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_BACKBONE_UNKNOWN, "no backbone \"%.80s\"", name);
    json_t *value = backbone_json(row);
    if (!value)
        return err_set(e, ERR_NOMEM, "no memory to show backbone %s", name);
    *ret = value;
    return ERR_OK;
}

enum err_code backbones_show(struct state *s, const char *name, json_t **ret, struct err *e)
{
    return record_show(s, show, name, ret, e);
}

enum err_code backbones_list(struct state *s, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_query(t, &rows, e, BACKBONE_SELECT " ORDER BY name");
    return r ? r : db_json_list(rows, backbone_json, ret, e);
}

/* --- the upload --------------------------------------------------------------------------- */

/* The body is kept in a file without a name, not in memory: an upload may be slow, and it becomes a
 * blob only once it was proved to run. */
struct upload {
    int fd;
    void *bytes; /* mapped */
    size_t len;
};

static void upload_fini(struct upload *u)
{
    if (u->bytes)
        munmap(u->bytes, u->len);
    cleanup_fd(&u->fd);
}

static enum err_code open_unnamed(struct state *s, int *ret, struct err *e)
{
    CLEANUP(cleanup_free) char *path = NULL;
    enum err_code r = file_path(&path, e, "%s/staging/backbone-XXXXXX", state_dir(s));
    if (r)
        return r;
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, errno, "cannot create %s", path);
    unlink(path);
    *ret = fd;
    return ERR_OK;
}

static enum err_code receive(struct upload *u, archive_read_fn read, void *read_context,
                             uint64_t max, struct err *e)
{
    CLEANUP(cleanup_free) uint8_t *piece = malloc(PIECE);
    if (!piece)
        return err_set(e, ERR_NOMEM, "no memory to receive a backbone");
    for (;;) {
        struct err said = { .code = ERR_INTERNAL };
        ssize_t n = read(read_context, piece, PIECE, &said);
        if (n < 0)
            return err_set(e, said.code, "%s", said.message);
        if (n == 0)
            break;
        if ((uint64_t)n > max - u->len)
            return err_set(e, ERR_BODY_TOO_LARGE, "the backbone is over %" PRIu64 " bytes", max);
        enum err_code r = file_write_all(u->fd, piece, (size_t)n, "the backbone's upload", e);
        if (r)
            return r;
        u->len += (size_t)n;
    }
    if (!u->len)
        return err_set(e, ERR_BODY_MISSING, "the backbone is empty");
    void *bytes = mmap(NULL, u->len, PROT_READ, MAP_PRIVATE, u->fd, 0);
    if (bytes == MAP_FAILED)
        return err_errno(e, errno, "cannot map the backbone's upload");
    u->bytes = bytes;
    return ERR_OK;
}

/* Compiles up to the feature tensor and runs a picture of zeros. */
static enum err_code prove(const struct backbone *b, struct err *e)
{
    CLEANUP(plan_free_p) struct plan *plan = NULL;
    CLEANUP(plan_scratch_free_p) struct plan_scratch *scratch = NULL;
    struct plan_options options = { .output = b->feature, .pool = true, .batch = 1 };
    enum err_code r = plan_new(b->network, &options, &plan, e);
    if (!r)
        r = plan_scratch_new(plan, &scratch, e);
    if (r)
        return r;
    size_t width = plan_output_size(plan);
    if (width != (size_t)b->width)
        return err_set(e, ERR_ONNX_FEATURE, "feature tensor %s: %zu floats, expected %d",
                       b->feature, width, b->width);
    CLEANUP(cleanup_free) float *input = calloc(plan_input_size(plan), sizeof *input);
    CLEANUP(cleanup_free) float *output = calloc(width, sizeof *output);
    if (!input || !output)
        return err_set(e, ERR_NOMEM, "no memory to try the backbone");
    r = plan_run(plan, scratch, input, output, e);
    for (size_t i = 0; !r && i < width; i++)
        if (!isfinite(output[i]))
            r = err_set(e, ERR_ONNX_GRAPH,
                        "feature tensor %s: value %zu is not finite for an all-zero picture",
                        b->feature, i);
    return r;
}

/* --- the row ------------------------------------------------------------------------------ */

/* The shortest decimal that gives back the float: 123.675, not 123.67500305175781. */
static double shortest(float v)
{
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v)
            break;
    }
    return strtod(text, NULL);
}

static json_t *floats_json(const float v[3])
{
    return json_pack("[f, f, f]", shortest(v[0]), shortest(v[1]), shortest(v[2]));
}

static json_t *preprocess_json(const struct preprocess *p)
{
    return json_pack("{s:i, s:i, s:o, s:o, s:s}", "resize", p->resize, "size", p->size, "mean",
                     floats_json(p->mean), "std", floats_json(p->std), "color_order",
                     p->bgr ? "BGR" : "RGB");
}

static json_t *overrides_json(const struct backbone_overrides *o)
{
    static const struct backbone_overrides none;
    if (!o)
        o = &none;
    json_t *value = json_pack("{s:s*, s:s*, s:s*, s:s*}", "feature", o->feature, "mean", o->mean,
                              "std", o->std, "color", o->color);
    if (value && o->resize && json_object_set_new(value, "resize", json_integer(o->resize)) < 0) {
        json_decref(value);
        return NULL;
    }
    return value;
}

static enum err_code check_free(struct db_tx *t, const char *name, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, "SELECT 1 FROM backbone WHERE name = ?", DB_TEXT(name));
    if (!r && row)
        r = err_set(e, ERR_NAME_TAKEN, "there is a backbone \"%s\" already", name);
    return r;
}

static enum err_code check_name(struct state *s, const char *name, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = name_check(name, "backbone name", e);
    if (!r)
        r = db_read(state_db(s), &t, e);
    return r ? r : check_free(t, name, e);
}

static enum err_code insert(struct db_tx *t, const char *name, const struct backbone *b, size_t len,
                            const struct backbone_overrides *overrides, const char *who,
                            struct err *e)
{
    CLEANUP(json_decref_p) json_t *preprocess = preprocess_json(&b->pre);
    CLEANUP(json_decref_p) json_t *said = overrides_json(overrides);
    if (!preprocess || !said)
        return err_set(e, ERR_NOMEM, "no memory to store backbone %s", name);
    CLEANUP(cleanup_free) char *preprocess_text = NULL;
    CLEANUP(cleanup_free) char *overrides_text = NULL;
    enum err_code r = db_json_column(preprocess, &preprocess_text, e);
    if (!r)
        r = db_json_column(said, &overrides_text, e);
    if (r)
        return r;
    int height = 0, width = 0;
    const char *input = network_input(b->network, &height, &width);
    return db_exec(t, e,
                   "INSERT INTO backbone (name, digest, bytes, feature_tensor, feature_width,"
                   " input_name, input_height, input_width, preprocess, parameters, overrides,"
                   " created_ms, who) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   DB_TEXT(name), DB_DIGEST(&b->digest), DB_INT((int64_t)len), DB_TEXT(b->feature),
                   DB_INT(b->width), DB_TEXT(input), DB_INT(height), DB_INT(width),
                   DB_TEXT(preprocess_text), DB_INT(network_parameters(b->network)),
                   DB_TEXT(overrides_text), DB_INT(clock_utc_ms()), DB_TEXT(who));
}

static enum err_code put_and_name(struct state *s, const char *name, const struct backbone *b,
                                  const struct upload *u,
                                  const struct backbone_overrides *overrides, const char *who,
                                  json_t **ret, struct err *e)
{
    struct digest digest;
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *value = NULL;
    enum err_code r = blobs_put(state_blobs(s), u->bytes, u->len, &digest, e);
    if (!r)
        r = blobs_sync(state_blobs(s), e);
    if (!r)
        r = db_write(state_db(s), &t, e);
    if (!r)
        r = check_free(t, name, e);
    if (!r)
        r = insert(t, name, b, u->len, overrides, who, e);
    if (!r)
        r = show(t, name, &value, e);
    char subject[100];
    snprintf(subject, sizeof subject, "backbone/%s", name);
    if (!r)
        r = db_audit(t, who, "backbone.create", subject, NULL, value, e);
    if (!r)
        r = db_commit(&t, e);
    if (!r)
        *ret = STEAL(value);
    return r;
}

static enum err_code store(struct state *s, const char *name, const struct backbone *b,
                           const struct upload *u, const struct backbone_overrides *overrides,
                           const char *who, json_t **ret, struct err *e)
{
    enum err_code r = check_name(s, name, e);
    if (r)
        return r;
    state_put_begin(s);
    r = put_and_name(s, name, b, u, overrides, who, ret, e);
    state_put_end(s, !r);
    return r;
}

enum err_code backbones_add(struct state *s, const char *name, archive_read_fn read,
                            void *read_context, const struct backbone_overrides *overrides,
                            const char *who, json_t **ret, struct err *e)
{
    CLEANUP(upload_fini) struct upload u = { .fd = -1 };
    enum err_code r = check_name(s, name, e);
    if (!r)
        r = open_unnamed(s, &u.fd, e);
    if (!r)
        r = receive(&u, read, read_context, state_limits(s)->max_backbone_bytes, e);
    struct backbone b;
    if (!r)
        r = backbone_open(u.bytes, u.len, overrides, &b, e);
    if (r)
        return r;
    r = prove(&b, e);
    if (!r)
        r = store(s, name, &b, &u, overrides, who, ret, e);
    backbone_fini(&b);
    return r;
}

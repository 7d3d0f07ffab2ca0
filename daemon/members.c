#include "daemon/members.h"

#include "daemon/events.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "data/manifest.h"

#include <inttypes.h>
#include <string.h>

enum { MANIFEST_PIECE = 1 << 16 };

const char *members_format_text(enum image_format format)
{
    return format == IMAGE_PNG ? "png" : "jpeg";
}

enum err_code members_dataset(struct db_tx *t, const char *name, int64_t *ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, "SELECT id FROM dataset WHERE name = ?", DB_TEXT(name));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_DATASET_UNKNOWN, "no dataset \"%.80s\"", name);
    *ret = db_int(row, 0);
    return ERR_OK;
}

enum err_code members_latest(struct db_tx *t, int64_t dataset, int64_t *ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(
        t, &row, e, "SELECT max(number) FROM dataset_version WHERE dataset = ?", DB_INT(dataset));
    if (!r)
        *ret = row ? db_int(row, 0) : 0;
    return r;
}

enum err_code members_begin(struct db_tx *t, struct members_change *c, struct err *e)
{
    int64_t latest = 0;
    enum err_code r = members_dataset(t, c->name, &c->dataset, e);
    if (!r)
        r = members_latest(t, c->dataset, &latest, e);
    if (!r)
        c->number = latest + 1;
    return r;
}

enum err_code members_add(struct db_tx *t, const struct members_change *c,
                          const struct members_picture *p, const char *label, enum split split,
                          struct err *e)
{
    enum err_code r =
        db_exec(t, e,
                "INSERT INTO picture (digest, bytes, format, width, height)"
                " VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (digest) DO UPDATE SET purged_ms = NULL WHERE purged_ms IS NOT NULL",
                DB_DIGEST(&p->digest), DB_INT((int64_t)p->bytes),
                DB_TEXT(members_format_text(p->format)), DB_INT(p->width), DB_INT(p->height));
    if (r)
        return r;
    return db_exec(t, e,
                   "INSERT INTO member (dataset, picture, added, label, split)"
                   " VALUES (?, ?, ?, ?, ?)",
                   DB_INT(c->dataset), DB_DIGEST(&p->digest), DB_INT(c->number), DB_TEXT(label),
                   DB_TEXT(split_text(split)));
}

/* --- the manifest and its counts ---------------------------------------------------------- */

/* counts[label][split] += 1; refuses the label past the limit. */
static enum err_code tally(json_t *counts, const char *label, const char *split, int max_labels,
                           struct err *e)
{
    json_t *of_label = json_object_get(counts, label);
    if (!of_label) {
        if (json_object_size(counts) >= (size_t)max_labels)
            return err_set(e, ERR_LABELS_TOO_MANY, "more than %d labels in the dataset",
                           max_labels);
        of_label = json_pack("{s:i, s:i, s:i}", "train", 0, "val", 0, "test", 0);
        enum err_code r = json_put(counts, label, of_label, e);
        if (r)
            return r;
    }
    json_t *count = json_object_get(of_label, split);
    json_integer_set(count, json_integer_value(count) + 1);
    return ERR_OK;
}

struct writing {
    struct blob_writer *out;
    struct buf text;
    json_t *counts;
    int64_t pictures;
};

static void writing_fini(struct writing *w)
{
    blob_writer_abort(w->out);
    buf_fini(&w->text);
    json_decref(w->counts);
}

static enum err_code write_row(struct writing *w, struct db_rows *rows, int max_labels,
                               struct err *e)
{
    struct digest picture;
    enum split split = SPLIT_TRAIN;
    enum err_code r = db_digest(rows, 0, &picture, e);
    if (r)
        return r;
    const char *label = db_text(rows, 1), *split_name = db_text(rows, 2);
    if (!label || !split_name || !split_parse(split_name, &split))
        return err_set(e, ERR_DATABASE, "a member without label or split");
    w->pictures++;
    r = tally(w->counts, label, split_name, max_labels, e);
    if (!r)
        r = manifest_line(&w->text, &picture, split, label, e);
    if (!r && w->text.len >= MANIFEST_PIECE) {
        r = blob_writer_add(w->out, w->text.data, w->text.len, e);
        buf_reset(&w->text);
    }
    return r;
}

static enum err_code write_manifest(struct db_tx *t, struct state *s, int64_t dataset,
                                    struct writing *w, struct digest *ret, struct err *e)
{
    buf_init(&w->text, 2 * MANIFEST_PIECE);
    w->counts = json_object();
    if (!w->counts)
        return err_set(e, ERR_NOMEM, "no memory for a dataset's counts");
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = blob_writer_new(state_blobs(s), &w->out, e);
    if (!r)
        r = db_query(t, &rows, e,
                     "SELECT picture, label, split FROM member"
                     " WHERE dataset = ? AND removed IS NULL ORDER BY picture",
                     DB_INT(dataset));
    bool more = false;
    while (!r && !(r = db_next(rows, &more, e)) && more)
        r = write_row(w, rows, state_limits(s)->max_labels, e);
    if (!r && w->text.len)
        r = blob_writer_add(w->out, w->text.data, w->text.len, e);
    if (!r)
        r = blob_writer_end(STEAL(w->out), ret, e);
    return r ? r : blobs_sync(state_blobs(s), e);
}

static enum err_code audit(struct db_tx *t, const struct members_change *c,
                           const struct digest *digest, struct err *e)
{
    char hex[DIGEST_HEX + 1], what[32], subject[100];
    digest_hex(digest, hex);
    snprintf(what, sizeof what, "dataset.%s", c->cause);
    snprintf(subject, sizeof subject, "dataset/%s", c->name);
    CLEANUP(json_decref_p)
    json_t *after =
        json_pack("{s:I, s:s, s:I, s:I, s:I, s:I}", "version", (json_int_t)c->number, "digest", hex,
                  "added", (json_int_t)c->added, "removed", (json_int_t)c->removed, "duplicates",
                  (json_int_t)c->duplicates, "rejected", (json_int_t)c->rejected);
    CLEANUP(json_decref_p)
    json_t *before =
        c->number > 1 ? json_pack("{s:I}", "version", (json_int_t)c->number - 1) : json_null();
    if (!after || !before)
        return err_set(e, ERR_NOMEM, "no memory for the audit log");
    return db_audit(t, c->who, what, subject, c->number > 1 ? before : NULL, after, e);
}

static enum err_code announce(struct db_tx *t, const struct members_change *c,
                              const struct writing *w, struct err *e)
{
    char subject[80];
    snprintf(subject, sizeof subject, "dataset/%s", c->name);
    CLEANUP(json_decref_p)
    json_t *data =
        json_pack("{s:s, s:I, s:s, s:I, s:I, s:I}", "dataset", c->name, "version",
                  (json_int_t)c->number, "cause", c->cause, "pictures", (json_int_t)w->pictures,
                  "added", (json_int_t)c->added, "removed", (json_int_t)c->removed);
    return data ? event_add(t, "dataset.changed", subject, data, e)
                : err_set(e, ERR_NOMEM, "no memory for an event");
}

enum err_code members_seal(struct db_tx *t, struct state *s, const struct members_change *c,
                           struct err *e)
{
    CLEANUP(writing_fini) struct writing w = { 0 };
    CLEANUP(cleanup_free) char *counts = NULL;
    struct digest digest;
    enum err_code r = write_manifest(t, s, c->dataset, &w, &digest, e);
    if (!r)
        r = db_json_column(w.counts, &counts, e);
    if (!r)
        r = db_exec(t, e,
                    "INSERT INTO dataset_version (dataset, number, digest, cause, who, created_ms,"
                    " pictures, labels, counts, added, removed, duplicates, rejected)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    DB_INT(c->dataset), DB_INT(c->number), DB_DIGEST(&digest), DB_TEXT(c->cause),
                    DB_TEXT(c->who), DB_INT(clock_utc_ms()), DB_INT(w.pictures),
                    DB_INT((int64_t)json_object_size(w.counts)), DB_TEXT(counts), DB_INT(c->added),
                    DB_INT(c->removed), DB_INT(c->duplicates), DB_INT(c->rejected));
    if (!r)
        r = announce(t, c, &w, e);
    return r ? r : audit(t, c, &digest, e);
}

#include "daemon/datasets.h"

#include "daemon/members.h"
#include "daemon/record.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "data/base/name.h"

#include <inttypes.h>
#include <string.h>

enum { REJECTED_LISTED_MAX = 1000 };

/* --- datasets ----------------------------------------------------------------------------- */

#define DATASET_SELECT                                                                             \
    "SELECT d.name, d.created_ms, v.number, v.pictures, v.labels FROM dataset d"                   \
    " LEFT JOIN dataset_version v ON v.dataset = d.id AND v.number ="                              \
    " (SELECT max(number) FROM dataset_version WHERE dataset = d.id)"

static json_t *dataset_json(struct db_rows *row)
{
    return json_pack("{s:o, s:o, s:o, s:I, s:I}", "name", db_json_text(row, 0), "created",
                     db_json_time(row, 1), "version", db_json_int(row, 2), "pictures",
                     (json_int_t)db_int(row, 3), "labels", (json_int_t)db_int(row, 4));
}

static enum err_code show(struct db_tx *t, const char *name, json_t **ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, DATASET_SELECT " WHERE d.name = ?", DB_TEXT(name));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_DATASET_UNKNOWN, "no dataset \"%.80s\"", name);
    json_t *value = dataset_json(row);
    if (!value)
        return err_set(e, ERR_NOMEM, "no memory to show dataset %s", name);
    *ret = value;
    return ERR_OK;
}

static enum err_code insert_dataset(struct db_tx *t, const char *name, const char *who,
                                    struct err *e)
{
    enum err_code r =
        db_exec(t, e, "INSERT OR IGNORE INTO dataset (name, created_ms, who) VALUES (?, ?, ?)",
                DB_TEXT(name), DB_INT(clock_utc_ms()), DB_TEXT(who));
    if (!r && !db_changes(t))
        r = err_set(e, ERR_NAME_TAKEN, "there is a dataset \"%s\" already", name);
    return r;
}

enum err_code datasets_create(struct state *s, const char *name, const char *who, json_t **ret,
                              struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *value = NULL;
    enum err_code r = name_check(name, "dataset name", e);
    if (!r)
        r = db_write(state_db(s), &t, e);
    if (!r)
        r = insert_dataset(t, name, who, e);
    if (!r)
        r = show(t, name, &value, e);
    char subject[100];
    snprintf(subject, sizeof subject, "dataset/%s", name);
    if (!r)
        r = db_audit(t, who, "dataset.create", subject, NULL, value, e);
    if (!r)
        r = db_commit(&t, e);
    if (!r)
        *ret = STEAL(value);
    return r;
}

enum err_code datasets_list(struct state *s, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_query(t, &rows, e, DATASET_SELECT " ORDER BY d.name");
    return r ? r : db_json_list(rows, dataset_json, ret, e);
}

enum err_code datasets_show(struct state *s, const char *name, json_t **ret, struct err *e)
{
    return record_show(s, show, name, ret, e);
}

/* --- versions ----------------------------------------------------------------------------- */

#define VERSION_SELECT                                                                             \
    "SELECT number, digest, created_ms, cause, who, pictures, counts, added, removed, duplicates," \
    " rejected, purged_ms FROM dataset_version WHERE dataset = ?"

static json_t *version_json(struct db_rows *row)
{
    json_t *counts = NULL;
    if (db_json(row, 6, &counts, NULL))
        return NULL;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version",
                     db_json_int(row, 0), "digest", db_json_hex(row, 1), "created",
                     db_json_time(row, 2), "cause", db_json_text(row, 3), "who",
                     db_json_text(row, 4), "pictures", db_json_int(row, 5), "counts", counts,
                     "added", db_json_int(row, 7), "removed", db_json_int(row, 8), "duplicates",
                     db_json_int(row, 9), "rejected", db_json_int(row, 10), "purged",
                     db_json_time(row, 11));
}

enum err_code datasets_versions(struct state *s, const char *name, struct state_page page,
                                json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    int64_t dataset = 0;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = members_dataset(t, name, &dataset, e);
    if (!r)
        r = db_query(t, &rows, e,
                     VERSION_SELECT " AND (? = 0 OR number < ?) ORDER BY number DESC LIMIT ?",
                     DB_INT(dataset), DB_INT(page.before), DB_INT(page.before), DB_INT(page.limit));
    return r ? r : db_json_list(rows, version_json, ret, e);
}

static json_t *rejected_json(struct db_rows *row)
{
    return json_pack("{s:o, s:o, s:o}", "path", db_json_text(row, 0), "code", db_json_text(row, 1),
                     "reason", db_json_text(row, 2));
}

static enum err_code add_rejected(struct db_tx *t, int64_t dataset, int64_t version, json_t *value,
                                  struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    CLEANUP(json_decref_p) json_t *all = NULL;
    enum err_code r = db_query(t, &rows, e,
                               "SELECT path, code, reason FROM rejected"
                               " WHERE dataset = ? AND version = ? ORDER BY id LIMIT ?",
                               DB_INT(dataset), DB_INT(version), DB_INT(REJECTED_LISTED_MAX));
    if (!r)
        r = db_json_list(rows, rejected_json, &all, e);
    if (!r)
        r = json_put(value, "rejected_count", json_incref(json_object_get(value, "rejected")), e);
    return r ? r : json_put(value, "rejected", STEAL(all), e);
}

enum err_code datasets_version_show(struct state *s, const char *name, int64_t version,
                                    json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    int64_t dataset = 0;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = members_dataset(t, name, &dataset, e);
    if (!r)
        r = db_get(t, &row, e, VERSION_SELECT " AND number = ?", DB_INT(dataset), DB_INT(version));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_VERSION_UNKNOWN, "dataset %s has no version %" PRId64, name, version);
    CLEANUP(json_decref_p) json_t *value = version_json(row);
    if (!value)
        return err_set(e, ERR_NOMEM, "no memory to show a version of %s", name);
    r = add_rejected(t, dataset, version, value, e);
    if (!r)
        *ret = STEAL(value);
    return r;
}

/* --- one picture -------------------------------------------------------------------------- */

/* Proves that the bytes are a picture and stores them, durably. */
static enum err_code store_picture(struct state *s, const void *bytes, size_t len,
                                   struct members_picture *ret, struct err *e)
{
    const struct limits *limits = state_limits(s);
    if (len > limits->max_picture_bytes)
        return err_set(e, ERR_PICTURE_BYTES, "a picture of %zu bytes; at most %" PRIu64, len,
                       limits->max_picture_bytes);
    struct image image = { 0 };
    /* Shorter side 1: decoded at the smallest scale, which still reads every byte of the scans. */
    enum err_code r = image_decode(bytes, len, &limits->image, 1, &image, e);
    struct members_picture p = {
        .bytes = len, .format = image.format, .width = image.full_width, .height = image.full_height
    };
    image_fini(&image);
    if (!r)
        r = blobs_put(state_blobs(s), bytes, len, &p.digest, e);
    if (!r)
        r = blobs_sync(state_blobs(s), e);
    if (!r)
        *ret = p;
    return r;
}

/* *ret_same: the picture is a member already, under this label. */
static enum err_code check_member(struct db_tx *t, int64_t dataset, const struct digest *picture,
                                  const char *label, bool *ret_same, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e,
                             "SELECT label FROM member"
                             " WHERE dataset = ? AND picture = ? AND removed IS NULL",
                             DB_INT(dataset), DB_DIGEST(picture));
    if (r)
        return r;
    if (row && strcmp(db_text(row, 0), label) != 0)
        return err_set(e, ERR_PICTURE_LABEL_CONFLICT,
                       "the same picture is in the dataset with the label \"%s\"", db_text(row, 0));
    *ret_same = row != NULL;
    return ERR_OK;
}

static enum err_code put_member(struct db_tx *t, struct state *s, struct members_change *c,
                                const struct members_picture *p, const char *label,
                                enum split split, struct err *e)
{
    if (split == SPLIT_AUTO)
        split = layout_auto_split(&p->digest);
    c->added = 1;
    enum err_code r = members_add(t, c, p, label, split, e);
    return r ? r : members_seal(t, s, c, e);
}

static enum err_code put_picture(struct state *s, const char *name, const char *label,
                                 enum split split, const struct members_picture *p, const char *who,
                                 json_t **ret, struct err *e)
{
    struct members_change c = { .name = name, .cause = "put", .who = who };
    bool same = false;
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = members_begin(t, &c, e);
    if (!r)
        r = check_member(t, c.dataset, &p->digest, label, &same, e);
    if (!r && !same)
        r = put_member(t, s, &c, p, label, split, e);
    if (r)
        return r;

    char hex[DIGEST_HEX + 1];
    digest_hex(&p->digest, hex);
    CLEANUP(json_decref_p)
    json_t *reply =
        json_pack("{s:I, s:s, s:i, s:b}", "version", (json_int_t)(same ? c.number - 1 : c.number),
                  "digest", hex, "added", same ? 0 : 1, "duplicate", same ? 1 : 0);
    if (!reply)
        return err_set(e, ERR_NOMEM, "no memory for the reply");
    r = db_commit(&t, e);
    if (!r)
        *ret = STEAL(reply);
    return r;
}

enum err_code datasets_put_picture(struct state *s, const char *name, const char *label,
                                   enum split split, const void *bytes, size_t len, const char *who,
                                   json_t **ret, struct err *e)
{
    struct members_picture p = { 0 };
    CLEANUP(json_decref_p) json_t *ignored = NULL;
    enum err_code r = layout_check_label(label, e);
    if (!r)
        r = datasets_show(s, name, &ignored, e);
    if (r)
        return r;
    state_put_begin(s);
    r = store_picture(s, bytes, len, &p, e);
    bool is_stored = !r || r == ERR_DISK_FULL || r == ERR_IO;
    if (!r)
        r = put_picture(s, name, label, split, &p, who, ret, e);
    /* A label conflict is about a picture that has its row. */
    state_put_end(s, !r || !is_stored || r == ERR_PICTURE_LABEL_CONFLICT);
    return r;
}

static enum err_code delete_picture(struct state *s, const char *name, const struct digest *picture,
                                    const char *who, json_t **ret, struct err *e)
{
    struct members_change c = { .name = name, .cause = "delete", .who = who, .removed = 1 };
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = members_begin(t, &c, e);
    if (!r)
        r = db_exec(t, e,
                    "UPDATE member SET removed = ?"
                    " WHERE dataset = ? AND picture = ? AND removed IS NULL",
                    DB_INT(c.number), DB_INT(c.dataset), DB_DIGEST(picture));
    if (!r && !db_changes(t)) {
        char hex[DIGEST_HEX + 1];
        digest_hex(picture, hex);
        r = err_set(e, ERR_PICTURE_UNKNOWN, "dataset %s has no picture %s", name, hex);
    }
    if (!r)
        r = members_seal(t, s, &c, e);
    if (r)
        return r;
    CLEANUP(json_decref_p)
    json_t *reply = json_pack("{s:I, s:i}", "version", (json_int_t)c.number, "removed", 1);
    if (!reply)
        return err_set(e, ERR_NOMEM, "no memory for the reply");
    r = db_commit(&t, e);
    if (!r)
        *ret = STEAL(reply);
    return r;
}

enum err_code datasets_delete_picture(struct state *s, const char *name,
                                      const struct digest *picture, const char *who, json_t **ret,
                                      struct err *e)
{
    state_put_begin(s); /* of the manifest */
    enum err_code r = delete_picture(s, name, picture, who, ret, e);
    state_put_end(s, !r || !err_is_fault(r));
    return r;
}

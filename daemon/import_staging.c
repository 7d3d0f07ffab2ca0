#include "daemon/import_staging.h"

#include "data/base/file.h"
#include "data/base/json.h"
#include "data/base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { REJECTED_LISTED_MAX = 1000, TEXT_KEPT_MAX = 1000 };

struct import_staging {
    struct state *state;
    struct db_tx *t;
};

CLEANUP_DEFINE(struct import_staging, import_staging_free);

static enum err_code scratch_path(struct state *s, char **ret, struct err *e)
{
    CLEANUP(cleanup_free) char *path = NULL;
    enum err_code r = file_path(&path, e, "%s/staging/import-XXXXXX", state_dir(s));
    if (r)
        return r;
    CLEANUP(cleanup_fd) int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, errno, "cannot create %s", path);
    *ret = STEAL(path);
    return ERR_OK;
}

enum err_code import_staging_new(struct state *s, struct import_staging **ret, struct err *e)
{
    CLEANUP(import_staging_free_p) struct import_staging *g = calloc(1, sizeof *g);
    if (!g)
        return err_set(e, ERR_NOMEM, "no memory for an import");
    g->state = s;
    CLEANUP(cleanup_free) char *path = NULL;
    enum err_code r = scratch_path(s, &path, e);
    if (!r)
        r = db_session(state_db(s), path, &g->t, e);
    /* code is null for a picture that may be taken. */
    if (!r)
        r = db_script(g->t,
                      "CREATE TABLE scratch.item (sequence INTEGER PRIMARY KEY, path TEXT NOT NULL,"
                      " code TEXT, reason TEXT, digest BLOB, bytes INTEGER, format TEXT,"
                      " width INTEGER, height INTEGER, label TEXT, split TEXT) STRICT;"
                      "CREATE INDEX scratch.item_digest ON item (digest, sequence)",
                      e);
    if (r)
        return r;
    *ret = STEAL(g);
    return ERR_OK;
}

void import_staging_free(struct import_staging *g)
{
    if (!g)
        return;
    db_end(g->t);
    free(g);
}

/* Paths come from archives: any bytes, any length. What is kept can be shown as JSON. */
static void clean_text(const char *text, char ret[TEXT_KEPT_MAX + 1])
{
    size_t len = strlen(text), kept = 0;
    for (size_t at = 0, n; at < len; at += n ? n : 1) {
        uint32_t code_point;
        n = utf8_next(text + at, len - at, &code_point);
        if (kept + (n ? n : 1) > TEXT_KEPT_MAX)
            break;
        if (n)
            memcpy(ret + kept, text + at, n);
        else
            ret[kept] = '?';
        kept += n ? n : 1;
    }
    ret[kept] = 0;
}

enum err_code import_staging_add(struct import_staging *g, int64_t sequence, const char *path,
                                 const struct members_picture *p, const char *label,
                                 enum split split, struct err *e)
{
    if (split == SPLIT_AUTO)
        split = layout_auto_split(&p->digest);
    char kept[TEXT_KEPT_MAX + 1];
    clean_text(path, kept);
    return db_exec(g->t, e,
                   "INSERT INTO scratch.item (sequence, path, digest, bytes, format, width, height,"
                   " label, split) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   DB_INT(sequence), DB_TEXT(kept), DB_DIGEST(&p->digest),
                   DB_INT((int64_t)p->bytes), DB_TEXT(members_format_text(p->format)),
                   DB_INT(p->width), DB_INT(p->height), DB_TEXT(label), DB_TEXT(split_text(split)));
}

enum err_code import_staging_reject(struct import_staging *g, int64_t sequence, const char *path,
                                    const struct err *reason, struct err *e)
{
    char kept[TEXT_KEPT_MAX + 1], text[TEXT_KEPT_MAX + 1];
    clean_text(path, kept);
    clean_text(reason->message, text);
    return db_exec(g->t, e,
                   "INSERT INTO scratch.item (sequence, path, code, reason) VALUES (?, ?, ?, ?)",
                   DB_INT(sequence), DB_TEXT(kept), DB_TEXT(err_slug(reason->code)), DB_TEXT(text));
}

/* --- the merge ---------------------------------------------------------------------------- */

static enum err_code count(struct db_tx *t, const char *sql, int64_t *ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, sql);
    if (!r)
        *ret = row ? db_int(row, 0) : 0;
    return r;
}

/* A picture that the dataset, or an earlier file of this upload, has under another label. */
static enum err_code reject_conflicts(struct db_tx *t, int64_t dataset, struct err *e)
{
    return db_exec(
        t, e,
        "WITH other AS MATERIALIZED ("
        "  SELECT i.sequence, coalesce(m.label, f.label) AS label FROM scratch.item i"
        "  JOIN scratch.item f ON f.sequence ="
        "    (SELECT min(sequence) FROM scratch.item WHERE digest = i.digest)"
        "  LEFT JOIN member m ON m.dataset = ? AND m.picture = i.digest AND m.removed IS NULL"
        "  WHERE i.code IS NULL AND i.label <> coalesce(m.label, f.label))"
        " UPDATE scratch.item SET code = ?,"
        "  reason = 'the same picture has the label \"' || other.label || '\" already'"
        " FROM other WHERE item.sequence = other.sequence",
        DB_INT(dataset), DB_TEXT(err_slug(ERR_PICTURE_LABEL_CONFLICT)));
}

/* Bare columns beside min() come from the row that has the minimum (SQLite, "Bare columns in an
 * aggregate query"). */
static enum err_code add_members(struct db_tx *t, struct members_change *c, struct err *e)
{
    enum err_code r = db_exec(t, e,
                              "INSERT INTO picture (digest, bytes, format, width, height)"
                              " SELECT digest, bytes, format, width, height FROM scratch.item"
                              " WHERE code IS NULL GROUP BY digest"
                              " ON CONFLICT (digest) DO UPDATE SET purged_ms = NULL"
                              " WHERE purged_ms IS NOT NULL");
    if (!r)
        r = db_exec(t, e,
                    "INSERT INTO member (dataset, picture, added, label, split)"
                    " SELECT ?1, digest, ?2, label, split FROM"
                    "  (SELECT digest, label, split, min(sequence) FROM scratch.item"
                    "   WHERE code IS NULL GROUP BY digest)"
                    " WHERE NOT EXISTS (SELECT 1 FROM member WHERE dataset = ?1"
                    "  AND picture = digest AND removed IS NULL)",
                    DB_INT(c->dataset), DB_INT(c->number));
    if (!r)
        c->added = db_changes(t);
    return r;
}

static enum err_code keep_rejected(struct db_tx *t, const struct members_change *c, struct err *e)
{
    return db_exec(t, e,
                   "INSERT INTO rejected (dataset, version, path, code, reason)"
                   " SELECT ?, ?, path, code, reason FROM scratch.item"
                   " WHERE code IS NOT NULL ORDER BY sequence",
                   DB_INT(c->dataset), DB_INT(c->number));
}

static json_t *rejected_json(struct db_rows *row)
{
    return json_pack("{s:o, s:o, s:o}", "path", db_json_text(row, 0), "code", db_json_text(row, 1),
                     "reason", db_json_text(row, 2));
}

static enum err_code list_rejected(struct db_tx *t, json_t **ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_query(t, &rows, e,
                               "SELECT path, code, reason FROM scratch.item"
                               " WHERE code IS NOT NULL ORDER BY sequence LIMIT ?",
                               DB_INT(REJECTED_LISTED_MAX));
    return r ? r : db_json_list(rows, rejected_json, ret, e);
}

static enum err_code reply(struct db_tx *t, const struct members_change *c, json_t **ret,
                           struct err *e)
{
    json_t *rejected = NULL;
    enum err_code r = list_rejected(t, &rejected, e);
    if (r)
        return r;
    json_t *version = c->added ? json_integer(c->number) : json_null();
    json_t *value = json_pack("{s:o, s:I, s:I, s:o, s:I}", "version", version, "added",
                              (json_int_t)c->added, "duplicates", (json_int_t)c->duplicates,
                              "rejected", rejected, "rejected_count", (json_int_t)c->rejected);
    if (!value)
        return err_set(e, ERR_NOMEM, "no memory for the reply");
    *ret = value;
    return ERR_OK;
}

enum err_code import_staging_merge(struct import_staging *g, const char *dataset, const char *who,
                                   json_t **ret, struct err *e)
{
    struct members_change c = { .name = dataset, .cause = "import", .who = who };
    CLEANUP(db_end_p) struct db_tx *t = STEAL(g->t);
    CLEANUP(json_decref_p) json_t *value = NULL;
    int64_t taken = 0;
    enum err_code r = db_session_write(t, e);
    if (!r)
        r = members_begin(t, &c, e);
    if (!r)
        r = reject_conflicts(t, c.dataset, e);
    if (!r)
        r = count(t, "SELECT count(*) FROM scratch.item WHERE code IS NOT NULL", &c.rejected, e);
    if (!r)
        r = count(t, "SELECT count(*) FROM scratch.item WHERE code IS NULL", &taken, e);
    if (!r)
        r = add_members(t, &c, e);
    c.duplicates = taken - c.added;
    if (!r)
        r = reply(t, &c, &value, e);
    if (!r && c.added)
        r = keep_rejected(t, &c, e);
    if (!r && c.added)
        r = members_seal(t, g->state, &c, e);
    if (!r && c.added)
        r = db_commit(&t, e);
    if (!r)
        *ret = STEAL(value);
    return r;
}

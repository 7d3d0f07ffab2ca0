/* The reading half of models.h: versions are made by the job runner and never change. */
#include "daemon/db.h"
#include "daemon/models.h"
#include "data/base/json.h"

#include <inttypes.h>
#include <string.h>

/* Bytes of a report: a confusion matrix grows with the square of the labels. */
enum { REPORT_MAX = 1 << 30 };

/* A follower has the models and versions alone. */
#define VERSION_SELECT                                                                             \
    "SELECT m.name, v.number, v.artifact, v.bytes, v.created_ms, v.job, j.requested_by, j.tags,"   \
    " j.recipe, j.seed, d.name, j.dataset_version, dv.digest, b.name, b.digest,"                   \
    " (v.created_ms - j.started_ms) / 1000.0,"                                                     \
    " (SELECT json_group_array(name) FROM (SELECT name FROM alias WHERE model = v.model"           \
    "   AND version = v.number ORDER BY name)),"                                                   \
    " v.accuracy, v.macro_f1, v.log_loss, v.calibration_error, v.holdout_count, v.decision,"       \
    " v.report, v.purged_ms FROM version v JOIN model m ON m.id = v.model LEFT JOIN job j"         \
    " ON j.id = v.job"                                                                             \
    " LEFT JOIN dataset d ON d.id = j.dataset LEFT JOIN backbone b ON b.id = j.backbone"           \
    " LEFT JOIN dataset_version dv ON dv.dataset = j.dataset AND dv.number = j.dataset_version"

static enum err_code put_json(json_t *value, const char *name, struct db_rows *row, int column,
                              struct err *e)
{
    json_t *parsed = NULL;
    enum err_code r = db_json(row, column, &parsed, e);
    return r ? r : json_put(value, name, parsed, e);
}

static enum err_code version_json(struct db_rows *row, json_t **ret, struct err *e)
{
    CLEANUP(json_decref_p)
    json_t *value = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
        " s:{s:o, s:o, s:o, s:o, s:o}, s:o}",
        "model", db_json_text(row, 0), "version", db_json_int(row, 1), "digest",
        db_json_hex(row, 2), "bytes", db_json_int(row, 3), "created", db_json_time(row, 4), "job",
        db_json_text(row, 5), "requested_by", db_json_text(row, 6), "seed", db_json_int(row, 9),
        "dataset", db_json_text(row, 10), "dataset_version", db_json_int(row, 11), "dataset_digest",
        db_json_hex(row, 12), "backbone", db_json_text(row, 13), "backbone_digest",
        db_json_hex(row, 14), "duration_seconds", db_json_real(row, 15), "metrics", "accuracy",
        db_json_real(row, 17), "macro_f1", db_json_real(row, 18), "log_loss", db_json_real(row, 19),
        "calibration_error", db_json_real(row, 20), "count", db_json_int(row, 21), "purged",
        db_json_time(row, 24));
    if (!value)
        return err_set(e, ERR_NOMEM, "no memory to show a version");
    enum err_code r = put_json(value, "tags", row, 7, e);
    if (!r)
        r = put_json(value, "recipe", row, 8, e);
    if (!r)
        r = put_json(value, "aliases", row, 16, e);
    if (!r)
        r = put_json(value, "gate", row, 22, e);
    if (!r)
        *ret = STEAL(value);
    return r;
}

enum err_code models_find(struct db_tx *t, const char *name, int64_t *ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, "SELECT id FROM model WHERE name = ?", DB_TEXT(name));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_MODEL_UNKNOWN, "there is no model \"%.80s\"", name);
    *ret = db_int(row, 0);
    return ERR_OK;
}

enum err_code models_versions(struct state *s, const char *name, struct state_page page,
                              json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    CLEANUP(json_decref_p) json_t *all = json_array();
    if (!all)
        return err_set(e, ERR_NOMEM, "no memory for a list");
    int64_t model = 0;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = models_find(t, name, &model, e);
    if (!r)
        r = db_query(t, &rows, e,
                     VERSION_SELECT " WHERE v.model = ? AND (? = 0 OR v.number < ?)"
                                    " ORDER BY v.number DESC LIMIT ?",
                     DB_INT(model), DB_INT(page.before), DB_INT(page.before), DB_INT(page.limit));
    bool more = false;
    while (!r && !(r = db_next(rows, &more, e)) && more) {
        json_t *one = NULL;
        r = version_json(rows, &one, e);
        if (!r && json_array_append_new(all, one) < 0)
            r = err_set(e, ERR_NOMEM, "no memory for a list");
    }
    if (!r)
        *ret = STEAL(all);
    return r;
}

static json_t *number_json(struct db_rows *row)
{
    return db_json_int(row, 0);
}

enum err_code models_version_numbers(struct state *s, const char *name, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    int64_t model = 0;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = models_find(t, name, &model, e);
    if (!r)
        r = db_query(t, &rows, e,
                     "SELECT number FROM version WHERE model = ? AND purged_ms IS NULL"
                     " ORDER BY number DESC",
                     DB_INT(model));
    return r ? r : db_json_list(rows, number_json, ret, e);
}

/* The row of one version; *ret is never NULL after success. */
static enum err_code find_version(struct db_tx *t, const char *name, int64_t version,
                                  struct db_rows **ret, struct err *e)
{
    int64_t model = 0;
    enum err_code r = models_find(t, name, &model, e);
    if (r)
        return r;
    struct db_rows *row = NULL;
    r = db_get(t, &row, e, VERSION_SELECT " WHERE v.model = ? AND v.number = ?", DB_INT(model),
               DB_INT(version));
    if (!r && !row)
        r = err_set(e, ERR_VERSION_UNKNOWN, "model %s has no version %" PRId64, name, version);
    if (!r)
        *ret = row;
    return r;
}

static enum err_code read_report(struct state *s, const struct digest *digest, json_t **ret,
                                 struct err *e)
{
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, REPORT_MAX);
    enum err_code r = blobs_get(state_blobs(s), digest, true, &text, e);
    return r ? r : json_read((const char *)text.data, text.len, ret, e);
}

/* The report; its metrics with the tables per class in the place of the figures alone; and which
 * precision is served and why (null for a version from before there was a choice). */
static enum err_code add_report(struct state *s, const struct digest *digest, json_t *value,
                                struct err *e)
{
    json_t *report = NULL;
    enum err_code r = read_report(s, digest, &report, e);
    if (!r)
        r = json_put(value, "report", report, e);
    if (r)
        return r;
    json_t *metrics = json_object_get(report, "metrics");
    json_t *precision = json_object_get(report, "precision");
    r = json_put(value, "precision", precision ? json_incref(precision) : json_null(), e);
    return metrics && !r ? json_put(value, "metrics", json_incref(metrics), e) : r;
}

/* It went with the artifact; the figures are in the row. */
static enum err_code add_no_report(json_t *value, struct err *e)
{
    enum err_code r = json_put(value, "report", json_null(), e);
    return r ? r : json_put(value, "precision", json_null(), e);
}

enum err_code models_version_show(struct state *s, const char *name, int64_t version, json_t **ret,
                                  struct err *e)
{
    struct digest report;
    bool is_purged = false;
    CLEANUP(json_decref_p) json_t *value = NULL;
    {
        CLEANUP(db_end_p) struct db_tx *t = NULL;
        CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
        enum err_code r = db_read(state_db(s), &t, e);
        if (!r)
            r = find_version(t, name, version, &row, e);
        if (!r)
            r = db_digest(row, 23, &report, e);
        if (!r)
            r = version_json(row, &value, e);
        if (r)
            return r;
        is_purged = !db_is_null(row, 24);
    }
    enum err_code r = is_purged ? add_no_report(value, e) : add_report(s, &report, value, e);
    if (!r)
        *ret = STEAL(value);
    return r;
}

enum err_code models_version_path(struct state *s, const char *name, int64_t version, char **ret,
                                  struct err *e)
{
    struct digest artifact;
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = find_version(t, name, version, &row, e);
    if (!r && !db_is_null(row, 24))
        r = err_set(e, ERR_VERSION_PURGED,
                    "version %" PRId64 " of model \"%s\" was given up by its retention", version,
                    name);
    if (!r)
        r = db_digest(row, 2, &artifact, e);
    return r ? r : blobs_path(state_blobs(s), &artifact, ret, e);
}

enum err_code models_alias(struct state *s, const char *name, const char *alias, int64_t *ret,
                           struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_get(t, &row, e,
                   "SELECT a.version FROM model m LEFT JOIN alias a"
                   " ON a.model = m.id AND a.name = ? WHERE m.name = ?",
                   DB_TEXT(alias), DB_TEXT(name));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_MODEL_UNKNOWN, "there is no model \"%.80s\"", name);
    if (db_is_null(row, 0))
        return err_set(e, ERR_VERSION_UNKNOWN, "model \"%.80s\" has no alias \"%.80s\"", name,
                       alias);
    *ret = db_int(row, 0);
    return ERR_OK;
}

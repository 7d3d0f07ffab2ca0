#include "daemon/prediction_rows.h"

#include "data/base/clock.h"
#include "data/base/json.h"

#include <string.h>

enum { ID_MAX = 64 };

enum err_code prediction_rows_add(struct db_tx *t, const struct prediction_row *row, struct err *e)
{
    return db_exec(t, e,
                   "INSERT OR IGNORE INTO prediction (id, model, version, label, probability, "
                   "at_ms) SELECT ?, m.id, v.number, ?, ?, ? FROM model m JOIN version v "
                   "ON v.model = m.id AND v.number = ? WHERE m.name = ?",
                   DB_TEXT(row->id), DB_TEXT(row->label), DB_REAL(row->probability),
                   DB_INT(row->at_ms), DB_INT(row->version), DB_TEXT(row->model));
}

enum err_code prediction_rows_other(struct db_tx *t, const char *id, int64_t version,
                                    const char *label, struct err *e)
{
    return db_exec(t, e, "UPDATE prediction SET other_version = ?, other_label = ? WHERE id = ?",
                   DB_INT(version), DB_TEXT(label), DB_TEXT(id));
}

enum err_code prediction_rows_trim(struct db_tx *t, struct err *e)
{
    return db_exec(t, e,
                   "DELETE FROM prediction WHERE seq <= (SELECT max(seq) FROM prediction) - ?",
                   DB_INT(PREDICTIONS_KEPT));
}

#define SELECT_PREDICTION                                                                          \
    "SELECT m.name, p.version, p.label, p.other_version, p.other_label, p.truth, p.at_ms "         \
    "FROM prediction p JOIN model m ON m.id = p.model WHERE p.id = ?"

static enum err_code find(struct db_tx *t, const char *id, const char *truth, json_t **ret,
                          struct prediction_told *told, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, SELECT_PREDICTION, DB_TEXT(id));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_PREDICTION_UNKNOWN,
                       "no prediction \"%.80s\" is kept; of all answers the last %d are", id,
                       PREDICTIONS_KEPT);
    *told = (struct prediction_told){ .is_pair = !db_is_null(row, 3),
                                      .is_first = db_is_null(row, 5),
                                      .version = db_int(row, 1),
                                      .other_version = db_int(row, 3),
                                      .right = strcmp(db_text(row, 2), truth) == 0,
                                      .at_ms = db_int(row, 6) };
    told->other_right = told->is_pair && strcmp(db_text(row, 4), truth) == 0;
    snprintf(told->model, sizeof told->model, "%s", db_text(row, 0));
    *ret = json_pack("{s:s, s:s, s:I, s:s, s:s, s:b}", "prediction_id", id, "model", told->model,
                     "version", (json_int_t)told->version, "predicted", db_text(row, 2), "label",
                     truth, "right", told->right);
    return *ret ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for a feedback");
}

/* What was told first is in the row, with who and when; only a change of it needs a line. */
static enum err_code audit_change(struct db_tx *t, const char *id, const char *truth,
                                  const char *who, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    char subject[16 + ID_MAX];
    snprintf(subject, sizeof subject, "prediction/%.64s", id);
    enum err_code r =
        db_get(t, &row, e, "SELECT truth, told_by FROM prediction WHERE id = ? AND truth <> ?",
               DB_TEXT(id), DB_TEXT(truth));
    if (r || !row)
        return r;
    CLEANUP(json_decref_p)
    json_t *before =
        json_pack("{s:o, s:o}", "label", db_json_text(row, 0), "who", db_json_text(row, 1));
    CLEANUP(json_decref_p) json_t *after = json_pack("{s:s}", "label", truth);
    if (!before || !after)
        return err_set(e, ERR_NOMEM, "no memory for the audit log");
    return db_audit(t, who, "feedback.change", subject, before, after, e);
}

enum err_code prediction_rows_tell(struct db_tx *t, const char *id, const char *truth,
                                   const char *who, json_t **ret, struct prediction_told *ret_told,
                                   struct err *e)
{
    CLEANUP(json_decref_p) json_t *value = NULL;
    struct prediction_told told;
    enum err_code r = find(t, id, truth, &value, &told, e);
    if (!r && !told.is_first)
        r = audit_change(t, id, truth, who, e);
    if (!r)
        r = db_exec(t, e, "UPDATE prediction SET truth = ?, truth_ms = ?, told_by = ? WHERE id = ?",
                    DB_TEXT(truth), DB_INT(clock_utc_ms()), DB_TEXT(who), DB_TEXT(id));
    if (r)
        return r;
    *ret = STEAL(value);
    *ret_told = told;
    return ERR_OK;
}

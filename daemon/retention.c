#include "daemon/retention.h"

#include "daemon/record.h"
#include "data/base/json.h"

#include <stdio.h>

static enum err_code find_model(struct db_tx *t, const char *name, json_t **ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(
        t, &row, e, "SELECT keep_last, keep_promoted FROM model WHERE name = ?", DB_TEXT(name));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_MODEL_UNKNOWN, "there is no model \"%.80s\"", name);
    json_t *made = json_pack("{s:s, s:o, s:b}", "model", name, "keep_last", db_json_int(row, 0),
                             "keep_promoted", db_int(row, 1) != 0);
    if (!made)
        return err_set(e, ERR_NOMEM, "no memory to show a retention");
    *ret = made;
    return ERR_OK;
}

static enum err_code find_dataset(struct db_tx *t, const char *name, json_t **ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r =
        db_get(t, &row, e, "SELECT keep_last FROM dataset WHERE name = ?", DB_TEXT(name));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_DATASET_UNKNOWN, "there is no dataset \"%.80s\"", name);
    json_t *made = json_pack("{s:s, s:o}", "dataset", name, "keep_last", db_json_int(row, 0));
    if (!made)
        return err_set(e, ERR_NOMEM, "no memory to show a retention");
    *ret = made;
    return ERR_OK;
}

static const struct kind {
    struct record_removal removal;
    const char *update; /* keep_last, keep_promoted, name */
} kinds[] = {
    [RETENTION_MODEL] = { { find_model,
                            "UPDATE model SET keep_last = NULL, keep_promoted = 1 WHERE name = ?",
                            "retention.remove", "model/" },
                          "UPDATE model SET keep_last = ?1, keep_promoted = ?2 WHERE name = ?3" },
    [RETENTION_DATASET] = { { find_dataset, "UPDATE dataset SET keep_last = NULL WHERE name = ?",
                              "retention.remove", "dataset/" },
                            "UPDATE dataset SET keep_last = ?1 WHERE name = ?3 AND ?2 IS NOT "
                            "NULL" },
};

enum err_code retention_show(struct state *s, enum retention_of of, const char *name, json_t **ret,
                             struct err *e)
{
    return record_show(s, kinds[of].removal.find, name, ret, e);
}

enum err_code retention_set(struct state *s, enum retention_of of, const char *name,
                            int64_t keep_last, bool keep_promoted, const char *who, json_t **ret,
                            struct err *e)
{
    const struct kind *kind = &kinds[of];
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *before = NULL;
    CLEANUP(json_decref_p) json_t *after = NULL;
    char subject[100];
    snprintf(subject, sizeof subject, "%s%.64s", kind->removal.subject, name);
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = kind->removal.find(t, name, &before, e);
    if (!r)
        r = db_exec(t, e, kind->update, DB_INT(keep_last), DB_INT(keep_promoted), DB_TEXT(name));
    if (!r)
        r = kind->removal.find(t, name, &after, e);
    if (!r)
        r = db_audit(t, who, "retention.set", subject, before, after, e);
    if (!r)
        r = db_commit(&t, e);
    if (!r)
        *ret = STEAL(after);
    return r;
}

enum err_code retention_remove(struct state *s, enum retention_of of, const char *name,
                               const char *who, struct err *e)
{
    return record_remove(s, &kinds[of].removal, name, who, e);
}

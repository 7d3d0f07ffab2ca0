#include "daemon/rollout_expect.h"

#include "data/base/json.h"

#include <inttypes.h>

/* Negative: it says nothing of these two. */
static double paired_share(const json_t *decision, int64_t production)
{
    const json_t *paired = json_object_get(decision, "paired");
    if (!json_is_object(paired) ||
        json_integer_value(json_object_get(decision, "champion")) != production)
        return -1;
    double both = json_number_value(json_object_get(paired, "both"));
    double rest = json_number_value(json_object_get(paired, "only_challenger")) +
                  json_number_value(json_object_get(paired, "only_champion")) +
                  json_number_value(json_object_get(paired, "neither"));
    return both + rest > 0 ? rest / (both + rest) : -1;
}

static enum err_code wrong_share(struct db_tx *t, int64_t model_id, int64_t version, double *ret,
                                 json_t **ret_decision, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r =
        db_get(t, &row, e, "SELECT accuracy, decision FROM version WHERE model = ? AND number = ?",
               DB_INT(model_id), DB_INT(version));
    if (!r && !row)
        r = err_set(e, ERR_VERSION_UNKNOWN, "the model has no version %" PRId64, version);
    if (!r)
        r = db_json(row, 1, ret_decision, e);
    if (!r)
        *ret = 1 - db_real(row, 0);
    return r;
}

enum err_code rollout_expect(struct db_tx *t, int64_t model_id, int64_t production, int64_t canary,
                             double *ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *old = NULL;
    CLEANUP(json_decref_p) json_t *new = NULL;
    double old_wrong = 0, new_wrong = 0;
    enum err_code r = wrong_share(t, model_id, production, &old_wrong, &old, e);
    if (!r)
        r = wrong_share(t, model_id, canary, &new_wrong, &new, e);
    if (r)
        return r;
    double share = paired_share(new, production);
    *ret = share >= 0 ? share : old_wrong + new_wrong;
    return ERR_OK;
}

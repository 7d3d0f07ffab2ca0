#include "daemon/models.h"

#include "daemon/db.h"
#include "daemon/gate.h"
#include "daemon/job_limits.h"
#include "daemon/members.h"
#include "daemon/record.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "data/base/name.h"
#include "nn/retrain.h"

#include <inttypes.h>
#include <string.h>

/* --- models ------------------------------------------------------------------------------- */

/* Versions count from 1 and are never removed: the largest number is how many there are. */
/* A follower has the models alone. */
#define MODEL_SELECT                                                                               \
    "SELECT m.name, d.name, b.name, m.recipe, m.gate, m.strip_prefix, m.created_ms,"               \
    " (SELECT version FROM alias WHERE model = m.id AND name = 'production'),"                     \
    " (SELECT coalesce(max(number), 0) FROM version WHERE model = m.id), m.limits"                 \
    " FROM model m LEFT JOIN dataset d ON d.id = m.dataset"                                        \
    " LEFT JOIN backbone b ON b.id = m.backbone"

static json_t *strip_json(struct db_rows *row, int column)
{
    return db_is_null(row, column) ? json_null() : json_boolean(db_int(row, column));
}

/* Spelled out, also where the row is of before there were any. */
static json_t *limits_json(struct db_rows *row, int column)
{
    CLEANUP(json_decref_p) json_t *stored = NULL;
    struct job_limits limits;
    if (db_json(row, column, &stored, NULL) || job_limits_merge(NULL, stored, &limits, NULL))
        return NULL;
    return job_limits_json(&limits);
}

static json_t *model_json(struct db_rows *row)
{
    json_t *recipe = NULL, *gate = NULL, *limits = limits_json(row, 9);
    if (!limits || db_json(row, 3, &recipe, NULL) || db_json(row, 4, &gate, NULL)) {
        json_decref(recipe);
        json_decref(limits);
        return NULL;
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "limits", limits, "name",
                     db_json_text(row, 0), "dataset", db_json_text(row, 1), "backbone",
                     db_json_text(row, 2), "recipe", recipe, "gate", gate, "strip_label_prefix",
                     strip_json(row, 5), "created", db_json_time(row, 6), "production",
                     db_json_int(row, 7), "versions", db_json_int(row, 8));
}

static enum err_code show(struct db_tx *t, const char *name, json_t **ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, MODEL_SELECT " WHERE m.name = ?", DB_TEXT(name));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_MODEL_UNKNOWN, "no model \"%.80s\"", name);
    json_t *value = model_json(row);
    if (!value)
        return err_set(e, ERR_NOMEM, "no memory to show model %s", name);
    *ret = value;
    return ERR_OK;
}

enum err_code models_show(struct state *s, const char *name, json_t **ret, struct err *e)
{
    return record_show(s, show, name, ret, e);
}

enum err_code models_list(struct state *s, const char *after, int64_t limit, json_t **ret,
                          struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_query(t, &rows, e, MODEL_SELECT " WHERE m.name > ? ORDER BY m.name LIMIT ?",
                     DB_TEXT(after ? after : ""), DB_INT(limit));
    return r ? r : db_json_list(rows, model_json, ret, e);
}

/* --- create and change -------------------------------------------------------------------- */

/* What a model is made of, checked and as the row holds it. */
struct content {
    int64_t dataset, backbone;
    char *recipe, *gate, *limits; /* owned */
    int strip_prefix;             /* -1: null */
};

static void content_fini(struct content *c)
{
    free(c->recipe);
    free(c->gate);
    free(c->limits);
}

static enum err_code find_backbone(struct db_tx *t, const char *name, int64_t *ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e, "SELECT id FROM backbone WHERE name = ?", DB_TEXT(name));
    if (r)
        return r;
    if (!row)
        return err_set(e, ERR_BACKBONE_UNKNOWN, "no backbone \"%.80s\"", name);
    *ret = db_int(row, 0);
    return ERR_OK;
}

static enum err_code full_recipe(const json_t *recipe, char **ret, struct err *e)
{
    struct recipe parsed;
    enum err_code r = recipe_parse(recipe, &parsed, e);
    if (r)
        return r;
    CLEANUP(json_decref_p) json_t *full = recipe_json(&parsed);
    if (!full)
        return err_set(e, ERR_NOMEM, "no memory for a recipe");
    return db_json_column(full, ret, e);
}

static enum err_code full_gate(const json_t *gate, char **ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *full = NULL;
    enum err_code r = gate_check(gate, &full, e);
    return r ? r : db_json_column(full, ret, e);
}

static enum err_code full_limits(const json_t *limits, char **ret, struct err *e)
{
    struct job_limits parsed;
    enum err_code r = job_limits_merge(NULL, limits, &parsed, e);
    if (r)
        return r;
    CLEANUP(json_decref_p) json_t *full = job_limits_json(&parsed);
    if (!full)
        return err_set(e, ERR_NOMEM, "no memory for a model's limits");
    return db_json_column(full, ret, e);
}

static enum err_code content_check(struct db_tx *t, const char *dataset, const char *backbone,
                                   const json_t *recipe, const json_t *gate, const json_t *limits,
                                   int strip_prefix, struct content *ret, struct err *e)
{
    CLEANUP(content_fini) struct content c = { .strip_prefix = strip_prefix };
    enum err_code r = members_dataset(t, dataset, &c.dataset, e);
    if (!r)
        r = find_backbone(t, backbone, &c.backbone, e);
    if (!r)
        r = full_recipe(recipe, &c.recipe, e);
    if (!r)
        r = full_gate(gate, &c.gate, e);
    if (!r)
        r = full_limits(limits, &c.limits, e);
    if (r)
        return r;
    *ret = c;
    c.recipe = c.gate = c.limits = NULL;
    return ERR_OK;
}

static struct db_value strip_value(int strip_prefix)
{
    return strip_prefix < 0 ? DB_NULL : DB_INT(strip_prefix != 0);
}

static enum err_code insert(struct db_tx *t, const char *name, const struct content *c,
                            const char *who, struct err *e)
{
    enum err_code r = db_exec(t, e,
                              "INSERT OR IGNORE INTO model (name, dataset, backbone, recipe, gate,"
                              " strip_prefix, created_ms, who, limits)"
                              " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                              DB_TEXT(name), DB_INT(c->dataset), DB_INT(c->backbone),
                              DB_TEXT(c->recipe), DB_TEXT(c->gate), strip_value(c->strip_prefix),
                              DB_INT(clock_utc_ms()), DB_TEXT(who), DB_TEXT(c->limits));
    if (!r && !db_changes(t))
        r = err_set(e, ERR_NAME_TAKEN, "there is a model \"%s\" already", name);
    return r;
}

static enum err_code audit(struct db_tx *t, const char *who, const char *what, const char *name,
                           const json_t *before, const json_t *after, struct err *e)
{
    char subject[100];
    snprintf(subject, sizeof subject, "model/%s", name);
    return db_audit(t, who, what, subject, before, after, e);
}

enum err_code models_create(struct state *s, const char *name, const char *dataset,
                            const char *backbone, const json_t *recipe, const json_t *gate,
                            const json_t *limits, int strip_prefix, const char *who, json_t **ret,
                            struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(content_fini) struct content c = { 0 };
    CLEANUP(json_decref_p) json_t *value = NULL;
    enum err_code r = name_check(name, "model name", e);
    if (!r)
        r = db_write(state_db(s), &t, e);
    if (!r)
        r = content_check(t, dataset, backbone, recipe, gate, limits, strip_prefix, &c, e);
    if (!r)
        r = insert(t, name, &c, who, e);
    if (!r)
        r = show(t, name, &value, e);
    if (!r)
        r = audit(t, who, "model.create", name, NULL, value, e);
    if (!r)
        r = db_commit(&t, e);
    if (!r)
        *ret = STEAL(value);
    return r;
}

/* The request's members, the present model's where it says nothing. strip_label_prefix is the one
 * whose null is a value of its own. */
static enum err_code patch_content(struct db_tx *t, const json_t *before, const json_t *change,
                                   struct content *ret, struct err *e)
{
    const char *dataset = json_string_value(json_object_get(before, "dataset"));
    const char *backbone = json_string_value(json_object_get(before, "backbone"));
    json_t *recipe = json_object_get(before, "recipe");
    json_t *gate = json_object_get(before, "gate");
    json_t *limits = json_object_get(before, "limits");
    bool strip = false;
    const struct json_field fields[] = {
        { "dataset", JSON_KIND_STRING, false, &dataset, 0, 0 },
        { "backbone", JSON_KIND_STRING, false, &backbone, 0, 0 },
        { "recipe", JSON_KIND_ANY, false, &recipe, 0, 0 },
        { "gate", JSON_KIND_OBJECT, false, &gate, 0, 0 },
        { "limits", JSON_KIND_OBJECT, false, &limits, 0, 0 },
        { "strip_label_prefix", JSON_KIND_BOOL, false, &strip, 0, 0 },
    };
    enum err_code r = json_take(change, "the change", fields, sizeof fields / sizeof *fields, e);
    if (r)
        return r;
    const json_t *wanted = json_object_get(change, "strip_label_prefix");
    if (!wanted)
        wanted = json_object_get(before, "strip_label_prefix");
    int strip_prefix = json_is_boolean(wanted) ? json_is_true(wanted) : -1;
    return content_check(t, dataset, backbone, recipe, gate, limits, strip_prefix, ret, e);
}

enum err_code models_patch(struct state *s, const char *name, const json_t *change, const char *who,
                           json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(content_fini) struct content c = { 0 };
    CLEANUP(json_decref_p) json_t *before = NULL;
    CLEANUP(json_decref_p) json_t *after = NULL;
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = show(t, name, &before, e);
    if (!r)
        r = patch_content(t, before, change, &c, e);
    if (!r)
        r = db_exec(t, e,
                    "UPDATE model SET dataset = ?, backbone = ?, recipe = ?, gate = ?,"
                    " limits = ?, strip_prefix = ? WHERE name = ?",
                    DB_INT(c.dataset), DB_INT(c.backbone), DB_TEXT(c.recipe), DB_TEXT(c.gate),
                    DB_TEXT(c.limits), strip_value(c.strip_prefix), DB_TEXT(name));
    if (!r)
        r = show(t, name, &after, e);
    if (!r)
        r = audit(t, who, "model.change", name, before, after, e);
    if (!r)
        r = db_commit(&t, e);
    if (!r)
        *ret = STEAL(after);
    return r;
}

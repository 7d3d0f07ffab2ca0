#include "daemon/replica.h"

#include "daemon/alias_move.h"
#include "daemon/state.h"
#include "daemon/ulid.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "data/base/name.h"

#include <string.h>

enum { FORMAT = 1, TABLES = 5 };

/* by: the column that names the model. */
static const struct table {
    const char *name, *by, *select;
} tables[TABLES] = {
    { "model", "id", "SELECT * FROM model WHERE id IN (SELECT model FROM alias) ORDER BY id" },
    { "version", "model",
      "SELECT v.* FROM (SELECT model, version AS number FROM alias"
      " UNION SELECT model, baseline FROM rollout WHERE ended_ms IS NULL"
      " UNION SELECT model, canary FROM rollout WHERE ended_ms IS NULL"
      " UNION SELECT model, shadow FROM rollout WHERE ended_ms IS NULL) n"
      " JOIN version v ON v.model = n.model AND v.number = n.number ORDER BY v.model, v.number" },
    { "alias", "model", "SELECT * FROM alias ORDER BY model, name" },
    /* Not its numbers, which change all the time. */
    { "rollout", "model",
      "SELECT id, model, state, plan, baseline, canary, shadow, step, step_ms, who, created_ms"
      " FROM rollout WHERE ended_ms IS NULL ORDER BY id" },
    { "api_key", NULL, "SELECT * FROM api_key ORDER BY id" },
};

enum err_code replica_look(struct db *db, bool *ret_replica, bool *ret_used, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_read(db, &t, e);
    if (!r)
        r = db_get(t, &row, e,
                   "SELECT EXISTS (SELECT 1 FROM replica), EXISTS (SELECT 1 FROM audit)");
    if (r)
        return r;
    *ret_replica = db_int(row, 0) != 0;
    *ret_used = db_int(row, 1) != 0;
    return ERR_OK;
}

/* Versions of a follower come and go with the catalogue. */
enum err_code replica_begin(struct db *db, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    struct ulid_source ids;
    char id[ULID_TEXT];
    ulid_source_init(&ids);
    enum err_code r = ulid_next(&ids, clock_utc_ms(), id, e);
    ulid_source_fini(&ids);
    if (!r)
        r = db_write(db, &t, e);
    if (!r)
        r = db_exec(t, e, "INSERT OR IGNORE INTO replica (one, id) VALUES (1, ?)", DB_TEXT(id));
    if (!r)
        r = db_script(t,
                      "DROP TRIGGER IF EXISTS version_no_delete;"
                      "DROP TRIGGER IF EXISTS version_no_update",
                      e);
    if (!r)
        r = db_commit(&t, e);
    if (!r)
        db_allow_dangling(db);
    return r;
}

/* -- the trainer's -------------------------------------------------------------------------------
 */

static enum err_code read_table(struct db_tx *t, const struct table *table, json_t *catalog,
                                struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    json_t *list = NULL;
    enum err_code r = db_query(t, &rows, e, table->select);
    if (!r)
        r = db_json_list(rows, db_json_row, &list, e);
    return r ? r : json_put(catalog, table->name, list, e);
}

enum err_code replica_catalog(struct state *s, struct buf *ret, char ret_tag[DIGEST_HEX + 1],
                              struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *catalog = json_pack("{s:i}", "format", FORMAT);
    struct digest digest;
    if (!catalog)
        return err_set(e, ERR_NOMEM, "no memory for a catalogue");
    enum err_code r = db_read(state_db(s), &t, e);
    for (int i = 0; !r && i < TABLES; i++)
        r = read_table(t, &tables[i], catalog, e);
    if (!r)
        r = json_write(catalog, ret, e);
    if (!r)
        r = digest_of(ret->data, ret->len, &digest, e);
    if (!r)
        digest_hex(&digest, ret_tag);
    return r;
}

/* -- the follower's ------------------------------------------------------------------------------
 */

enum err_code replica_parse(const char *text, size_t len, json_t **ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *catalog = NULL;
    enum err_code r = json_read(text, len, &catalog, e);
    if (r)
        return r;
    json_int_t format = json_integer_value(json_object_get(catalog, "format"));
    if (format != FORMAT)
        return err_set(e, ERR_JSON_TYPE, "a catalogue of format %lld; this program knows %d",
                       (long long)format, FORMAT);
    for (int i = 0; i < TABLES; i++)
        if (!json_is_array(json_object_get(catalog, tables[i].name)))
            return err_set(e, ERR_JSON_TYPE, "a catalogue without %s", tables[i].name);
    size_t i;
    json_t *row;
    json_array_foreach (json_object_get(catalog, "version"), i, row) {
        struct replica_version v;
        r = replica_version(catalog, row, &v, e);
        if (r)
            return r;
    }
    *ret = STEAL(catalog);
    return ERR_OK;
}

enum err_code replica_load(struct state *s, json_t **ret, char ret_tag[DIGEST_HEX + 1],
                           int64_t *ret_synced_ms, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    json_t *catalog = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_get(t, &row, e,
                   "SELECT catalog, coalesce(tag, ''), synced_ms FROM replica "
                   "WHERE catalog IS NOT NULL");
    if (!r && row)
        r = db_json(row, 0, &catalog, e);
    if (r)
        return r;
    *ret = catalog;
    snprintf(ret_tag, DIGEST_HEX + 1, "%s", row ? db_text(row, 1) : "");
    *ret_synced_ms = row ? db_int(row, 2) : 0;
    return ERR_OK;
}

static enum err_code insert_rows(struct db_tx *t, const json_t *catalog, const char *table,
                                 struct err *e)
{
    size_t i;
    json_t *row;
    enum err_code r = ERR_OK;
    json_array_foreach (json_object_get(catalog, table), i, row)
        if (!r)
            r = db_json_insert(t, table, row, e);
    return r;
}

enum err_code replica_add(struct state *s, const json_t *catalog, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = insert_rows(t, catalog, "model", e);
    if (!r)
        r = insert_rows(t, catalog, "version", e);
    return r ? r : db_commit(&t, e);
}

enum err_code replica_replace(struct state *s, const json_t *catalog, const char *tag,
                              struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(cleanup_free) char *text = NULL;
    enum err_code r = db_json_column(catalog, &text, e);
    if (!r)
        r = db_write(state_db(s), &t, e);
    if (!r)
        r = db_script(t,
                      "DELETE FROM alias; DELETE FROM rollout; DELETE FROM version;"
                      "DELETE FROM model; DELETE FROM api_key",
                      e);
    for (int i = 0; !r && i < TABLES; i++)
        r = insert_rows(t, catalog, tables[i].name, e);
    if (!r)
        r = db_exec(t, e, "UPDATE replica SET catalog = ?, tag = ?, synced_ms = ?", DB_TEXT(text),
                    DB_TEXT(tag), DB_INT(clock_utc_ms()));
    return r ? r : db_commit(&t, e);
}

/* -- what a catalogue says -----------------------------------------------------------------------
 */

static int64_t number(const json_t *row, const char *column)
{
    return json_integer_value(json_object_get(row, column));
}

static const json_t *find(const json_t *catalog, const char *table, const char *a, int64_t a_is,
                          const char *b, int64_t b_is)
{
    size_t i;
    json_t *row;
    json_array_foreach (json_object_get(catalog, table), i, row)
        if (number(row, a) == a_is && (!b || number(row, b) == b_is))
            return row;
    return NULL;
}

const json_t *replica_model(const json_t *catalog, int64_t model_id)
{
    return find(catalog, "model", "id", model_id, NULL, 0);
}

const json_t *replica_find_version(const json_t *catalog, int64_t model_id, int64_t version)
{
    return find(catalog, "version", "model", model_id, "number", version);
}

int64_t replica_production(const json_t *catalog, int64_t model_id)
{
    size_t i;
    json_t *row;
    json_array_foreach (json_object_get(catalog, "alias"), i, row) {
        const char *name = json_string_value(json_object_get(row, "name"));
        if (number(row, "model") == model_id && name && strcmp(name, ALIAS_PRODUCTION) == 0)
            return number(row, "version");
    }
    return 0;
}

enum err_code replica_version(const json_t *catalog, const json_t *row, struct replica_version *ret,
                              struct err *e)
{
    struct replica_version v = { .model_id = number(row, "model"),
                                 .version = number(row, "number"),
                                 .bytes = number(row, "bytes") };
    const json_t *model = replica_model(catalog, v.model_id);
    v.model = json_string_value(json_object_get(model, "name"));
    const char *artifact = json_string_value(json_object_get(row, "artifact"));
    if (!v.model || v.version < 1 || v.bytes < 1 || !artifact ||
        !digest_parse(artifact, &v.artifact))
        return err_set(e, ERR_JSON_TYPE, "a catalogue with a version that is none");
    enum err_code r = name_check(v.model, "model name", e);
    if (!r)
        *ret = v;
    return r;
}

static enum err_code keep_rows(json_t *catalog, const json_t *from, const struct table *table,
                               int64_t model_id, struct err *e)
{
    CLEANUP(json_decref_p) json_t *kept = json_array();
    const json_t *sources[] = { catalog, from };
    size_t n;
    json_t *row;
    for (int i = 0; kept && i < 2; i++)
        json_array_foreach (json_object_get(sources[i], table->name), n, row)
            if ((number(row, table->by) == model_id) == (i == 1) &&
                json_array_append(kept, row) < 0)
                return err_set(e, ERR_NOMEM, "no memory for a catalogue");
    return json_put(catalog, table->name, STEAL(kept), e);
}

enum err_code replica_keep(json_t *catalog, const json_t *from, int64_t model_id, struct err *e)
{
    /* The same number may be another model's, of a trainer that was made anew. */
    const json_t *now = replica_model(catalog, model_id), *was = replica_model(from, model_id);
    if (!json_equal(json_object_get(now, "name"), json_object_get(was, "name")))
        from = NULL;
    enum err_code r = ERR_OK;
    for (int i = 0; !r && i < TABLES; i++)
        if (tables[i].by)
            r = keep_rows(catalog, from, &tables[i], model_id, e);
    return r;
}

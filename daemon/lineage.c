#include "daemon/lineage.h"

#include "daemon/db.h"
#include "data/base/json.h"

#include <string.h>

enum { OF_MAX = 200 };

enum kind {
    KIND_MODEL_VERSION,
    KIND_JOB,
    KIND_DATASET_VERSION,
    KIND_PICTURE,
    KIND_BACKBONE,
    KIND_PREDICTION
};

/* How a name is written: the words around NAME and, where there is one, the number. */
static const struct form {
    const char *prefix;
    bool is_numbered;
    enum err_code unknown;
    /* The thing: its row's id (or null), when it was made. ?1 name, ?2 number, ?3 digest. */
    const char *sql;
} forms[] = {
    [KIND_MODEL_VERSION] = { "model/", true, ERR_VERSION_UNKNOWN,
                             "SELECT m.id, v.created_ms FROM model m JOIN version v"
                             " ON v.model = m.id AND v.number = ?2 WHERE m.name = ?1 AND ?3 IS "
                             "NULL" },
    [KIND_JOB] = { "job/", false, ERR_JOB_UNKNOWN,
                   "SELECT NULL, created_ms FROM job WHERE id = ?1 AND ?2 = 0 AND ?3 IS NULL" },
    [KIND_DATASET_VERSION] = { "dataset/", true, ERR_VERSION_UNKNOWN,
                               "SELECT d.id, v.created_ms FROM dataset d JOIN dataset_version v"
                               " ON v.dataset = d.id AND v.number = ?2"
                               " WHERE d.name = ?1 AND ?3 IS NULL" },
    [KIND_PICTURE] = { "picture/", false, ERR_PICTURE_UNKNOWN,
                       "SELECT NULL, NULL FROM picture WHERE digest = ?3 AND ?2 = 0"
                       " AND ?1 IS NOT NULL" },
    [KIND_BACKBONE] = { "backbone/", false, ERR_BACKBONE_UNKNOWN,
                        "SELECT id, created_ms FROM backbone WHERE name = ?1 AND ?2 = 0"
                        " AND ?3 IS NULL" },
    [KIND_PREDICTION] = { "prediction/", false, ERR_PREDICTION_UNKNOWN,
                          "SELECT NULL, at_ms FROM prediction WHERE id = ?1 AND ?2 = 0"
                          " AND ?3 IS NULL" },
};

#define MODEL_VERSION(number) "'model/' || m.name || '/versions/' || " number
#define DATASET_VERSION(number) "'dataset/' || d.name || '/versions/' || " number

/* Rows of (name, when it was made), newest first. ?1 the row's id, ?2 number, ?3 the id of a job or
 * prediction or a picture's digest, ?4 limit. */
static const struct relation {
    enum kind kind;
    const char *direction, *name, *sql;
} relations[] = {
    { KIND_MODEL_VERSION, "from", "trained_by",
      "SELECT 'job/' || j.id, j.created_ms FROM version v JOIN job j ON j.id = v.job"
      " WHERE v.model = ?1 AND v.number = ?2 AND ?3 IS NULL LIMIT ?4" },
    { KIND_MODEL_VERSION, "from", "trained_on",
      "SELECT " DATASET_VERSION(
          "dv.number") ", dv.created_ms FROM version v"
                       " JOIN job j ON j.id = v.job JOIN dataset d ON d.id = j.dataset"
                       " JOIN dataset_version dv ON dv.dataset = j.dataset AND dv.number = "
                       "j.dataset_version"
                       " WHERE v.model = ?1 AND v.number = ?2 AND ?3 IS NULL LIMIT ?4" },
    { KIND_MODEL_VERSION, "from", "built_on",
      "SELECT 'backbone/' || b.name, b.created_ms FROM version v JOIN job j ON j.id = v.job"
      " JOIN backbone b ON b.id = j.backbone"
      " WHERE v.model = ?1 AND v.number = ?2 AND ?3 IS NULL LIMIT ?4" },
    { KIND_MODEL_VERSION, "from", "compared_with",
      "SELECT " MODEL_VERSION(
          "c.number") ", c.created_ms FROM version v JOIN job j ON j.id = v.job"
                      " JOIN model m ON m.id = j.model JOIN version c ON c.model = j.model"
                      " AND c.number = j.champion WHERE v.model = ?1 AND v.number = ?2 AND ?3 IS "
                      "NULL LIMIT ?4" },
    { KIND_MODEL_VERSION, "to", "champion_of",
      "SELECT 'job/' || id, created_ms FROM job WHERE model = ?1 AND champion = ?2 AND ?3 IS NULL"
      " ORDER BY id DESC LIMIT ?4" },
    { KIND_MODEL_VERSION, "to", "answered",
      "SELECT 'prediction/' || id, at_ms FROM prediction WHERE model = ?1 AND version = ?2"
      " AND ?3 IS NULL ORDER BY seq DESC LIMIT ?4" },
    { KIND_MODEL_VERSION, "to", "also_answered",
      "SELECT 'prediction/' || id, at_ms FROM prediction WHERE model = ?1 AND other_version = ?2"
      " AND ?3 IS NULL ORDER BY seq DESC LIMIT ?4" },

    { KIND_JOB, "from", "trains_on",
      "SELECT " DATASET_VERSION("dv.number") ", dv.created_ms FROM job j"
                                             " JOIN dataset d ON d.id = j.dataset"
                                             " JOIN dataset_version dv ON dv.dataset = j.dataset "
                                             "AND dv.number = j.dataset_version"
                                             " WHERE j.id = ?3 AND ?1 = 0 AND ?2 = 0 LIMIT ?4" },
    { KIND_JOB, "from", "builds_on",
      "SELECT 'backbone/' || b.name, b.created_ms FROM job j JOIN backbone b ON b.id = j.backbone"
      " WHERE j.id = ?3 AND ?1 = 0 AND ?2 = 0 LIMIT ?4" },
    { KIND_JOB, "from", "compares_with",
      "SELECT " MODEL_VERSION(
          "c.number") ", c.created_ms FROM job j"
                      " JOIN model m ON m.id = j.model JOIN version c ON c.model = j.model"
                      " AND c.number = j.champion WHERE j.id = ?3 AND ?1 = 0 AND ?2 = 0 LIMIT ?4" },
    { KIND_JOB, "to", "trained",
      "SELECT " MODEL_VERSION("v.number") ", v.created_ms FROM version v"
                                          " JOIN model m ON m.id = v.model WHERE v.job = ?3 AND ?1 "
                                          "= 0 AND ?2 = 0 LIMIT ?4" },

    { KIND_DATASET_VERSION, "from", "follows",
      "SELECT " DATASET_VERSION(
          "v.number") ", v.created_ms FROM dataset d"
                      " JOIN dataset_version v ON v.dataset = d.id AND v.number = ?2 - 1"
                      " WHERE d.id = ?1 AND ?3 IS NULL LIMIT ?4" },
    { KIND_DATASET_VERSION, "from", "holds",
      "SELECT 'picture/' || lower(hex(m.picture)), v.created_ms FROM member m"
      " JOIN dataset_version v ON v.dataset = m.dataset AND v.number = m.added"
      " WHERE m.dataset = ?1 AND m.added <= ?2 AND (m.removed IS NULL OR m.removed > ?2)"
      " AND ?3 IS NULL ORDER BY m.picture LIMIT ?4" },
    { KIND_DATASET_VERSION, "to", "followed_by",
      "SELECT " DATASET_VERSION(
          "v.number") ", v.created_ms FROM dataset d"
                      " JOIN dataset_version v ON v.dataset = d.id AND v.number = ?2 + 1"
                      " WHERE d.id = ?1 AND ?3 IS NULL LIMIT ?4" },
    { KIND_DATASET_VERSION, "to", "used_by",
      "SELECT 'job/' || id, created_ms FROM job WHERE dataset = ?1 AND dataset_version = ?2"
      " AND ?3 IS NULL ORDER BY id DESC LIMIT ?4" },
    { KIND_DATASET_VERSION, "to", "trained",
      "SELECT " MODEL_VERSION("j.version") ", j.ended_ms FROM job j JOIN model m ON m.id = j.model"
                                           " WHERE j.dataset = ?1 AND j.dataset_version = ?2 AND "
                                           "j.version IS NOT NULL AND ?3 IS NULL"
                                           " ORDER BY j.id DESC LIMIT ?4" },

    /* By way of every dataset, because members are found by dataset and picture. */
    { KIND_PICTURE, "to", "member_of",
      "SELECT " DATASET_VERSION(
          "v.number") ", v.created_ms FROM dataset d"
                      " CROSS JOIN member p ON p.dataset = d.id AND p.picture = ?3"
                      " CROSS JOIN dataset_version v ON v.dataset = d.id AND v.number >= p.added"
                      " AND (p.removed IS NULL OR v.number < p.removed) WHERE ?1 = 0 AND ?2 = 0"
                      " ORDER BY v.created_ms DESC, d.id, v.number DESC LIMIT ?4" },
    { KIND_PICTURE, "to", "trained",
      "SELECT " MODEL_VERSION(
          "j.version") ", j.ended_ms FROM dataset d"
                       " CROSS JOIN member p ON p.dataset = d.id AND p.picture = ?3"
                       " JOIN job j ON j.dataset = d.id AND j.dataset_version >= p.added"
                       " AND (p.removed IS NULL OR j.dataset_version < p.removed) AND j.version IS "
                       "NOT NULL"
                       " JOIN model m ON m.id = j.model WHERE ?1 = 0 AND ?2 = 0 ORDER BY j.id DESC "
                       "LIMIT ?4" },

    { KIND_BACKBONE, "to", "used_by",
      "SELECT 'job/' || id, created_ms FROM job WHERE backbone = ?1 AND ?2 = 0 AND ?3 IS NULL"
      " ORDER BY id DESC LIMIT ?4" },
    { KIND_BACKBONE, "to", "trained",
      "SELECT " MODEL_VERSION(
          "j.version") ", j.ended_ms FROM job j JOIN model m ON m.id = j.model"
                       " WHERE j.backbone = ?1 AND j.version IS NOT NULL AND ?2 = 0 AND ?3 IS NULL"
                       " ORDER BY j.id DESC LIMIT ?4" },

    { KIND_PREDICTION, "from", "answered_by",
      "SELECT " MODEL_VERSION("v.number") ", v.created_ms FROM prediction p"
                                          " JOIN model m ON m.id = p.model JOIN version v"
                                          " ON v.model = p.model AND v.number = p.version"
                                          " WHERE p.id = ?3 AND ?1 = 0 AND ?2 = 0 LIMIT ?4" },
    { KIND_PREDICTION, "from", "also_answered_by",
      "SELECT " MODEL_VERSION("v.number") ", v.created_ms FROM prediction p"
                                          " JOIN model m ON m.id = p.model JOIN version v"
                                          " ON v.model = p.model AND v.number = p.other_version"
                                          " WHERE p.id = ?3 AND ?1 = 0 AND ?2 = 0 LIMIT ?4" },
};

struct thing {
    enum kind kind;
    char name[OF_MAX]; /* without the words around it */
    int64_t number;    /* 0: its kind has none */
    struct digest digest;
    int64_t id; /* of its row; 0 for a job, a picture and a prediction */
};

/* "NAME/versions/N" is cut to NAME. */
static bool take_number(char *name, int64_t *ret)
{
    static const char words[] = "/versions/";
    char *at = strstr(name, words);
    if (!at || at == name)
        return false;
    const char *digits = at + sizeof words - 1;
    size_t len = strspn(digits, "0123456789");
    if (len == 0 || len > 15 || digits[len] || digits[0] == '0')
        return false;
    *ret = strtoll(digits, NULL, 10);
    *at = 0;
    return true;
}

static enum err_code parse(const char *of, struct thing *t, struct err *e)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t len = strlen(forms[i].prefix);
        if (strncmp(of, forms[i].prefix, len) != 0 || strlen(of + len) >= OF_MAX)
            continue;
        t->kind = (enum kind)i;
        snprintf(t->name, sizeof t->name, "%s", of + len);
        bool is_whole = !forms[i].is_numbered || take_number(t->name, &t->number);
        if (t->kind == KIND_PICTURE)
            is_whole = digest_parse(t->name, &t->digest);
        if (is_whole && t->name[0] && !strchr(t->name, '/'))
            return ERR_OK;
    }
    return err_set(e, ERR_FIELD_RANGE,
                   "of must be model/NAME/versions/N, job/ID, dataset/NAME/versions/N,"
                   " picture/DIGEST, backbone/NAME or prediction/ID, is \"%.80s\"",
                   of);
}

/* Its row, or which part of the name there is none of. */
static enum err_code find(struct db_tx *t, const char *of, struct thing *thing, json_t *value,
                          struct err *e)
{
    const struct form *form = &forms[thing->kind];
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    bool is_picture = thing->kind == KIND_PICTURE;
    enum err_code r = db_get(t, &row, e, form->sql, DB_TEXT(thing->name), DB_INT(thing->number),
                             is_picture ? DB_DIGEST(&thing->digest) : DB_NULL);
    if (r)
        return r;
    if (!row)
        return err_set(e, form->unknown, "there is no %.120s", of);
    thing->id = db_int(row, 0);
    return json_put(value, "created", db_json_time(row, 1), e);
}

static enum err_code add(struct db_rows *row, const char *relation, json_t *list, struct err *e)
{
    json_t *one = json_pack("{s:o, s:s, s:o}", "of", db_json_text(row, 0), "relation", relation,
                            "created", db_json_time(row, 1));
    return json_array_append_new(list, one) < 0 ? err_set(e, ERR_NOMEM, "no memory for a list")
                                                : ERR_OK;
}

/* One row more than asked for tells that there are more. */
static enum err_code relate(struct db_tx *t, const struct thing *thing,
                            const struct relation *relation, int64_t limit, json_t *value,
                            bool *ret_cut, struct err *e)
{
    struct db_value key = DB_NULL;
    if (thing->kind == KIND_PICTURE)
        key = DB_DIGEST(&thing->digest);
    else if (thing->kind == KIND_JOB || thing->kind == KIND_PREDICTION)
        key = DB_TEXT(thing->name);
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    enum err_code r = db_query(t, &rows, e, relation->sql, DB_INT(thing->id), DB_INT(thing->number),
                               key, DB_INT(limit + 1));
    json_t *list = json_object_get(value, relation->direction);
    bool more = false;
    for (int64_t n = 0; !r && !(r = db_next(rows, &more, e)) && more; n++) {
        if (n == limit) {
            *ret_cut = true;
            break;
        }
        r = add(rows, relation->name, list, e);
    }
    return r;
}

enum err_code lineage_show(struct state *s, const char *of, int64_t limit, json_t **ret,
                           struct err *e)
{
    struct thing thing = { 0 };
    enum err_code r = parse(of, &thing, e);
    if (r)
        return r;
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p)
    json_t *value = json_pack("{s:s, s:n, s:[], s:[]}", "of", of, "created", "from", "to");
    if (!value)
        return err_set(e, ERR_NOMEM, "no memory to show where %.80s came from", of);
    r = db_read(state_db(s), &t, e);
    if (!r)
        r = find(t, of, &thing, value, e);
    bool is_cut = false;
    for (size_t i = 0; !r && i < sizeof relations / sizeof *relations; i++)
        if (relations[i].kind == thing.kind)
            r = relate(t, &thing, &relations[i], limit, value, &is_cut, e);
    if (!r)
        r = json_put(value, "cut", json_boolean(is_cut), e);
    if (!r)
        *ret = STEAL(value);
    return r;
}

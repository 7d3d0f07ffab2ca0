#include "daemon/gc.h"

#include "daemon/db.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/file.h"
#include "data/base/json.h"

#include <string.h>

/* ?1: the time that marks what goes in this run. */
#define KEPT_VERSION                                                                               \
    "(m.keep_promoted = 1 AND EXISTS (SELECT 1 FROM alias_history h WHERE h.model = v.model"       \
    "   AND h.version = v.number AND h.alias = 'production'))"                                     \
    " OR EXISTS (SELECT 1 FROM alias a WHERE a.model = v.model AND a.version = v.number)"          \
    " OR EXISTS (SELECT 1 FROM rollout r WHERE r.model = v.model AND r.ended_ms IS NULL"           \
    "   AND v.number IN (r.baseline, r.canary, r.shadow))"                                         \
    " OR EXISTS (SELECT 1 FROM job j WHERE j.model = v.model AND j.champion = v.number"            \
    "   AND j.ended_ms IS NULL)"

/* Numbers count from 1 without gaps, so the last N are those above the largest less N. */
#define MARK_VERSIONS                                                                              \
    "UPDATE version SET purged_ms = ?1 WHERE (model, number) IN (SELECT v.model, v.number"         \
    " FROM model m JOIN version v ON v.model = m.id AND v.purged_ms IS NULL"                       \
    " AND v.number <= (SELECT max(number) FROM version WHERE model = m.id) - m.keep_last"          \
    " WHERE m.keep_last IS NOT NULL AND NOT (" KEPT_VERSION "))"

#define MARK_DATASET_VERSIONS                                                                      \
    "UPDATE dataset_version SET purged_ms = ?1 WHERE (dataset, number) IN"                         \
    " (SELECT v.dataset, v.number FROM dataset d JOIN dataset_version v ON v.dataset = d.id"       \
    " AND v.purged_ms IS NULL AND v.number <="                                                     \
    "  (SELECT max(number) FROM dataset_version WHERE dataset = d.id) - d.keep_last"               \
    " WHERE d.keep_last IS NOT NULL AND NOT EXISTS (SELECT 1 FROM job j LEFT JOIN version k"       \
    "   ON k.model = j.model AND k.number = j.version WHERE j.dataset = v.dataset"                 \
    "   AND j.dataset_version = v.number AND (j.ended_ms IS NULL OR (j.version IS NOT NULL"        \
    "   AND k.purged_ms IS NULL))))"

/* Only a picture that was removed can be one of no kept version, as the latest is always kept; and
 * only from a dataset that lost a version now. Members are found by dataset and picture, hence the
 * way through every dataset. */
#define MARK_PICTURES                                                                              \
    "UPDATE picture SET purged_ms = ?1 WHERE purged_ms IS NULL AND digest IN"                      \
    " (SELECT g.picture FROM (SELECT DISTINCT dataset FROM dataset_version WHERE purged_ms = ?1)"  \
    "  c CROSS JOIN member g ON g.dataset = c.dataset AND g.removed IS NOT NULL)"                  \
    " AND NOT EXISTS (SELECT 1 FROM dataset d CROSS JOIN member p ON p.dataset = d.id"             \
    "  AND p.picture = picture.digest CROSS JOIN dataset_version v ON v.dataset = d.id"            \
    "  AND v.purged_ms IS NULL AND v.number >= p.added"                                            \
    "  AND (p.removed IS NULL OR v.number < p.removed))"

/* Of what was marked, the blobs that nothing kept names. */
#define FREED                                                                                      \
    "SELECT digest FROM (SELECT digest FROM picture WHERE purged_ms = ?1"                          \
    " UNION SELECT digest FROM dataset_version WHERE purged_ms = ?1"                               \
    " UNION SELECT artifact FROM version WHERE purged_ms = ?1"                                     \
    " UNION SELECT report FROM version WHERE purged_ms = ?1) f"                                    \
    " WHERE NOT EXISTS (SELECT 1 FROM picture WHERE digest = f.digest AND purged_ms IS NULL)"      \
    " AND NOT EXISTS (SELECT 1 FROM dataset_version WHERE digest = f.digest"                       \
    "  AND purged_ms IS NULL)"                                                                     \
    " AND NOT EXISTS (SELECT 1 FROM backbone WHERE digest = f.digest)"                             \
    " AND NOT EXISTS (SELECT 1 FROM version WHERE artifact = f.digest AND purged_ms IS NULL)"      \
    " AND NOT EXISTS (SELECT 1 FROM version WHERE report = f.digest AND purged_ms IS NULL)"

#define GONE_VERSIONS                                                                              \
    "SELECT 'model/' || m.name, v.number FROM version v JOIN model m ON m.id = v.model"            \
    " WHERE v.purged_ms = ?1 ORDER BY m.name, v.number"
#define GONE_DATASET_VERSIONS                                                                      \
    "SELECT 'dataset/' || d.name, v.number FROM dataset_version v JOIN dataset d"                  \
    " ON d.id = v.dataset WHERE v.purged_ms = ?1 ORDER BY d.name, v.number"

struct run {
    struct state *state;
    struct db_tx *t;
    const char *who;
    int64_t now, versions, dataset_versions, pictures, blobs, bytes;
    json_t *version_list, *dataset_version_list; /* owned */
};

static void run_fini(struct run *g)
{
    db_end(g->t);
    json_decref(g->version_list);
    json_decref(g->dataset_version_list);
}

static enum err_code mark(struct run *g, const char *sql, int64_t *ret, struct err *e)
{
    enum err_code r = db_exec(g->t, e, sql, DB_INT(g->now));
    if (!r)
        *ret = db_changes(g->t);
    return r;
}

static enum err_code write_audit(struct run *g, const char *subject, json_t *numbers, struct err *e)
{
    CLEANUP(json_decref_p) json_t *after = json_pack("{s:O}", "purged", numbers);
    if (!after)
        return err_set(e, ERR_NOMEM, "no memory for the audit log");
    return db_audit(g->t, g->who, "version.purge", subject, NULL, after, e);
}

/* The names for the reply, and an audit line for each model or dataset. */
static enum err_code tell(struct run *g, const char *sql, json_t *list, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    CLEANUP(json_decref_p) json_t *numbers = json_array();
    char subject[100] = "";
    bool more = false;
    enum err_code r = numbers ? db_query(g->t, &rows, e, sql, DB_INT(g->now))
                              : err_set(e, ERR_NOMEM, "no memory for a list");
    while (!r && !(r = db_next(rows, &more, e)) && more) {
        const char *of = db_text(rows, 0);
        if (subject[0] && strcmp(subject, of) != 0) {
            r = write_audit(g, subject, numbers, e);
            json_array_clear(numbers);
        }
        snprintf(subject, sizeof subject, "%s", of);
        if (json_array_append_new(numbers, db_json_int(rows, 1)) < 0 ||
            (json_array_size(list) < GC_LISTED_MAX &&
             json_array_append_new(
                 list, json_sprintf("%s/versions/%lld", of, (long long)db_int(rows, 1))) < 0))
            r = err_set(e, ERR_NOMEM, "no memory for a list");
    }
    return r || !subject[0] ? r : write_audit(g, subject, numbers, e);
}

static enum err_code count_blobs(struct run *g, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *rows = NULL;
    bool more = false;
    enum err_code r = db_query(g->t, &rows, e, FREED, DB_INT(g->now));
    while (!r && !(r = db_next(rows, &more, e)) && more) {
        CLEANUP(cleanup_fd) int fd = -1;
        struct digest d;
        uint64_t size = 0;
        r = db_digest(rows, 0, &d, e);
        if (r || blobs_open_one(state_blobs(g->state), &d, &fd, &size, NULL))
            continue; /* what is missing frees nothing */
        g->blobs++;
        g->bytes += (int64_t)size;
    }
    return r;
}

/* A time that no earlier run has, whatever the clock says. */
static enum err_code take_time(struct run *g, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(g->t, &row, e,
                             "SELECT max(?, 1 + (SELECT coalesce(max(purged_ms), 0) FROM version),"
                             " 1 + (SELECT coalesce(max(purged_ms), 0) FROM dataset_version))",
                             DB_INT(clock_utc_ms()));
    if (!r && row)
        g->now = db_int(row, 0);
    return r;
}

static enum err_code mark_all(struct run *g, struct err *e)
{
    g->version_list = json_array();
    g->dataset_version_list = json_array();
    if (!g->version_list || !g->dataset_version_list)
        return err_set(e, ERR_NOMEM, "no memory for a list");
    enum err_code r = db_write(state_db(g->state), &g->t, e);
    if (!r)
        r = take_time(g, e);
    if (!r)
        r = mark(g, MARK_VERSIONS, &g->versions, e);
    if (!r)
        r = mark(g, MARK_DATASET_VERSIONS, &g->dataset_versions, e);
    if (!r && g->dataset_versions)
        r = mark(g, MARK_PICTURES, &g->pictures, e);
    if (!r)
        r = tell(g, GONE_VERSIONS, g->version_list, e);
    if (!r)
        r = tell(g, GONE_DATASET_VERSIONS, g->dataset_version_list, e);
    return r ? r : count_blobs(g, e);
}

enum err_code gc_features(struct state *s, bool dry_run, struct feature_folder *ret, struct err *e)
{
    CLEANUP(cleanup_free) char *folder = NULL;
    enum err_code r = file_path(&folder, e, "%s/features", state_dir(s));
    return r ? r : feature_folder_trim(folder, state_limits(s)->max_feature_bytes, dry_run, ret, e);
}

/* A dry run is the run itself, without its commit. */
enum err_code gc_run(struct state *s, bool dry_run, const char *who, json_t **ret, struct err *e)
{
    CLEANUP(run_fini) struct run g = { .state = s, .who = who };
    struct feature_folder features = { 0 };
    bool swept = false;
    enum err_code r = mark_all(&g, e);
    if (!r && !dry_run)
        r = db_commit(&g.t, e);
    if (r)
        return r;
    if (!dry_run && g.blobs)
        swept = state_sweep(s);
    r = gc_features(s, dry_run, &features, e);
    if (r)
        return r;
    json_t *made = json_pack(
        "{s:b, s:O, s:O, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I}", "dry_run", dry_run, "versions",
        g.version_list, "dataset_versions", g.dataset_version_list, "version_count",
        (json_int_t)g.versions, "dataset_version_count", (json_int_t)g.dataset_versions,
        "picture_count", (json_int_t)g.pictures, "blobs", (json_int_t)g.blobs, "bytes",
        (json_int_t)g.bytes, "swept", swept || (!dry_run && !g.blobs), "feature_files",
        (json_int_t)features.removed_files, "feature_bytes", (json_int_t)features.removed_bytes);
    if (!made)
        return err_set(e, ERR_NOMEM, "no memory for what was collected");
    *ret = made;
    return ERR_OK;
}

/* Whether anybody asked for it, without waiting for the writer's lock. */
static enum err_code is_wanted(struct state *s, bool *ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    if (!r)
        r = db_get(t, &row, e,
                   "SELECT 1 WHERE EXISTS (SELECT 1 FROM model WHERE keep_last IS NOT NULL)"
                   " OR EXISTS (SELECT 1 FROM dataset WHERE keep_last IS NOT NULL)");
    if (!r)
        *ret = row != NULL;
    return r;
}

enum err_code gc_run_due(struct state *s, struct err *e)
{
    CLEANUP(json_decref_p) json_t *done = NULL;
    struct feature_folder features;
    bool wanted = false;
    enum err_code r = is_wanted(s, &wanted, e);
    if (r)
        return r;
    return wanted ? gc_run(s, false, "retention", &done, e) : gc_features(s, false, &features, e);
}

#include "daemon/outcome.h"

#include "daemon/gate.h"
#include "daemon/job_events.h"
#include "data/base/clock.h"
#include "data/base/file.h"
#include "data/base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

/* A confusion matrix of 10,000 labels is far below this. */
#define REPORT_MAX ((size_t)1 << 30)

/* What the worker left, stored as blobs. */
struct files {
    struct digest artifact, report_blob;
    int64_t bytes; /* of the artifact */
    json_t *report;
};

static void files_fini(struct files *f)
{
    json_decref(f->report);
}

bool outcome_is_complete(const char *folder)
{
    CLEANUP(cleanup_free) char *path = NULL;
    return file_path(&path, NULL, "%s/report.json", folder) == ERR_OK && access(path, R_OK) == 0;
}

enum err_code outcome_discard(const char *folder, struct err *e)
{
    CLEANUP(cleanup_free) char *path = NULL;
    enum err_code r = file_path(&path, e, "%s/report.json", folder);
    if (!r && unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
        r = err_errno(e, errno, "cannot remove %s", path);
    return r;
}

static enum err_code read_file(const char *folder, const char *name, struct buf *ret, struct err *e)
{
    CLEANUP(cleanup_free) char *path = NULL;
    enum err_code r = file_path(&path, e, "%s/%s", folder, name);
    return r ? r : file_read(path, ret, e);
}

static enum err_code store_artifact(struct blobs *blobs, const char *folder, struct files *ret,
                                    struct err *e)
{
    CLEANUP(buf_fini) struct buf bytes;
    buf_init(&bytes, NETWORK_BYTES_MAX);
    enum err_code r = read_file(folder, "model.onnx", &bytes, e);
    if (!r)
        r = blobs_put(blobs, bytes.data, bytes.len, &ret->artifact, e);
    ret->bytes = (int64_t)bytes.len;
    return r;
}

static enum err_code store_report(struct blobs *blobs, const char *folder, struct files *ret,
                                  struct err *e)
{
    CLEANUP(buf_fini) struct buf bytes;
    buf_init(&bytes, REPORT_MAX);
    enum err_code r = read_file(folder, "report.json", &bytes, e);
    if (!r)
        r = json_read((const char *)bytes.data, bytes.len, &ret->report, e);
    if (r == ERR_JSON_SYNTAX || r == ERR_JSON_DEPTH)
        r = err_set(e, ERR_INTERNAL, "the worker's report cannot be read: it is not JSON");
    if (!r)
        r = blobs_put(blobs, bytes.data, bytes.len, &ret->report_blob, e);
    return r;
}

static enum err_code read_production(struct db_tx *t, int64_t model, int64_t *ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r =
        db_get(t, &row, e, "SELECT version FROM alias WHERE model = ? AND name = 'production'",
               DB_INT(model));
    if (!r)
        *ret = row ? db_int(row, 0) : 0;
    return r;
}

static enum err_code next_number(struct db_tx *t, int64_t model, int64_t *ret, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r =
        db_get(t, &row, e, "SELECT coalesce(max(number), 0) + 1 FROM version WHERE model = ?",
               DB_INT(model));
    if (!r)
        *ret = db_int(row, 0);
    return r;
}

struct figures {
    double accuracy, macro_f1, log_loss, calibration_error;
    json_int_t holdout_count, forward_passes;
};

static enum err_code read_figures(json_t *report, struct figures *ret, struct err *e)
{
    json_error_t error;
    if (json_unpack_ex(report, &error, 0, "{s:{s:F, s:F, s:F, s:F}, s:{s:I}, s:I}", "metrics",
                       "accuracy", &ret->accuracy, "macro_f1", &ret->macro_f1, "log_loss",
                       &ret->log_loss, "calibration_error", &ret->calibration_error, "holdout",
                       "count", &ret->holdout_count, "forward_passes", &ret->forward_passes) < 0)
        return err_set(e, ERR_INTERNAL, "the training report is incomplete: %s", error.text);
    return ERR_OK;
}

static enum err_code insert_version(struct db_tx *t, const struct job *j, int64_t number,
                                    const struct files *f, const struct figures *x,
                                    const json_t *decision, bool passed, struct err *e)
{
    CLEANUP(cleanup_free) char *text = NULL;
    enum err_code r = db_json_column(decision, &text, e);
    if (r)
        return r;
    return db_exec(t, e,
                   "INSERT INTO version (model, number, job, artifact, bytes, report, decision, "
                   "passed, accuracy, macro_f1, log_loss, calibration_error, holdout_count, "
                   "created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   DB_INT(j->model), DB_INT(number), DB_TEXT(j->id), DB_DIGEST(&f->artifact),
                   DB_INT(f->bytes), DB_DIGEST(&f->report_blob), DB_TEXT(text), DB_INT(passed),
                   DB_REAL(x->accuracy), DB_REAL(x->macro_f1), DB_REAL(x->log_loss),
                   DB_REAL(x->calibration_error), DB_INT(x->holdout_count), DB_INT(clock_utc_ms()));
}

static enum err_code audit(struct db_tx *t, const struct job *j, int64_t number,
                           const struct files *f, bool passed, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e,
                             "SELECT m.name, j.requested_by FROM job j JOIN model m"
                             " ON m.id = j.model WHERE j.id = ?",
                             DB_TEXT(j->id));
    if (r || !row)
        return r;
    char hex[DIGEST_HEX + 1], subject[100];
    digest_hex(&f->artifact, hex);
    snprintf(subject, sizeof subject, "model/%.64s", db_text(row, 0));
    CLEANUP(json_decref_p)
    json_t *after = json_pack("{s:I, s:s, s:s, s:b}", "version", (json_int_t)number, "job", j->id,
                              "digest", hex, "passed", passed);
    if (!after)
        return err_set(e, ERR_NOMEM, "no memory for the audit log");
    return db_audit(t, db_text(row, 1), "version.create", subject, NULL, after, e);
}

/* The last transaction of a job that trained: nothing of it is there, or all of it. */
static enum err_code commit_version(struct state *s, const struct job *j, const struct files *f,
                                    enum outcome *ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *decision = NULL;
    struct figures figures;
    int64_t production = 0, number = 0;
    enum err_code r = read_figures(f->report, &figures, e);
    if (!r)
        r = gate_decide(j->gate, f->report, j->champion, f->bytes, &decision, e);
    if (!r)
        r = db_write(state_db(s), &t, e);
    if (!r)
        r = read_production(t, j->model, &production, e);
    if (r)
        return r;
    if (production != j->champion) {
        *ret = OUTCOME_STALE;
        return ERR_OK;
    }
    bool passed = json_is_true(json_object_get(decision, "passed")), moved = false;
    r = next_number(t, j->model, &number, e);
    if (!r)
        r = insert_version(t, j, number, f, &figures, decision, passed, e);
    if (!r)
        r = audit(t, j, number, f, passed, e);
    if (!r)
        r = job_event_add_version(t, j->model, number, decision, e);
    if (!r)
        r = queue_end_with_version(t, j, passed ? JOB_SUCCEEDED : JOB_REJECTED, number,
                                   figures.forward_passes, &moved, e);
    if (!r && moved)
        r = db_commit(&t, e);
    if (!r)
        *ret = !moved ? OUTCOME_LOST : passed ? OUTCOME_SUCCEEDED : OUTCOME_REJECTED;
    return r;
}

static enum err_code put_and_name(struct state *s, const struct job *j, const char *folder,
                                  enum outcome *ret, struct err *e)
{
    CLEANUP(files_fini) struct files files = { 0 };
    enum err_code r = store_artifact(state_blobs(s), folder, &files, e);
    if (!r)
        r = store_report(state_blobs(s), folder, &files, e);
    if (!r)
        r = blobs_sync(state_blobs(s), e);
    return r ? r : commit_version(s, j, &files, ret, e);
}

enum err_code outcome_store(struct state *s, const struct job *j, const char *folder,
                            enum outcome *ret, struct err *e)
{
    bool running = false;
    /* A cancelled job's output is not worth storing; the transaction below asks again. */
    enum err_code r = queue_is_running(s, j->id, j->attempt, &running, e);
    if (r)
        return r;
    if (!running) {
        *ret = OUTCOME_LOST;
        return ERR_OK;
    }
    enum outcome outcome = OUTCOME_LOST;
    state_put_begin(s);
    r = put_and_name(s, j, folder, &outcome, e);
    state_put_end(s, !r && outcome != OUTCOME_STALE && outcome != OUTCOME_LOST);
    if (!r)
        *ret = outcome;
    return r;
}

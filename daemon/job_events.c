#include "daemon/job_events.h"

#include "daemon/events.h"
#include "daemon/queue.h"
#include "data/base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static json_t *error_json(struct db_rows *row)
{
    if (db_is_null(row, 5))
        return json_null();
    return json_pack("{s:s, s:s?}", "code", db_text(row, 5), "message", db_text(row, 6));
}

enum err_code job_event_add(struct db_tx *t, const char *id, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e,
                             "SELECT m.name, j.state, j.attempt, j.dataset_version, j.version, "
                             "j.error_code, j.error_message FROM job j "
                             "JOIN model m ON m.id = j.model WHERE j.id = ?",
                             DB_TEXT(id));
    if (!r && !row)
        r = err_set(e, ERR_JOB_UNKNOWN, "there is no job \"%.80s\"", id);
    if (r)
        return r;
    const char *state = db_text(row, 1);
    bool started = strcmp(state, job_state_text(JOB_RUNNING)) == 0;
    char type[32], subject[JOB_ID_MAX + 8];
    snprintf(type, sizeof type, "job.%s", started ? "started" : state);
    snprintf(subject, sizeof subject, "job/%s", id);
    CLEANUP(json_decref_p)
    json_t *data =
        json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "job", id, "model", db_json_text(row, 0),
                  "state", state, "attempt", db_json_int(row, 2), "dataset_version",
                  db_json_int(row, 3), "version", db_json_int(row, 4), "error", error_json(row));
    return data ? event_add(t, type, subject, data, e)
                : err_set(e, ERR_NOMEM, "no memory for an event");
}

enum err_code job_event_add_version(struct db_tx *t, int64_t model, int64_t version,
                                    const json_t *decision, struct err *e)
{
    CLEANUP(db_rows_free_p) struct db_rows *row = NULL;
    enum err_code r = db_get(t, &row, e,
                             "SELECT m.name, v.job, v.artifact, v.bytes, v.accuracy, v.passed "
                             "FROM version v JOIN model m ON m.id = v.model "
                             "WHERE v.model = ? AND v.number = ?",
                             DB_INT(model), DB_INT(version));
    if (!r && !row)
        r = err_set(e, ERR_VERSION_UNKNOWN, "there is no version %" PRId64, version);
    if (r)
        return r;
    char subject[100];
    snprintf(subject, sizeof subject, "model/%s/versions/%" PRId64, db_text(row, 0), version);
    CLEANUP(json_decref_p)
    json_t *made =
        json_pack("{s:o, s:I, s:o, s:o, s:o, s:o}", "model", db_json_text(row, 0), "version",
                  (json_int_t)version, "job", db_json_text(row, 1), "digest", db_json_hex(row, 2),
                  "bytes", db_json_int(row, 3), "accuracy", db_json_real(row, 4));
    CLEANUP(json_decref_p)
    json_t *decided = json_pack("{s:o, s:I, s:o, s:b, s:O}", "model", db_json_text(row, 0),
                                "version", (json_int_t)version, "job", db_json_text(row, 1),
                                "passed", db_int(row, 5) != 0, "gate", decision);
    if (!made || !decided)
        return err_set(e, ERR_NOMEM, "no memory for an event");
    r = event_add(t, "version.created", subject, made, e);
    return r ? r : event_add(t, "gate.decided", subject, decided, e);
}

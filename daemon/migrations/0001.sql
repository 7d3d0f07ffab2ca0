-- The registry. Times are UTC milliseconds, digests are 32 bytes, JSON is compact text.
-- A migration is never edited after a release; the next number changes what must change.

-- What was changed by whom; written in the transaction of the change.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    subject TEXT NOT NULL,
    before TEXT,
    after TEXT
) STRICT;
CREATE INDEX audit_subject ON audit (subject, id);

-- Datasets ---------------------------------------------------------------------------------------

CREATE TABLE dataset (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    who TEXT NOT NULL
) STRICT;

-- digest names the manifest blob. counts: {LABEL: {"train": n, "val": n, "test": n}}.
CREATE TABLE dataset_version (
    dataset INTEGER NOT NULL REFERENCES dataset (id),
    number INTEGER NOT NULL CHECK (number >= 1),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    cause TEXT NOT NULL CHECK (cause IN ('import', 'put', 'delete')),
    who TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    pictures INTEGER NOT NULL CHECK (pictures >= 0),
    labels INTEGER NOT NULL CHECK (labels >= 0),
    counts TEXT NOT NULL,
    added INTEGER NOT NULL CHECK (added >= 0),
    removed INTEGER NOT NULL CHECK (removed >= 0),
    duplicates INTEGER NOT NULL CHECK (duplicates >= 0),
    rejected INTEGER NOT NULL CHECK (rejected >= 0),
    PRIMARY KEY (dataset, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX dataset_version_digest ON dataset_version (digest);

CREATE TABLE picture (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    bytes INTEGER NOT NULL CHECK (bytes > 0),
    format TEXT NOT NULL CHECK (format IN ('jpeg', 'png')),
    width INTEGER NOT NULL CHECK (width > 0),
    height INTEGER NOT NULL CHECK (height > 0)
) STRICT, WITHOUT ROWID;

-- Version n of a dataset has the members with added <= n and (removed is null or removed > n).
-- The version's row is written last, when its manifest is known: hence the deferred keys.
CREATE TABLE member (
    dataset INTEGER NOT NULL,
    picture BLOB NOT NULL REFERENCES picture (digest),
    added INTEGER NOT NULL,
    removed INTEGER CHECK (removed > added),
    label TEXT NOT NULL,
    split TEXT NOT NULL CHECK (split IN ('train', 'val', 'test')),
    PRIMARY KEY (dataset, picture, added),
    FOREIGN KEY (dataset, added) REFERENCES dataset_version (dataset, number)
        DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (dataset, removed) REFERENCES dataset_version (dataset, number)
        DEFERRABLE INITIALLY DEFERRED
) STRICT, WITHOUT ROWID;
-- A picture is a member at most once: never in two splits, never under two labels.
CREATE UNIQUE INDEX member_once ON member (dataset, picture) WHERE removed IS NULL;

-- What an import that made a version did not take.
CREATE TABLE rejected (
    id INTEGER PRIMARY KEY,
    dataset INTEGER NOT NULL,
    version INTEGER NOT NULL,
    path TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    FOREIGN KEY (dataset, version) REFERENCES dataset_version (dataset, number)
        DEFERRABLE INITIALLY DEFERRED
) STRICT;
CREATE INDEX rejected_version ON rejected (dataset, version, id);

-- Backbones --------------------------------------------------------------------------------------

-- digest names the ONNX blob. overrides: what the request said instead of the file's metadata, as
-- {"feature", "mean", "std", "color", "resize"}, absent where it said nothing; the file is always
-- opened with them.
CREATE TABLE backbone (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    bytes INTEGER NOT NULL CHECK (bytes > 0),
    feature_tensor TEXT NOT NULL,
    feature_width INTEGER NOT NULL CHECK (feature_width > 0),
    input_name TEXT NOT NULL,
    input_height INTEGER NOT NULL,
    input_width INTEGER NOT NULL,
    preprocess TEXT NOT NULL,
    parameters INTEGER NOT NULL,
    overrides TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    who TEXT NOT NULL
) STRICT;
CREATE INDEX backbone_digest ON backbone (digest);

-- Models, jobs, versions -------------------------------------------------------------------------

-- strip_prefix: 1, 0, or null for "when every label has one".
CREATE TABLE model (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    dataset INTEGER NOT NULL REFERENCES dataset (id),
    backbone INTEGER NOT NULL REFERENCES backbone (id),
    recipe TEXT NOT NULL,
    gate TEXT NOT NULL,
    strip_prefix INTEGER CHECK (strip_prefix IN (0, 1)),
    created_ms INTEGER NOT NULL,
    who TEXT NOT NULL
) STRICT;

-- What a job was asked is frozen in its row: a change of its model does not touch it.
-- champion: the version in production that it was compared with, set when it starts; null: none.
CREATE TABLE job (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    model INTEGER NOT NULL REFERENCES model (id),
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'rejected', 'failed',
                                         'cancelled')),
    dataset INTEGER NOT NULL,
    dataset_version INTEGER NOT NULL,
    backbone INTEGER NOT NULL REFERENCES backbone (id),
    mode TEXT NOT NULL,
    recipe TEXT NOT NULL,
    gate TEXT NOT NULL,
    seed INTEGER NOT NULL,
    tags TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    champion INTEGER,
    progress TEXT,
    forward_passes INTEGER CHECK (forward_passes >= 0),
    version INTEGER,
    error_code TEXT,
    error_message TEXT,
    created_ms INTEGER NOT NULL,
    started_ms INTEGER,
    ended_ms INTEGER,
    FOREIGN KEY (dataset, dataset_version) REFERENCES dataset_version (dataset, number),
    FOREIGN KEY (model, version) REFERENCES version (model, number),
    FOREIGN KEY (model, champion) REFERENCES version (model, number),
    CHECK ((state IN ('queued', 'running')) = (ended_ms IS NULL)),
    CHECK ((state IN ('succeeded', 'rejected')) = (version IS NOT NULL)),
    CHECK ((state = 'failed') = (error_code IS NOT NULL))
) STRICT;
CREATE INDEX job_unfinished ON job (state, id) WHERE ended_ms IS NULL;
CREATE INDEX job_model ON job (model, id);
CREATE INDEX job_state ON job (state, id);

-- artifact names the ONNX blob, report the blob of the job's report (nn/retrain.h, JSON).
-- decision: daemon/gate.h. The metrics are the challenger's on the holdout.
CREATE TABLE version (
    model INTEGER NOT NULL REFERENCES model (id),
    number INTEGER NOT NULL CHECK (number >= 1),
    job TEXT NOT NULL UNIQUE REFERENCES job (id),
    artifact BLOB NOT NULL CHECK (length(artifact) = 32),
    bytes INTEGER NOT NULL CHECK (bytes > 0),
    report BLOB NOT NULL CHECK (length(report) = 32),
    decision TEXT NOT NULL,
    passed INTEGER NOT NULL CHECK (passed IN (0, 1)),
    accuracy REAL NOT NULL,
    macro_f1 REAL NOT NULL,
    log_loss REAL NOT NULL,
    calibration_error REAL NOT NULL,
    holdout_count INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (model, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX version_artifact ON version (artifact);
CREATE INDEX version_report ON version (report);

-- Promotion --------------------------------------------------------------------------------------

-- name: "production", ...
CREATE TABLE alias (
    model INTEGER NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (model, name),
    FOREIGN KEY (model, version) REFERENCES version (model, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE alias_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model INTEGER NOT NULL,
    alias TEXT NOT NULL,
    version INTEGER NOT NULL,
    previous INTEGER,
    cause TEXT NOT NULL CHECK (cause IN ('promote', 'rollback')),
    forced INTEGER NOT NULL CHECK (forced IN (0, 1)),
    reason TEXT,
    who TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    decision TEXT,
    FOREIGN KEY (model, version) REFERENCES version (model, number),
    FOREIGN KEY (model, previous) REFERENCES version (model, number),
    CHECK (forced = 0 OR reason IS NOT NULL)
) STRICT;
CREATE INDEX alias_history_model ON alias_history (model, alias, id);

-- What is history stays as it was written ----------------------------------------------------------

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER alias_history_no_update BEFORE UPDATE ON alias_history
BEGIN SELECT RAISE(ABORT, 'the promotion history is append-only'); END;
CREATE TRIGGER alias_history_no_delete BEFORE DELETE ON alias_history
BEGIN SELECT RAISE(ABORT, 'the promotion history is append-only'); END;
CREATE TRIGGER dataset_version_no_update BEFORE UPDATE ON dataset_version
BEGIN SELECT RAISE(ABORT, 'a dataset version is immutable'); END;
CREATE TRIGGER dataset_version_no_delete BEFORE DELETE ON dataset_version
BEGIN SELECT RAISE(ABORT, 'a dataset version is immutable'); END;
CREATE TRIGGER version_no_update BEFORE UPDATE ON version
BEGIN SELECT RAISE(ABORT, 'a model version is immutable'); END;
CREATE TRIGGER version_no_delete BEFORE DELETE ON version
BEGIN SELECT RAISE(ABORT, 'a model version is immutable'); END;
CREATE TRIGGER member_content_no_update BEFORE UPDATE OF dataset, picture, added, label, split ON member
BEGIN SELECT RAISE(ABORT, 'a member keeps its label and split'); END;

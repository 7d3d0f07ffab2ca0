BEGIN TRANSACTION;
CREATE TABLE alias (
    model INTEGER NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (model, name),
    FOREIGN KEY (model, version) REFERENCES version (model, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "alias" VALUES(1,'production',1);
CREATE TABLE "alias_history" (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model INTEGER NOT NULL REFERENCES model (id),
    alias TEXT NOT NULL,
    version INTEGER,
    previous INTEGER,
    cause TEXT NOT NULL CHECK (cause IN ('promote', 'rollback', 'rollout', 'remove')),
    forced INTEGER NOT NULL CHECK (forced IN (0, 1)),
    reason TEXT,
    who TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    decision TEXT,
    FOREIGN KEY (model, version) REFERENCES version (model, number),
    FOREIGN KEY (model, previous) REFERENCES version (model, number),
    CHECK (forced = 0 OR reason IS NOT NULL),
    CHECK (version IS NOT NULL OR (previous IS NOT NULL AND alias <> 'production'))
) STRICT;
INSERT INTO "alias_history" VALUES(1,1,'production',2,NULL,'promote',1,'nothing else','boss',1700000000050,'{"accuracy":1.0,"bytes":6238,"calibration_error":3e-05,"champion":null,"champion_accuracy":null,"holdout":{"count":7,"digest":"0b7f5fc5b01a735fa071fb4d81d349f6c8e7f419b1d68559e24c8adeb7453c91","split":"val"},"latency_ms":null,"majority_accuracy":0.57,"margin":0.0,"max_bytes":null,"max_calibration_error":1.0,"max_latency_ms":null,"max_p":1.0,"mcnemar_p":null,"min_accuracy":0.0,"min_holdout":0,"min_recall":0.0,"paired":null,"passed":false,"reasons":[],"rule":"superiority","smallest_difference":null,"worst_recall":{"label":"blue","recall":1.0,"support":1}}');
INSERT INTO "alias_history" VALUES(2,1,'production',1,2,'promote',0,NULL,'boss',1700000000060,'{"accuracy":1.0,"bytes":6238,"calibration_error":3e-05,"champion":null,"champion_accuracy":null,"holdout":{"count":7,"digest":"0b7f5fc5b01a735fa071fb4d81d349f6c8e7f419b1d68559e24c8adeb7453c91","split":"val"},"latency_ms":null,"majority_accuracy":0.57,"margin":0.0,"max_bytes":null,"max_calibration_error":1.0,"max_latency_ms":null,"max_p":1.0,"mcnemar_p":null,"min_accuracy":0.0,"min_holdout":0,"min_recall":0.0,"paired":null,"passed":true,"reasons":[],"rule":"superiority","smallest_difference":null,"worst_recall":{"label":"blue","recall":1.0,"support":1}}');
INSERT INTO "alias_history" VALUES(3,1,'old',2,NULL,'promote',0,NULL,'boss',1700000000070,NULL);
INSERT INTO "alias_history" VALUES(4,1,'old',NULL,2,'remove',0,NULL,'boss',1700000000080,NULL);
CREATE TABLE api_key (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 32),
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('score', 'train', 'promote', 'admin')),
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    expires_ms INTEGER,
    rate REAL CHECK (rate > 0),
    created_ms INTEGER NOT NULL,
    who TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "api_key" VALUES('k1','boss','admin',X'79F076ABDD19A752DB7267BFFF2F9022161D120DEA919FDACA2FFDFC24CA8C96',NULL,NULL,1700000000000,'someone');
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    subject TEXT NOT NULL,
    before TEXT,
    after TEXT
) STRICT;
INSERT INTO "audit" VALUES(1,1700000000000,'someone','dataset.create','dataset/dogs',NULL,NULL);
INSERT INTO "audit" VALUES(2,1700000000060,'boss','model.promote','model/dogs','{"production":2}','{"production":1}');
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
INSERT INTO "backbone" VALUES(1,'tiny',X'1414141414141414141414141414141414141414141414141414141414141414',1000,'f',16,'x',32,32,'{"resize":36,"size":32}',100,'{}',1700000000000,'someone');
CREATE TABLE dataset (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    who TEXT NOT NULL
, keep_last INTEGER CHECK (keep_last >= 1)) STRICT;
INSERT INTO "dataset" VALUES(1,'dogs',1700000000000,'someone',NULL);
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
    rejected INTEGER NOT NULL CHECK (rejected >= 0), purged_ms INTEGER,
    PRIMARY KEY (dataset, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "dataset_version" VALUES(1,1,X'0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B','import','someone',1700000000001,4,2,'{"bl\u00fc":{"test":0,"train":1,"val":0},"red":{"test":0,"train":1,"val":1}}',4,0,0,1,NULL);
INSERT INTO "dataset_version" VALUES(1,2,X'0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C','delete','someone',1700000000002,3,2,'{"bl\u00fc":{"test":0,"train":1,"val":0},"red":{"test":0,"train":1,"val":1}}',0,1,0,0,NULL);
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook TEXT NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    message TEXT NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_ms INTEGER,
    status INTEGER,
    error TEXT,
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    CHECK ((state = 'waiting') = (next_ms IS NOT NULL)),
    CHECK ((state = 'waiting') = (ended_ms IS NULL))
) STRICT;
INSERT INTO "delivery" VALUES(3,'w1','event-7','job.succeeded','{"a":1}','delivered',1,NULL,200,NULL,1700000000000,1700000000001);
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    model TEXT,
    job TEXT,
    data TEXT NOT NULL
) STRICT;
INSERT INTO "event" VALUES(7,1700000000000,'job.succeeded','job/01hf00000000000000000000aa','dogs','01hf00000000000000000000aa','{"job":"01hf00000000000000000000aa"}');
CREATE TABLE feedback_waiting (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    label TEXT NOT NULL,
    who TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE follower (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    name TEXT NOT NULL,
    program TEXT NOT NULL,
    catalog TEXT,
    spooled INTEGER NOT NULL,
    last_seq INTEGER NOT NULL DEFAULT 0,
    who TEXT NOT NULL,
    seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE idempotency (
    who TEXT NOT NULL,
    key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    request BLOB NOT NULL CHECK (length(request) = 32),
    job TEXT NOT NULL REFERENCES job (id),
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (who, key)
) STRICT, WITHOUT ROWID;
INSERT INTO "idempotency" VALUES('pipeline','build 1',X'3232323232323232323232323232323232323232323232323232323232323232','01hf00000000000000000000aa',1700000000000);
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
    ended_ms INTEGER, deaths INTEGER NOT NULL DEFAULT 0 CHECK (deaths >= 0), priority INTEGER NOT NULL DEFAULT 0 CHECK (priority BETWEEN -10 AND 10), limits TEXT NOT NULL DEFAULT '{}',
    FOREIGN KEY (dataset, dataset_version) REFERENCES dataset_version (dataset, number),
    FOREIGN KEY (model, version) REFERENCES version (model, number),
    FOREIGN KEY (model, champion) REFERENCES version (model, number),
    CHECK ((state IN ('queued', 'running')) = (ended_ms IS NULL)),
    CHECK ((state IN ('succeeded', 'rejected')) = (version IS NOT NULL)),
    CHECK ((state = 'failed') = (error_code IS NOT NULL))
) STRICT;
INSERT INTO "job" VALUES('01hf00000000000000000000aa',1,'succeeded',1,1,1,'head','{"augment":null,"balanced":"auto","folds":5,"mode":"head","penalty":0.0,"precision":"auto","precision_margin":0.005,"preset":"default","solver":"lbfgs","views":1}','{"margin":0.0,"max_bytes":null,"max_calibration_error":1.0,"max_latency_ms":null,"max_p":1.0,"min_accuracy":0.0,"min_holdout":0,"min_recall":0.0,"rule":"superiority"}',1,'{"build":"1"}','pipeline',1,0,NULL,NULL,5,1,NULL,NULL,1700000000010,1700000000011,1700000000015,0,5,'{}');
INSERT INTO "job" VALUES('01hf00000000000000000000ab',1,'rejected',1,2,1,'head','{"augment":null,"balanced":"auto","folds":5,"mode":"head","penalty":0.0,"precision":"auto","precision_margin":0.005,"preset":"default","solver":"lbfgs","views":1}','{"margin":0.0,"max_bytes":null,"max_calibration_error":1.0,"max_latency_ms":null,"max_p":1.0,"min_accuracy":0.0,"min_holdout":0,"min_recall":0.0,"rule":"superiority"}',2,'{"build":"2"}','pipeline',1,0,1,NULL,5,2,NULL,NULL,1700000000020,1700000000021,1700000000025,0,0,'{}');
INSERT INTO "job" VALUES('01hf00000000000000000000ac',1,'failed',1,2,1,'head','{"augment":null,"balanced":"auto","folds":5,"mode":"head","penalty":0.0,"precision":"auto","precision_margin":0.005,"preset":"default","solver":"lbfgs","views":1}','{"margin":0.0,"max_bytes":null,"max_calibration_error":1.0,"max_latency_ms":null,"max_p":1.0,"min_accuracy":0.0,"min_holdout":0,"min_recall":0.0,"rule":"superiority"}',3,'{"build":"3"}','pipeline',1,0,NULL,NULL,5,NULL,'no_memory','too little',1700000000030,1700000000031,1700000000035,2,0,'{}');
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
INSERT INTO "member" VALUES(1,X'0101010101010101010101010101010101010101010101010101010101010101',1,NULL,'red','train');
INSERT INTO "member" VALUES(1,X'0202020202020202020202020202020202020202020202020202020202020202',1,NULL,'red','val');
INSERT INTO "member" VALUES(1,X'0303030303030303030303030303030303030303030303030303030303030303',1,NULL,'blü','test');
INSERT INTO "member" VALUES(1,X'0404040404040404040404040404040404040404040404040404040404040404',1,2,'blü','train');
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
, limits TEXT NOT NULL DEFAULT '{}', keep_last INTEGER CHECK (keep_last >= 1), keep_promoted INTEGER NOT NULL DEFAULT 1 CHECK (keep_promoted IN (0, 1))) STRICT;
INSERT INTO "model" VALUES(1,'dogs',1,1,'{"augment":null,"balanced":"auto","folds":5,"mode":"head","penalty":0.0,"precision":"auto","precision_margin":0.005,"preset":"default","solver":"lbfgs","views":1}','{"margin":0.0,"max_bytes":null,"max_calibration_error":1.0,"max_latency_ms":null,"max_p":1.0,"min_accuracy":0.0,"min_holdout":0,"min_recall":0.0,"rule":"superiority"}',NULL,1700000000000,'someone','{"threads":2}',3,1);
CREATE TABLE picture (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    bytes INTEGER NOT NULL CHECK (bytes > 0),
    format TEXT NOT NULL CHECK (format IN ('jpeg', 'png')),
    width INTEGER NOT NULL CHECK (width > 0),
    height INTEGER NOT NULL CHECK (height > 0)
, purged_ms INTEGER) STRICT, WITHOUT ROWID;
INSERT INTO "picture" VALUES(X'0101010101010101010101010101010101010101010101010101010101010101',101,'png',41,30,NULL);
INSERT INTO "picture" VALUES(X'0202020202020202020202020202020202020202020202020202020202020202',102,'jpeg',42,30,NULL);
INSERT INTO "picture" VALUES(X'0303030303030303030303030303030303030303030303030303030303030303',103,'png',43,30,NULL);
INSERT INTO "picture" VALUES(X'0404040404040404040404040404040404040404040404040404040404040404',104,'jpeg',44,30,NULL);
CREATE TABLE prediction (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 64),
    model INTEGER NOT NULL,
    version INTEGER NOT NULL,
    label TEXT NOT NULL,
    probability REAL NOT NULL,
    at_ms INTEGER NOT NULL,
    other_version INTEGER,
    other_label TEXT,
    truth TEXT,
    truth_ms INTEGER,
    told_by TEXT,
    FOREIGN KEY (model, version) REFERENCES version (model, number),
    CHECK ((other_version IS NULL) = (other_label IS NULL)),
    CHECK ((truth IS NULL) = (truth_ms IS NULL))
) STRICT;
INSERT INTO "prediction" VALUES(9,'pppppppppppppppppppppppppppppppp',1,1,'red',0.75,1700000000000,2,'blü','red',1700000000000,'someone');
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
INSERT INTO "rejected" VALUES(1,1,1,'red/bad.png','picture_corrupt','it is broken');
CREATE TABLE replica (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,
    catalog TEXT,
    tag TEXT,
    synced_ms INTEGER
) STRICT;
CREATE TABLE rollout (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model INTEGER NOT NULL REFERENCES model (id),
    state TEXT NOT NULL CHECK (state IN ('running', 'waiting', 'completed', 'rolled_back',
                                         'rejected', 'aborted')),
    plan TEXT NOT NULL,
    baseline INTEGER NOT NULL,
    canary INTEGER,
    shadow INTEGER,
    step INTEGER NOT NULL DEFAULT 0 CHECK (step >= 0),
    step_ms INTEGER NOT NULL,
    analysis TEXT,
    reason TEXT,
    who TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    FOREIGN KEY (model, baseline) REFERENCES version (model, number),
    FOREIGN KEY (model, canary) REFERENCES version (model, number),
    FOREIGN KEY (model, shadow) REFERENCES version (model, number),
    CHECK ((state IN ('running', 'waiting')) = (ended_ms IS NULL)),
    CHECK (canary IS NOT NULL OR shadow IS NOT NULL)
) STRICT;
INSERT INTO "rollout" VALUES(2,1,'rolled_back','{"steps":[50,100]}',1,2,NULL,0,1700000000000,NULL,'worse','boss',1700000000000,1700000000009);
CREATE TABLE schedule (
    model INTEGER NOT NULL PRIMARY KEY REFERENCES model (id),
    cron TEXT,
    new_pictures INTEGER CHECK (new_pictures >= 1),
    max_age_ms INTEGER CHECK (max_age_ms >= 1),
    priority INTEGER NOT NULL CHECK (priority BETWEEN -10 AND 10),
    next_ms INTEGER,
    retry_ms INTEGER NOT NULL DEFAULT 0,
    last_ms INTEGER,
    last_job TEXT REFERENCES job (id),
    last_error TEXT,
    who TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    CHECK (cron IS NOT NULL OR new_pictures IS NOT NULL OR max_age_ms IS NOT NULL),
    CHECK ((cron IS NULL) = (next_ms IS NULL))
) STRICT;
INSERT INTO "schedule" VALUES(1,NULL,1000,NULL,1,NULL,0,1700000000000,'01hf00000000000000000000ab',NULL,'someone',1700000000000);
CREATE TABLE spool (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    bytes INTEGER NOT NULL CHECK (bytes > 0),
    items TEXT NOT NULL
) STRICT;
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
    created_ms INTEGER NOT NULL, purged_ms INTEGER,
    PRIMARY KEY (model, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "version" VALUES(1,1,'01hf00000000000000000000aa',X'1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F',5000,X'2929292929292929292929292929292929292929292929292929292929292929','{"accuracy":1.0,"bytes":6238,"calibration_error":3e-05,"champion":null,"champion_accuracy":null,"holdout":{"count":7,"digest":"0b7f5fc5b01a735fa071fb4d81d349f6c8e7f419b1d68559e24c8adeb7453c91","split":"val"},"latency_ms":null,"majority_accuracy":0.57,"margin":0.0,"max_bytes":null,"max_calibration_error":1.0,"max_latency_ms":null,"max_p":1.0,"mcnemar_p":null,"min_accuracy":0.0,"min_holdout":0,"min_recall":0.0,"paired":null,"passed":true,"reasons":[],"rule":"superiority","smallest_difference":null,"worst_recall":{"label":"blue","recall":1.0,"support":1}}',1,0.9,0.8,0.3,0.02,1,1700000000014,NULL);
INSERT INTO "version" VALUES(1,2,'01hf00000000000000000000ab',X'2020202020202020202020202020202020202020202020202020202020202020',5000,X'2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A','{"accuracy":1.0,"bytes":6238,"calibration_error":3e-05,"champion":null,"champion_accuracy":null,"holdout":{"count":7,"digest":"0b7f5fc5b01a735fa071fb4d81d349f6c8e7f419b1d68559e24c8adeb7453c91","split":"val"},"latency_ms":null,"majority_accuracy":0.57,"margin":0.0,"max_bytes":null,"max_calibration_error":1.0,"max_latency_ms":null,"max_p":1.0,"mcnemar_p":null,"min_accuracy":0.0,"min_holdout":0,"min_recall":0.0,"paired":null,"passed":false,"reasons":[],"rule":"superiority","smallest_difference":null,"worst_recall":{"label":"blue","recall":1.0,"support":1}}',0,0.9,0.8,0.3,0.02,1,1700000000024,1700000000099);
CREATE TABLE webhook (
    id TEXT NOT NULL PRIMARY KEY,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    model TEXT,
    job TEXT REFERENCES job (id),
    secret TEXT NOT NULL,
    last_event INTEGER NOT NULL,
    who TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    spent_ms INTEGER,
    CHECK (spent_ms IS NULL OR job IS NOT NULL)
) STRICT, WITHOUT ROWID;
INSERT INTO "webhook" VALUES('w1','https://example.org/x','*','dogs',NULL,'whsec_AAAA',7,'someone',1700000000000,NULL);
CREATE INDEX audit_subject ON audit (subject, id);
CREATE INDEX dataset_version_digest ON dataset_version (digest);
CREATE UNIQUE INDEX member_once ON member (dataset, picture) WHERE removed IS NULL;
CREATE INDEX rejected_version ON rejected (dataset, version, id);
CREATE INDEX backbone_digest ON backbone (digest);
CREATE INDEX job_unfinished ON job (state, id) WHERE ended_ms IS NULL;
CREATE INDEX job_model ON job (model, id);
CREATE INDEX job_state ON job (state, id);
CREATE INDEX version_artifact ON version (artifact);
CREATE INDEX version_report ON version (report);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER dataset_version_no_delete BEFORE DELETE ON dataset_version
BEGIN SELECT RAISE(ABORT, 'a dataset version is immutable'); END;
CREATE TRIGGER version_no_delete BEFORE DELETE ON version
BEGIN SELECT RAISE(ABORT, 'a model version is immutable'); END;
CREATE TRIGGER member_content_no_update BEFORE UPDATE OF dataset, picture, added, label, split ON member
BEGIN SELECT RAISE(ABORT, 'a member keeps its label and split'); END;
CREATE INDEX idempotency_age ON idempotency (created_ms);
CREATE INDEX event_age ON event (at_ms);
CREATE INDEX event_model ON event (model, id) WHERE model IS NOT NULL;
CREATE INDEX event_job ON event (job, id) WHERE job IS NOT NULL;
CREATE TRIGGER event_no_update BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'an event stays as it was written'); END;
CREATE INDEX api_key_name ON api_key (name);
CREATE INDEX delivery_webhook ON delivery (webhook, id);
CREATE INDEX delivery_due ON delivery (webhook, next_ms) WHERE next_ms IS NOT NULL;
CREATE INDEX alias_history_model ON alias_history (model, alias, id);
CREATE TRIGGER alias_history_no_update BEFORE UPDATE ON alias_history
BEGIN SELECT RAISE(ABORT, 'the promotion history is append-only'); END;
CREATE TRIGGER alias_history_no_delete BEFORE DELETE ON alias_history
BEGIN SELECT RAISE(ABORT, 'the promotion history is append-only'); END;
CREATE UNIQUE INDEX rollout_open ON rollout (model) WHERE ended_ms IS NULL;
CREATE INDEX rollout_model ON rollout (model, id);
CREATE INDEX prediction_version ON prediction (model, version);
CREATE INDEX prediction_other ON prediction (model, other_version) WHERE other_version IS NOT NULL;
CREATE INDEX job_champion ON job (model, champion, id) WHERE champion IS NOT NULL;
CREATE INDEX job_dataset ON job (dataset, dataset_version, id);
CREATE INDEX job_backbone ON job (backbone, id);
CREATE INDEX version_purged ON version (purged_ms) WHERE purged_ms IS NOT NULL;
CREATE INDEX dataset_version_purged ON dataset_version (purged_ms) WHERE purged_ms IS NOT NULL;
CREATE INDEX picture_purged ON picture (purged_ms) WHERE purged_ms IS NOT NULL;
CREATE INDEX dataset_version_kept ON dataset_version (dataset, number) WHERE purged_ms IS NULL;
CREATE INDEX version_kept ON version (model, number) WHERE purged_ms IS NULL;
CREATE INDEX member_removed ON member (dataset, removed) WHERE removed IS NOT NULL;
CREATE INDEX alias_history_version ON alias_history (model, version) WHERE alias = 'production';
CREATE TRIGGER dataset_version_no_update BEFORE UPDATE OF dataset, number, digest, cause, who, created_ms,
    pictures, labels, counts, added, removed, duplicates, rejected ON dataset_version
BEGIN SELECT RAISE(ABORT, 'a dataset version is immutable'); END;
CREATE TRIGGER version_no_update BEFORE UPDATE OF model, number, job, artifact, bytes, report, decision,
    passed, accuracy, macro_f1, log_loss, calibration_error, holdout_count, created_ms ON version
BEGIN SELECT RAISE(ABORT, 'a model version is immutable'); END;
CREATE TRIGGER dataset_version_purged_once BEFORE UPDATE OF purged_ms ON dataset_version
WHEN OLD.purged_ms IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'what is gone stays gone'); END;
CREATE TRIGGER version_purged_once BEFORE UPDATE OF purged_ms ON version
WHEN OLD.purged_ms IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'what is gone stays gone'); END;
CREATE INDEX feedback_waiting_age ON feedback_waiting (at_ms);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('alias_history',4);
INSERT INTO "sqlite_sequence" VALUES('audit',2);
INSERT INTO "sqlite_sequence" VALUES('event',7);
INSERT INTO "sqlite_sequence" VALUES('delivery',3);
INSERT INTO "sqlite_sequence" VALUES('prediction',9);
INSERT INTO "sqlite_sequence" VALUES('rollout',2);
COMMIT;
PRAGMA application_id = 1262833228;
PRAGMA user_version = 14;

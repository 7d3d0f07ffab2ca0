-- Retention: how much of the past keeps its bytes, and what has given them up. Rows stay, so that
-- lineage, history and audit can always be walked; purged_ms says since when the blobs are gone.

-- keep_last null: everything is kept. keep_promoted: also what ever was in production.
ALTER TABLE model ADD COLUMN keep_last INTEGER CHECK (keep_last >= 1);
ALTER TABLE model ADD COLUMN keep_promoted INTEGER NOT NULL DEFAULT 1 CHECK (keep_promoted IN (0, 1));
ALTER TABLE dataset ADD COLUMN keep_last INTEGER CHECK (keep_last >= 1);

ALTER TABLE version ADD COLUMN purged_ms INTEGER;
ALTER TABLE dataset_version ADD COLUMN purged_ms INTEGER;
ALTER TABLE picture ADD COLUMN purged_ms INTEGER;
CREATE INDEX version_purged ON version (purged_ms) WHERE purged_ms IS NOT NULL;
CREATE INDEX dataset_version_purged ON dataset_version (purged_ms) WHERE purged_ms IS NOT NULL;
CREATE INDEX picture_purged ON picture (purged_ms) WHERE purged_ms IS NOT NULL;
CREATE INDEX dataset_version_kept ON dataset_version (dataset, number) WHERE purged_ms IS NULL;
CREATE INDEX version_kept ON version (model, number) WHERE purged_ms IS NULL;
CREATE INDEX member_removed ON member (dataset, removed) WHERE removed IS NOT NULL;
CREATE INDEX alias_history_version ON alias_history (model, version) WHERE alias = 'production';

-- A version stays as it was made, but for giving up its bytes, once.
DROP TRIGGER dataset_version_no_update;
CREATE TRIGGER dataset_version_no_update BEFORE UPDATE OF dataset, number, digest, cause, who, created_ms,
    pictures, labels, counts, added, removed, duplicates, rejected ON dataset_version
BEGIN SELECT RAISE(ABORT, 'a dataset version is immutable'); END;
DROP TRIGGER version_no_update;
CREATE TRIGGER version_no_update BEFORE UPDATE OF model, number, job, artifact, bytes, report, decision,
    passed, accuracy, macro_f1, log_loss, calibration_error, holdout_count, created_ms ON version
BEGIN SELECT RAISE(ABORT, 'a model version is immutable'); END;
CREATE TRIGGER dataset_version_purged_once BEFORE UPDATE OF purged_ms ON dataset_version
WHEN OLD.purged_ms IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'what is gone stays gone'); END;
CREATE TRIGGER version_purged_once BEFORE UPDATE OF purged_ms ON version
WHEN OLD.purged_ms IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'what is gone stays gone'); END;

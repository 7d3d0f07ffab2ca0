-- Aliases other than production, which also go: version null, cause 'remove'. A CHECK cannot be
-- changed, so the table is made anew; the ids stay.
DROP TRIGGER alias_history_no_update;
DROP TRIGGER alias_history_no_delete;
CREATE TABLE alias_history_new (
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
INSERT INTO alias_history_new (id, model, alias, version, previous, cause, forced, reason, who,
                               at_ms, decision)
SELECT id, model, alias, version, previous, cause, forced, reason, who, at_ms, decision
FROM alias_history ORDER BY id;
DROP TABLE alias_history;
ALTER TABLE alias_history_new RENAME TO alias_history;
CREATE INDEX alias_history_model ON alias_history (model, alias, id);
CREATE TRIGGER alias_history_no_update BEFORE UPDATE ON alias_history
BEGIN SELECT RAISE(ABORT, 'the promotion history is append-only'); END;
CREATE TRIGGER alias_history_no_delete BEFORE DELETE ON alias_history
BEGIN SELECT RAISE(ABORT, 'the promotion history is append-only'); END;

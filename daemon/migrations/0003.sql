-- Triggers: which queued job is next, and which requests were made before.

-- Higher first; equals by age.
ALTER TABLE job ADD COLUMN priority INTEGER NOT NULL DEFAULT 0 CHECK (priority BETWEEN -10 AND 10);

-- The job that a request with an Idempotency-Key got. request: the digest of what was asked.
CREATE TABLE idempotency (
    who TEXT NOT NULL,
    key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    request BLOB NOT NULL CHECK (length(request) = 32),
    job TEXT NOT NULL REFERENCES job (id),
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (who, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (created_ms);

-- API keys. digest: SHA-256 of the key's text, which is not kept. expires_ms null: never; rate null:
-- any number of requests a second.
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
CREATE INDEX api_key_name ON api_key (name);

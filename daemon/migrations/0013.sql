-- A follower's folder (daemon/replica.h): of whom, and what it was last told to serve. No row: a
-- trainer's folder. tag: of the catalogue as it was sent; null when not all of it could be had.
CREATE TABLE replica (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,
    catalog TEXT,
    tag TEXT,
    synced_ms INTEGER
) STRICT;

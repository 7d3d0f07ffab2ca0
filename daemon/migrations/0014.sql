-- What a follower has to tell its trainer (daemon/spool.h).
CREATE TABLE spool (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    bytes INTEGER NOT NULL CHECK (bytes > 0),
    items TEXT NOT NULL
) STRICT;

-- Who follows. last_seq: of the batches that were told, all up to this one were taken. catalog: the tag of
-- what it serves; who: the name of its key.
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

-- What was told of an answer that another follower has not told of yet.
CREATE TABLE feedback_waiting (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    label TEXT NOT NULL,
    who TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX feedback_waiting_age ON feedback_waiting (at_ms);

-- Who is told of events, and what became of it.

-- events: patterns with commas between. job: a callback of that one job; it is spent once the job has
-- ended. last_event: up to there deliveries have been made.
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

-- message: the same over all attempts, so that a receiver can tell what it has. status, error: of the
-- last attempt.
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
CREATE INDEX delivery_webhook ON delivery (webhook, id);
CREATE INDEX delivery_due ON delivery (webhook, next_ms) WHERE next_ms IS NOT NULL;

-- Answers of which the truth may be told later; the oldest go (daemon/predictions.h).
-- other_version, other_label: what another version said of the same picture.
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

-- Rollouts (daemon/rollouts.h). plan: what was asked, with every member; step: from 0, of its steps;
-- baseline: the version in production; analysis: the last numbers that were kept.
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
CREATE UNIQUE INDEX rollout_open ON rollout (model) WHERE ended_ms IS NULL;
CREATE INDEX rollout_model ON rollout (model, id);

-- When a model is retrained without being asked. next_ms: the cron text's next time. retry_ms: after a
-- trigger that was refused, not before that.
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

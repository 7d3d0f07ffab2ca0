-- What happened, for those who follow it. Append-only; the oldest rows go (daemon/events.h).
-- model, job: of what it is about, as in data, for those who follow one of them.
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    model TEXT,
    job TEXT,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX event_age ON event (at_ms);
CREATE INDEX event_model ON event (model, id) WHERE model IS NOT NULL;
CREATE INDEX event_job ON event (job, id) WHERE job IS NOT NULL;
CREATE TRIGGER event_no_update BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'an event stays as it was written'); END;

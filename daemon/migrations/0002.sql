-- How often the worker of a job died, apart from attempts: those count the daemon's own deaths too.
ALTER TABLE job ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0 CHECK (deaths >= 0);

-- What a job may take (daemon/job_limits.h, JSON): the model's default, and what was frozen at submit.
ALTER TABLE model ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
ALTER TABLE job ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';

-- Indexes for lineage, so that a step of it takes the same time however many jobs and answers there are.
CREATE INDEX prediction_version ON prediction (model, version);
CREATE INDEX prediction_other ON prediction (model, other_version) WHERE other_version IS NOT NULL;
CREATE INDEX job_champion ON job (model, champion, id) WHERE champion IS NOT NULL;
CREATE INDEX job_dataset ON job (dataset, dataset_version, id);
CREATE INDEX job_backbone ON job (backbone, id);

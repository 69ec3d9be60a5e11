-- What was done to one thing is asked with its id alone, and what was done to a kind of things in order of time:
-- an index for each, in place of one that began with the kind and served neither.
CREATE INDEX idx_audit_entity ON audit_logs (resource_id, created_at DESC);
CREATE INDEX idx_audit_entity_type ON audit_logs (resource_type, created_at DESC);
DROP INDEX idx_audit_resource;

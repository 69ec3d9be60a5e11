-- Super administrators page through the telemetry of all tenants by its time alone,
-- and what is too old is found by it.
CREATE INDEX idx_telemetry_created_at ON telemetry_events (created_at);

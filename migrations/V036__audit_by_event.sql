-- The log in the order of its events, of one organization and of all.
CREATE INDEX idx_audit_event_order ON audit_logs (organization_id, event, sequence);
CREATE INDEX idx_audit_event_order_all ON audit_logs (event, sequence);
-- A run of a program is asked for by its name.
CREATE INDEX idx_telemetry_session ON telemetry_events (session_id, created_at) WHERE session_id IS NOT NULL;

-- Outgoing webhooks: secrets that overlap when they are rotated, and a log whose
-- rows come with their ids from the object that made the attempts.

-- ----------------------------------------------------------------- webhooks

ALTER TABLE webhooks
    ADD COLUMN description                     text,
    -- Grows with every change of what deliveries depend on; the webhook's object
    -- ignores an older one.
    ADD COLUMN version                         bigint  NOT NULL DEFAULT 1,
    -- Signs as well until its end.
    ADD COLUMN previous_secret_encrypted       bytea,
    ADD COLUMN previous_encryption_key_version integer,
    ADD COLUMN previous_secret_expires_at      timestamptz,
    -- The first failure since the last success.
    ADD COLUMN failing_since                   timestamptz,
    ADD COLUMN disabled_at                     timestamptz,
    ADD COLUMN disabled_reason                 varchar(20),
    -- The latest report of the object that was written down.
    ADD COLUMN report_sequence                 bigint  NOT NULL DEFAULT 0,
    ADD CONSTRAINT webhooks_version_check CHECK (version > 0 AND report_sequence >= 0),
    ADD CONSTRAINT webhooks_disabled_reason_check CHECK (disabled_reason IN ('gone', 'failing')),
    ADD CONSTRAINT webhooks_previous_secret_check CHECK (
        num_nulls(previous_secret_encrypted, previous_encryption_key_version,
                  previous_secret_expires_at) IN (0, 3));

-- Deliveries are noted on the row without changing the webhook.
DROP TRIGGER set_updated_at ON webhooks;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON webhooks
    FOR EACH ROW WHEN (NEW.version <> OLD.version) EXECUTE FUNCTION set_updated_at();

-- ------------------------------------------------------- webhook_deliveries

-- An attempt is known by its id. Its number repeats when the object that made it
-- was lost before it could remember.
ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_attempt_key;
CREATE INDEX idx_webhook_deliveries_event ON webhook_deliveries (webhook_id, event_id);
-- The worker's own retries are the object's business.
DROP INDEX idx_webhook_deliveries_due;

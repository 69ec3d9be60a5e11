-- AI calls on a license: what each used, and what is used in the running period.

SET LOCAL celaest.access = 'system';

-- What a call cost is exact or unknown, never nought for want of a price.
ALTER TABLE processed_tasks ALTER COLUMN cost_usd DROP NOT NULL, ALTER COLUMN cost_usd DROP DEFAULT;

-- ---------------------------------------------------------- license_usage_log

-- A row for each call, with the period it falls in, beside the one that each closed
-- period has.
ALTER TABLE license_usage_log
    DROP CONSTRAINT license_usage_log_period_key,
    ADD COLUMN call_id uuid,
    ADD COLUMN user_id uuid REFERENCES users_profile (id),
    ADD COLUMN api_key_id uuid REFERENCES user_api_keys (id) ON DELETE SET NULL,
    ALTER COLUMN calculated_cost TYPE numeric(14,6),
    ALTER COLUMN calculated_cost DROP NOT NULL,
    ADD CONSTRAINT license_usage_log_period_key
        UNIQUE NULLS NOT DISTINCT (license_id, period_start, period_end, call_id);
CREATE UNIQUE INDEX license_usage_log_call_key ON license_usage_log (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX idx_license_usage_log_calls ON license_usage_log (created_at) WHERE call_id IS NOT NULL;
CREATE INDEX idx_license_usage_log_user ON license_usage_log (user_id);
CREATE INDEX idx_license_usage_log_api_key ON license_usage_log (api_key_id);

-- Those of calls go with the tasks they stand for; those of periods stay.
GRANT DELETE ON license_usage_log TO celaest_app;
INSERT INTO retentions (table_name, setting, days) VALUES ('license_usage_log', 'tasks.retention_days', 730);

-- ------------------------------------------------------------------- budgets

-- Money of the running period, beside ai_requests_used.
ALTER TABLE licenses
    ADD COLUMN ai_cost_used numeric(14,6) NOT NULL DEFAULT 0,
    ADD CONSTRAINT licenses_ai_cost_check CHECK (ai_cost_used >= 0);

-- What an API key may spend on AI calls of a license in one of its periods.
ALTER TABLE user_api_keys
    ADD COLUMN max_ai_cost_usd_per_month numeric(14,6),
    ADD CONSTRAINT user_api_keys_ai_cost_check CHECK (max_ai_cost_usd_per_month >= 0);

-- What it did spend.
CREATE TABLE license_key_spending (
    license_id      uuid          NOT NULL,
    api_key_id      uuid          NOT NULL REFERENCES user_api_keys (id) ON DELETE CASCADE,
    organization_id uuid          NOT NULL REFERENCES organizations (id),
    period_start    timestamptz   NOT NULL,
    cost_usd        numeric(14,6) NOT NULL,
    PRIMARY KEY (license_id, period_start, api_key_id),
    CONSTRAINT license_key_spending_license_fkey FOREIGN KEY (license_id, organization_id)
        REFERENCES licenses (id, organization_id),
    CONSTRAINT license_key_spending_cost_check CHECK (cost_usd >= 0)
);
CREATE INDEX idx_license_key_spending_organization ON license_key_spending (organization_id);
CREATE INDEX idx_license_key_spending_api_key ON license_key_spending (api_key_id);
CREATE INDEX idx_license_key_spending_period ON license_key_spending (period_start);

ALTER TABLE license_key_spending ENABLE ROW LEVEL SECURITY;
ALTER TABLE license_key_spending FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON license_key_spending USING (app_sees(organization_id)
    AND (app_owner_id() IS NULL OR EXISTS (
        SELECT FROM licenses AS parent WHERE parent.id = license_key_spending.license_id)));
GRANT SELECT, INSERT, UPDATE, DELETE ON license_key_spending TO celaest_app;

-- What an organization does in a calendar month (UTC), added up as it is reported.

CREATE TABLE organization_usage (
    organization_id uuid   NOT NULL REFERENCES organizations (id),
    -- First day of the month.
    period          date   NOT NULL,
    -- Calls with API keys.
    api_calls       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (organization_id, period),
    CONSTRAINT organization_usage_period_check CHECK (extract(day FROM period) = 1),
    CONSTRAINT organization_usage_counts_check CHECK (api_calls >= 0)
);

ALTER TABLE organization_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE organization_usage FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON organization_usage USING (app_sees(organization_id));
GRANT SELECT, INSERT, UPDATE ON organization_usage TO celaest_app;

-- What a license's object and PostgreSQL agree on: how often the license was reactivated;
-- and validations that are counted as they are logged.

SET LOCAL celaest.access = 'system';

-- A suspension that was decided before a reactivation and arrives after it changes nothing.
ALTER TABLE licenses ADD COLUMN reactivations integer NOT NULL DEFAULT 0;

-- What the job looks for that closes periods: a suspended or expired license has one, too.
DROP INDEX idx_licenses_period_ending;
CREATE INDEX idx_licenses_period_ending ON licenses (current_period_end) WHERE status <> 'cancelled';

-- Validations of a license by usage period, until the period's row in license_usage_log
-- takes them over.
CREATE TABLE license_usage_counts (
    license_id      uuid        NOT NULL,
    organization_id uuid        NOT NULL REFERENCES organizations (id),
    period_start    timestamptz NOT NULL,
    validations     bigint      NOT NULL,
    PRIMARY KEY (license_id, period_start),
    CONSTRAINT license_usage_counts_license_fkey FOREIGN KEY (license_id, organization_id)
        REFERENCES licenses (id, organization_id),
    CONSTRAINT license_usage_counts_validations_check CHECK (validations >= 0)
);
CREATE INDEX idx_license_usage_counts_organization ON license_usage_counts (organization_id);
CREATE INDEX idx_license_usage_counts_period ON license_usage_counts (period_start);

INSERT INTO license_usage_counts (license_id, organization_id, period_start, validations)
SELECT l.id, l.organization_id, coalesce(l.current_period_start, l.starts_at), count(*)
FROM licenses l JOIN license_validations v
    ON v.license_id = l.id AND v.created_at >= coalesce(l.current_period_start, l.starts_at)
WHERE l.status <> 'cancelled'
GROUP BY l.id, l.organization_id, l.current_period_start, l.starts_at;

ALTER TABLE license_usage_counts ENABLE ROW LEVEL SECURITY;
ALTER TABLE license_usage_counts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON license_usage_counts USING (app_sees(organization_id)
    AND (app_owner_id() IS NULL OR EXISTS (
        SELECT FROM licenses AS parent WHERE parent.id = license_usage_counts.license_id)));
GRANT SELECT, INSERT, UPDATE, DELETE ON license_usage_counts TO celaest_app;

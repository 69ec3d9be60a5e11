-- The validation log by month, so that old months can be thrown away whole. Rows are
-- moved; the table has the same columns, rules and readers as before.

SET LOCAL celaest.access = 'system';

CREATE TABLE validations_by_month (
    LIKE license_validations INCLUDING DEFAULTS INCLUDING CONSTRAINTS
) PARTITION BY RANGE (created_at);
CREATE TABLE license_validations_default PARTITION OF validations_by_month DEFAULT;
INSERT INTO validations_by_month SELECT * FROM license_validations;
DROP TABLE license_validations;
ALTER TABLE validations_by_month RENAME TO license_validations;

ALTER TABLE license_validations
    ADD PRIMARY KEY (id, created_at),
    ADD CONSTRAINT license_validations_organization_id_fkey
        FOREIGN KEY (organization_id) REFERENCES organizations (id),
    ADD CONSTRAINT license_validations_license_fkey FOREIGN KEY (license_id, organization_id)
        REFERENCES licenses (id, organization_id);
-- In the order in which the log is paged through.
CREATE INDEX idx_license_validations_license ON license_validations (license_id, created_at DESC, id DESC);
CREATE INDEX idx_license_validations_organization ON license_validations (organization_id, created_at DESC);
CREATE INDEX idx_license_validations_binding ON license_validations (ip_binding_id)
    WHERE ip_binding_id IS NOT NULL;
CREATE INDEX idx_license_validations_created_at ON license_validations (created_at);

ALTER TABLE license_validations ENABLE ROW LEVEL SECURITY;
ALTER TABLE license_validations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON license_validations USING (app_sees(organization_id)
    AND (app_owner_id() IS NULL OR EXISTS (
        SELECT FROM licenses AS parent WHERE parent.id = license_validations.license_id)));
GRANT SELECT, INSERT ON license_validations TO celaest_app;
SELECT protect_partition('license_validations_default', 'license_validations');

-- Analytics: what reports read that is not added up.

-- Who came when: whoever was invited came when they accepted.
CREATE INDEX idx_users_profile_came ON users_profile (organization_id, (coalesce(activated_at, created_at)))
    WHERE invited_at IS NULL OR activated_at IS NOT NULL;
-- When licenses came to be used and when they ceased to be, without reading the licenses.
CREATE INDEX idx_licenses_in_use ON licenses (organization_id, created_at)
    INCLUDE (expires_at, cancelled_at, suspended_at, owner_id, product_id, plan_id, status);

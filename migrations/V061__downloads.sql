-- Downloads by month, so that old months can be thrown away whole, and a link for each
-- of them: it is of one asset, for one person, and gives nothing any more once the asset
-- gives nothing. Rows are moved; the table has the same columns, rules and readers as
-- before.

SET LOCAL celaest.access = 'system';

CREATE TABLE downloads_by_month (
    LIKE asset_downloads INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED
) PARTITION BY RANGE (created_at);
-- Whoever knows it gets the file, until link_expires_at.
ALTER TABLE downloads_by_month ADD COLUMN link uuid NOT NULL DEFAULT uuid_generate_v4();
CREATE TABLE asset_downloads_default PARTITION OF downloads_by_month DEFAULT;
INSERT INTO downloads_by_month
    (id, asset_id, organization_id, release_id, user_id, ip_address, user_agent, created_at, link_expires_at)
SELECT id, asset_id, organization_id, release_id, user_id, ip_address, user_agent, created_at, link_expires_at
FROM asset_downloads;
DROP TABLE asset_downloads;
ALTER TABLE downloads_by_month RENAME TO asset_downloads;

ALTER TABLE asset_downloads
    ADD PRIMARY KEY (id, created_at),
    ADD CONSTRAINT asset_downloads_organization_id_fkey
        FOREIGN KEY (organization_id) REFERENCES organizations (id),
    ADD CONSTRAINT asset_downloads_release_id_fkey FOREIGN KEY (release_id) REFERENCES product_releases (id),
    ADD CONSTRAINT asset_downloads_user_id_fkey FOREIGN KEY (user_id) REFERENCES users_profile (id),
    ADD CONSTRAINT asset_downloads_asset_fkey FOREIGN KEY (asset_id, organization_id)
        REFERENCES customer_assets (id, organization_id);
CREATE INDEX idx_asset_downloads_asset ON asset_downloads (asset_id, created_at DESC);
CREATE INDEX idx_asset_downloads_organization ON asset_downloads (organization_id);
CREATE INDEX idx_asset_downloads_release ON asset_downloads (release_id);
CREATE INDEX idx_asset_downloads_user ON asset_downloads (user_id);
CREATE INDEX idx_asset_downloads_link ON asset_downloads (link);
CREATE INDEX idx_asset_downloads_created_at ON asset_downloads (created_at);
CREATE TRIGGER count_download AFTER INSERT ON asset_downloads
    FOR EACH ROW EXECUTE FUNCTION asset_downloads_added();

ALTER TABLE asset_downloads ENABLE ROW LEVEL SECURITY;
ALTER TABLE asset_downloads FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON asset_downloads USING (app_sees_owned(organization_id, user_id));
GRANT SELECT, INSERT ON asset_downloads TO celaest_app;
SELECT protect_partition('asset_downloads_default', 'asset_downloads');
SELECT ensure_partitions_of('asset_downloads', 3);

INSERT INTO retentions (table_name, setting, days) VALUES
    ('asset_downloads', 'downloads.retention_days', 730),
    ('coupon_redemptions', 'coupons.retention_days', 730);
-- The use of a coupon goes once it counts for nothing.
GRANT DELETE ON coupon_redemptions TO celaest_app;
CREATE INDEX idx_coupon_redemptions_created_at ON coupon_redemptions (created_at);

-- Acts with this access from here on, and says with which it was until then: what a function that asks in somebody's
-- place calls first, and again before it returns. (SET in a function's head would be shorter, and takes a superuser.)
CREATE FUNCTION app_switch(access text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was text := coalesce(current_setting('celaest.access', true), '');
BEGIN
    PERFORM set_config('celaest.access', access, true);
    RETURN was;
END
$$;

-- What a link leads to, for whoever knows it and nobody's rights: what the rule looks at
-- of the asset, the release with its file, and until when the link is good. NULL for a
-- link that is none, that is over, or whose person could not ask for it any more.
CREATE FUNCTION download_by_link(wanted uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was text := app_switch('system');
    found  jsonb;
BEGIN
    SELECT jsonb_build_object(
        'until', d.link_expires_at,
        'owned', jsonb_build_object(
            'id', a.id, 'organization_id', a.organization_id, 'product_id', a.product_id, 'status', a.status,
            'expires_at', a.expires_at, 'status_reason', a.status_reason, 'download_limit', a.download_limit,
            'download_count', a.download_count,
            'license', CASE WHEN a.license_id IS NOT NULL THEN jsonb_build_object(
                'status', coalesce(l.status::text, 'unknown'), 'expires_at', l.expires_at,
                'trial_ends_at', l.trial_ends_at) END),
        'file', jsonb_build_object(
            'id', r.id, 'product_id', r.product_id, 'organization_id', r.organization_id, 'version', r.version,
            'status', r.status, 'storage_path', r.storage_path, 'file_name', r.file_name,
            'file_size_bytes', r.file_size_bytes, 'checksum_sha256', r.checksum_sha256,
            'signature', r.signature, 'yanked_reason', r.yanked_reason, 'replaced_by', r.replaced_by))
    INTO found
    FROM asset_downloads d
    JOIN customer_assets a ON a.id = d.asset_id AND a.organization_id = d.organization_id
    JOIN product_releases r ON r.id = d.release_id
    JOIN organizations o ON o.id = d.organization_id AND o.deleted_at IS NULL
    JOIN users_profile u ON u.id = d.user_id AND u.deleted_at IS NULL
        AND (u.role = 'super_admin' OR u.organization_id = d.organization_id)
        AND (u.role <> 'client' OR a.user_id = u.id)
    LEFT JOIN licenses l ON l.id = a.license_id AND l.organization_id = a.organization_id
    WHERE d.link = wanted AND d.link_expires_at > now();
    PERFORM app_switch(was);
    RETURN found;
END
$$;
GRANT EXECUTE ON FUNCTION download_by_link(uuid) TO celaest_app;

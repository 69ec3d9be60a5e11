-- What customers own of products: how often it may be downloaded, and what the owner may
-- see of it, whoever sells it.

ALTER TABLE customer_assets
    -- Downloads that belong to it; NULL is no limit. As the product had it when it was bought.
    ADD COLUMN download_limit integer,
    ADD COLUMN download_count integer      NOT NULL DEFAULT 0,
    -- Why it is not active.
    ADD COLUMN status_reason  varchar(500),
    ADD COLUMN transferred_at timestamptz,
    ADD CONSTRAINT customer_assets_downloads_check CHECK (download_count >= 0 AND download_limit > 0);

ALTER TABLE asset_downloads
    -- Until then the link works, and asking again is the same download.
    ADD COLUMN link_expires_at timestamptz;

-- A download is not an edit of the asset.
DROP TRIGGER set_updated_at ON customer_assets;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON customer_assets
    FOR EACH ROW WHEN (OLD.download_count = NEW.download_count)
    EXECUTE FUNCTION set_updated_at();

-- Owners see what they own, whoever sells it: the product, and its published releases. The
-- sub-query is under the policy of assets.
CREATE POLICY owner_read ON products FOR SELECT USING (
    app_has_access() AND EXISTS (
        SELECT FROM customer_assets a WHERE a.product_id = products.id));
CREATE POLICY owner_read ON product_releases FOR SELECT USING (
    status <> 'draft' AND app_has_access() AND EXISTS (
        SELECT FROM customer_assets a WHERE a.product_id = product_releases.product_id));

-- The first who comes to own a product makes it one that cannot be deleted any more.
CREATE FUNCTION assets_added() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    UPDATE products SET sold_at = now() WHERE id = NEW.product_id AND sold_at IS NULL;
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    RETURN NULL;
END
$$;
CREATE TRIGGER note_sale AFTER INSERT ON customer_assets
    FOR EACH ROW EXECUTE FUNCTION assets_added();

DO $$
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    UPDATE products p SET sold_at = now()
    WHERE sold_at IS NULL AND EXISTS (SELECT FROM customer_assets a WHERE a.product_id = p.id);
END
$$;

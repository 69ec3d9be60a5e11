-- Releases: their order, what an updater asks for, and the copy of what is published.

-- A text that sorts (COLLATE "C") as versions do: numbers by their value, a
-- pre-release before its release, numeric identifiers before words, fewer identifiers
-- before more. Build metadata does not order, so two versions that differ in nothing
-- else have the same text.
CREATE FUNCTION version_order(version text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT lpad(parts[1], 9, '0') || '.' || lpad(parts[2], 9, '0') || '.' || lpad(parts[3], 9, '0')
        || CASE WHEN parts[4] IS NULL THEN '~' ELSE '-' || (
            SELECT string_agg(CASE WHEN id ~ '^\d+$' THEN '0' || lpad(id, 50, '0') ELSE '1' || id END,
                              ' ' ORDER BY place)
            FROM unnest(string_to_array(parts[4], '.')) WITH ORDINALITY AS each (id, place)) END
    FROM regexp_match(version, '^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?$') AS parts
$$;

ALTER TABLE product_releases
    ADD COLUMN version_order  text COLLATE "C" GENERATED ALWAYS AS (version_order(version)) STORED,
    -- The oldest version that can update to this one directly.
    ADD COLUMN min_version    varchar(50),
    -- Of the file, by the vendor's own key, for updaters that check it.
    ADD COLUMN signature      varchar(2000),
    -- What the file is saved as.
    ADD COLUMN file_name      varchar(200),
    ADD COLUMN yanked_at      timestamptz,
    ADD COLUMN yanked_reason  varchar(500),
    ADD COLUMN replaced_by    uuid REFERENCES product_releases (id);
CREATE INDEX idx_product_releases_replaced_by ON product_releases (replaced_by);
-- Nothing else tells versions apart that differ in their build alone.
CREATE UNIQUE INDEX product_releases_order_key ON product_releases (product_id, version_order)
    WHERE deleted_at IS NULL;
ALTER TABLE product_releases DROP CONSTRAINT product_releases_product_version_key;
CREATE UNIQUE INDEX product_releases_product_version_key ON product_releases (product_id, version)
    WHERE deleted_at IS NULL;
-- Identifiers may have hyphens anywhere (semver.org, 9 and 10).
ALTER TABLE product_releases DROP CONSTRAINT product_releases_version_check;
ALTER TABLE product_releases ADD CONSTRAINT product_releases_version_check CHECK (
    version ~ '^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$');

CREATE FUNCTION releases_published() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    NEW.published_at := coalesce(NEW.published_at, now());
    RETURN NEW;
END
$$;
CREATE TRIGGER note_publication BEFORE INSERT OR UPDATE OF status ON product_releases
    FOR EACH ROW WHEN (NEW.status <> 'draft') EXECUTE FUNCTION releases_published();

-- ------------------------------------------------------------------- the copy

-- Of products that are on sale or were: whoever bought one is offered updates later on.
CREATE TABLE catalogue_releases (
    release_id      uuid           PRIMARY KEY REFERENCES product_releases (id),
    product_id      uuid           NOT NULL,
    version         varchar(50)    NOT NULL,
    version_order   text COLLATE "C" NOT NULL,
    status          release_status NOT NULL,
    title           varchar(200),
    release_notes   text,
    file_name       varchar(200),
    file_size_bytes bigint,
    checksum_sha256 char(64),
    signature       varchar(2000),
    is_critical     boolean        NOT NULL,
    min_version     varchar(50),
    yanked_at       timestamptz,
    yanked_reason   varchar(500),
    replaced_by     uuid,
    published_at    timestamptz    NOT NULL
);
CREATE UNIQUE INDEX idx_catalogue_releases_order ON catalogue_releases (product_id, version_order);
CREATE INDEX idx_catalogue_releases_latest ON catalogue_releases (product_id, status, version_order DESC);

CREATE FUNCTION sync_catalogue_releases(product uuid, release uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    -- Whoever changes the product waits, or is seen below.
    PERFORM FROM products WHERE id = product FOR SHARE;
    DELETE FROM catalogue_releases c
    WHERE c.product_id = product AND (release IS NULL OR c.release_id = release)
      AND NOT EXISTS (
        SELECT FROM product_releases r JOIN products p ON p.id = r.product_id
        WHERE r.id = c.release_id AND r.status <> 'draft' AND r.deleted_at IS NULL
          AND p.status IN ('published', 'archived') AND p.deleted_at IS NULL);
    INSERT INTO catalogue_releases (release_id, product_id, version, version_order, status, title,
        release_notes, file_name, file_size_bytes, checksum_sha256, signature, is_critical,
        min_version, yanked_at, yanked_reason, replaced_by, published_at)
    SELECT r.id, r.product_id, r.version, r.version_order, r.status, r.title, r.release_notes,
        r.file_name, r.file_size_bytes, r.checksum_sha256, r.signature, r.is_critical, r.min_version,
        r.yanked_at, r.yanked_reason, r.replaced_by, coalesce(r.published_at, r.created_at)
    FROM product_releases r JOIN products p ON p.id = r.product_id
    WHERE r.product_id = product AND (release IS NULL OR r.id = release)
      AND r.status <> 'draft' AND r.deleted_at IS NULL
      AND p.status IN ('published', 'archived') AND p.deleted_at IS NULL
    ON CONFLICT (release_id) DO UPDATE SET
        version = excluded.version, version_order = excluded.version_order,
        status = excluded.status, title = excluded.title, release_notes = excluded.release_notes,
        file_name = excluded.file_name, file_size_bytes = excluded.file_size_bytes,
        checksum_sha256 = excluded.checksum_sha256, signature = excluded.signature,
        is_critical = excluded.is_critical, min_version = excluded.min_version,
        yanked_at = excluded.yanked_at, yanked_reason = excluded.yanked_reason,
        replaced_by = excluded.replaced_by, published_at = excluded.published_at;
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
END
$$;

CREATE FUNCTION releases_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM sync_catalogue_releases(NEW.product_id, NEW.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER sync_catalogue AFTER INSERT OR UPDATE OF version, status, title, release_notes,
    file_name, file_size_bytes, checksum_sha256, signature, is_critical, min_version, yanked_at,
    yanked_reason, replaced_by, published_at, deleted_at ON product_releases
    FOR EACH ROW EXECUTE FUNCTION releases_changed();

CREATE FUNCTION product_releases_follow() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM sync_catalogue_releases(NEW.id, NULL);
    RETURN NULL;
END
$$;
CREATE TRIGGER sync_releases AFTER UPDATE OF status, deleted_at ON products
    FOR EACH ROW WHEN ((OLD.status, OLD.deleted_at) IS DISTINCT FROM (NEW.status, NEW.deleted_at))
    EXECUTE FUNCTION product_releases_follow();

ALTER TABLE catalogue_releases ENABLE ROW LEVEL SECURITY;
ALTER TABLE catalogue_releases FORCE ROW LEVEL SECURITY;
CREATE POLICY everybody_reads ON catalogue_releases FOR SELECT USING (true);
CREATE POLICY system_writes ON catalogue_releases USING (app_is_system());
GRANT SELECT ON catalogue_releases TO celaest_app;
GRANT EXECUTE ON FUNCTION version_order(text) TO celaest_app;

DO $$
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    PERFORM sync_catalogue_releases(id, NULL) FROM products;
END
$$;

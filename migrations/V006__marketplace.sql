-- Marketplace: reviews and releases of products, what customers own of them, and
-- every download. Ratings and download counts are kept by triggers.

CREATE TYPE release_status AS ENUM ('draft', 'alpha', 'beta', 'stable', 'deprecated', 'yanked');
CREATE TYPE asset_status AS ENUM ('active', 'expired', 'suspended', 'revoked');

-- ------------------------------------------------------------ product_reviews

CREATE TABLE product_reviews (
    id              uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    product_id      uuid         NOT NULL REFERENCES products (id),
    -- The reviewer's organization, not the vendor's.
    organization_id uuid         NOT NULL REFERENCES organizations (id),
    user_id         uuid         NOT NULL REFERENCES users_profile (id),
    rating          smallint     NOT NULL,
    title           varchar(200),
    comment         text,
    is_verified     boolean      NOT NULL DEFAULT false,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT product_reviews_product_user_key UNIQUE (product_id, user_id),
    CONSTRAINT product_reviews_rating_check CHECK (rating BETWEEN 1 AND 5)
);
CREATE INDEX idx_product_reviews_product ON product_reviews (product_id, created_at DESC);
CREATE INDEX idx_product_reviews_organization ON product_reviews (organization_id);
CREATE INDEX idx_product_reviews_user ON product_reviews (user_id);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON product_reviews
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- ----------------------------------------------------------- product_releases

CREATE TABLE product_releases (
    id                 uuid           PRIMARY KEY DEFAULT uuid_generate_v4(),
    product_id         uuid           NOT NULL,
    organization_id    uuid           NOT NULL REFERENCES organizations (id),
    version            varchar(50)    NOT NULL,
    -- Generated, so that releases sort as versions and not as text.
    version_major      integer        GENERATED ALWAYS AS
        (substring(version FROM '^(\d{1,9})\.')::integer) STORED,
    version_minor      integer        GENERATED ALWAYS AS
        (substring(version FROM '^\d{1,9}\.(\d{1,9})\.')::integer) STORED,
    version_patch      integer        GENERATED ALWAYS AS
        (substring(version FROM '^\d{1,9}\.\d{1,9}\.(\d{1,9})')::integer) STORED,
    version_prerelease text           GENERATED ALWAYS AS
        (substring(version FROM '^[\d.]+-([0-9A-Za-z.-]+)')) STORED,
    status             release_status NOT NULL DEFAULT 'draft',
    title              varchar(200),
    release_notes      text,
    download_url       varchar(500),
    storage_path       varchar(500),
    file_size_bytes    bigint,
    checksum_sha256    char(64),
    is_critical        boolean        NOT NULL DEFAULT false,
    download_count     bigint         NOT NULL DEFAULT 0,
    metadata           jsonb          NOT NULL DEFAULT '{}',
    published_at       timestamptz,
    created_at         timestamptz    NOT NULL DEFAULT now(),
    updated_at         timestamptz    NOT NULL DEFAULT now(),
    deleted_at         timestamptz,
    CONSTRAINT product_releases_product_fkey FOREIGN KEY (product_id, organization_id)
        REFERENCES products (id, organization_id),
    CONSTRAINT product_releases_product_version_key UNIQUE (product_id, version),
    CONSTRAINT product_releases_version_check CHECK (
        version ~ '^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(-[0-9A-Za-z]+([.-][0-9A-Za-z]+)*)?(\+[0-9A-Za-z.-]+)?$'),
    CONSTRAINT product_releases_checksum_check CHECK (checksum_sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT product_releases_counts_check CHECK (file_size_bytes >= 0 AND download_count >= 0)
);
CREATE INDEX idx_product_releases_organization ON product_releases (organization_id);
CREATE INDEX idx_product_releases_latest ON product_releases
    (product_id, version_major DESC, version_minor DESC, version_patch DESC)
    WHERE status = 'stable' AND deleted_at IS NULL;
-- A download is not an edit of the release.
CREATE TRIGGER set_updated_at BEFORE UPDATE ON product_releases
    FOR EACH ROW WHEN (OLD.download_count = NEW.download_count)
    EXECUTE FUNCTION set_updated_at();

-- ------------------------------------------------------------ customer_assets

CREATE TABLE customer_assets (
    id              uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    organization_id uuid         NOT NULL REFERENCES organizations (id),
    user_id         uuid         NOT NULL REFERENCES users_profile (id),
    product_id      uuid         NOT NULL REFERENCES products (id),
    license_id      uuid,
    order_id        uuid,
    status          asset_status NOT NULL DEFAULT 'active',
    acquired_at     timestamptz  NOT NULL DEFAULT now(),
    expires_at      timestamptz,
    metadata        jsonb        NOT NULL DEFAULT '{}',
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT customer_assets_id_organization_key UNIQUE (id, organization_id),
    CONSTRAINT customer_assets_license_fkey FOREIGN KEY (license_id, organization_id)
        REFERENCES licenses (id, organization_id),
    CONSTRAINT customer_assets_order_fkey FOREIGN KEY (order_id, organization_id)
        REFERENCES orders (id, organization_id)
);
CREATE INDEX idx_customer_assets_organization ON customer_assets (organization_id, created_at DESC);
CREATE INDEX idx_customer_assets_user ON customer_assets (user_id) WHERE status = 'active';
CREATE INDEX idx_customer_assets_owner ON customer_assets (user_id, created_at DESC);
CREATE INDEX idx_customer_assets_product ON customer_assets (product_id);
CREATE INDEX idx_customer_assets_license ON customer_assets (license_id);
CREATE INDEX idx_customer_assets_order ON customer_assets (order_id);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON customer_assets
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- ------------------------------------------------------------ asset_downloads

CREATE TABLE asset_downloads (
    id              uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    asset_id        uuid         NOT NULL,
    organization_id uuid         NOT NULL REFERENCES organizations (id),
    release_id      uuid         NOT NULL REFERENCES product_releases (id),
    user_id         uuid         NOT NULL REFERENCES users_profile (id),
    ip_address      inet,
    user_agent      varchar(500),
    created_at      timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT asset_downloads_asset_fkey FOREIGN KEY (asset_id, organization_id)
        REFERENCES customer_assets (id, organization_id)
);
CREATE INDEX idx_asset_downloads_asset ON asset_downloads (asset_id, created_at DESC);
CREATE INDEX idx_asset_downloads_organization ON asset_downloads (organization_id);
CREATE INDEX idx_asset_downloads_release ON asset_downloads (release_id);
CREATE INDEX idx_asset_downloads_user ON asset_downloads (user_id);

-- ----------------------------------------------------------------- aggregates

-- Both functions write to the vendor's rows while a customer of any organization
-- writes its own. So they run as the owner, and as 'system' for the length of the
-- update: a managed database's owner is no superuser, and forced policies bind it.

CREATE FUNCTION refresh_product_rating(product uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    -- The lock first, the average in a statement of its own: two reviews written at
    -- the same time would otherwise each average without the other.
    PERFORM FROM products WHERE id = product FOR NO KEY UPDATE;
    -- Unchanged rows are left alone, or updated_at would move.
    UPDATE products p
    SET avg_rating = r.average, review_count = r.reviews
    FROM (SELECT round(avg(rating), 2) AS average, count(*)::integer AS reviews
          FROM product_reviews WHERE product_id = product) AS r
    WHERE p.id = product
      AND (p.avg_rating, p.review_count) IS DISTINCT FROM (r.average, r.reviews);
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
END
$$;

CREATE FUNCTION product_reviews_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM refresh_product_rating(OLD.product_id);
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.product_id <> OLD.product_id) THEN
        PERFORM refresh_product_rating(NEW.product_id);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER refresh_rating AFTER INSERT OR UPDATE OF rating, product_id OR DELETE
    ON product_reviews FOR EACH ROW EXECUTE FUNCTION product_reviews_changed();

-- Counts up only: a download that happened stays counted when its row is erased.
CREATE FUNCTION asset_downloads_added() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    UPDATE product_releases SET download_count = download_count + 1 WHERE id = NEW.release_id;
    UPDATE products p SET download_count = p.download_count + 1
    FROM product_releases r WHERE r.id = NEW.release_id AND p.id = r.product_id;
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    RETURN NULL;
END
$$;
CREATE TRIGGER count_download AFTER INSERT ON asset_downloads
    FOR EACH ROW EXECUTE FUNCTION asset_downloads_added();

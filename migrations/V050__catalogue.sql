-- The public catalogue: what everybody may know of the products on sale, without a
-- tenant's row being read. It is a copy that triggers keep in the transaction of the
-- change, because what is read under row-level security can use no index whose
-- operator might leak (full text, trigrams): the copy holds nothing to be hidden.

-- Its functions are for everybody, unlike those of ours.
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- ------------------------------------------------------------------- products

ALTER TABLE products
    -- The plan of the license that a purchase makes; NULL for what needs none.
    ADD COLUMN plan_id        uuid      REFERENCES subscription_plans (id),
    -- What it runs on, as the vendor describes it.
    ADD COLUMN requirements   jsonb     NOT NULL DEFAULT '{}',
    -- {"url", "alt"} each, the first is the main one.
    ADD COLUMN images         jsonb     NOT NULL DEFAULT '[]',
    -- Downloads that a purchase includes; NULL is no limit.
    ADD COLUMN download_limit integer,
    -- When somebody first came to own it: it cannot be deleted after that.
    ADD COLUMN sold_at        timestamptz,
    -- Reviews with one to five stars.
    ADD COLUMN rating_counts  integer[] NOT NULL DEFAULT '{0,0,0,0,0}',
    ADD CONSTRAINT products_download_limit_check CHECK (download_limit > 0),
    ADD CONSTRAINT products_original_price_check CHECK (original_price >= price);
CREATE INDEX idx_products_plan ON products (plan_id);
CREATE INDEX idx_products_organization ON products (organization_id, created_at DESC, id);

-- Neither a rating, a download nor a sale is an edit of the product.
DROP TRIGGER set_updated_at ON products;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON products
    FOR EACH ROW
    WHEN ((OLD.avg_rating, OLD.review_count, OLD.download_count, OLD.rating_counts, OLD.sold_at)
          IS NOT DISTINCT FROM
          (NEW.avg_rating, NEW.review_count, NEW.download_count, NEW.rating_counts, NEW.sold_at))
    EXECUTE FUNCTION set_updated_at();

CREATE FUNCTION products_published() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    NEW.published_at := coalesce(NEW.published_at, now());
    RETURN NEW;
END
$$;
CREATE TRIGGER note_publication BEFORE INSERT OR UPDATE OF status ON products
    FOR EACH ROW WHEN (NEW.status = 'published') EXECUTE FUNCTION products_published();

CREATE INDEX idx_product_categories_place ON product_categories (sort_order, name);

-- --------------------------------------------------------------------- search

-- Text as people type it: small letters, without accents.
CREATE FUNCTION folded(words text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN lower(translate(normalize(words, NFKC),
        'áàâäãåéèêëíìîïóòôöõøúùûüñçýÿÁÀÂÄÃÅÉÈÊËÍÌÎÏÓÒÔÖÕØÚÙÛÜÑÇÝ',
        'aaaaaaeeeeiiiioooooouuuuncyyaaaaaaeeeeiiiioooooouuuuncy'));

-- A text as it is searched: by the stems of its language, and by how its words begin.
CREATE FUNCTION searchable(language regconfig, words text, weight "char") RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN setweight(to_tsvector(language, coalesce(words, ''))
        || to_tsvector('pg_catalog.simple', folded(coalesce(words, ''))), weight);

-- What is searched for: of each word the stem or the beginning, all of them. Words that
-- say nothing in the language are left out, unless there are no others. Immutable, so
-- that it is made once for a statement and not for each row, and its matches are known
-- to the planner.
CREATE FUNCTION search_query(language regconfig, words text[]) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        string_agg(format('(%s)', stem || start), ' & ') FILTER (WHERE numnode(stem) > 0),
        string_agg(format('(%s)', start), ' & '), '')::tsquery
    FROM (SELECT plainto_tsquery(language, word) AS stem,
                 to_tsquery('pg_catalog.simple', format('%s:*', quote_literal(folded(word)))) AS start
          FROM unnest(words) AS word) AS each
$$;

CREATE TABLE catalogue_products (
    product_id        uuid          PRIMARY KEY REFERENCES products (id),
    vendor_id         uuid          NOT NULL,
    vendor_name       varchar(255)  NOT NULL,
    category_id       uuid,
    name              varchar(200)  NOT NULL,
    slug              varchar(200)  NOT NULL CONSTRAINT catalogue_products_slug_key UNIQUE,
    short_description varchar(500),
    description       text,
    product_type      product_type  NOT NULL,
    price             numeric(12,2) NOT NULL,
    original_price    numeric(12,2),
    currency          char(3)       NOT NULL,
    is_subscription   boolean       NOT NULL,
    billing_cycle     billing_cycle,
    plan_id           uuid,
    download_limit    integer,
    is_featured       boolean       NOT NULL,
    is_popular        boolean       NOT NULL,
    avg_rating        numeric(3,2),
    rating_counts     integer[]     NOT NULL,
    review_count      integer       NOT NULL,
    download_count    bigint        NOT NULL,
    features          jsonb         NOT NULL,
    tags              text[]        NOT NULL,
    image_url         varchar(500),
    images            jsonb         NOT NULL,
    requirements      jsonb         NOT NULL,
    published_at      timestamptz   NOT NULL,
    -- When the product last changed.
    changed_at        timestamptz   NOT NULL,
    -- Tags and features as one text.
    keywords          text          NOT NULL,
    -- Unrated products come after rated ones.
    rating            numeric(3,2)  NOT NULL GENERATED ALWAYS AS (coalesce(avg_rating, 0)) STORED,
    -- In steps of a tenth, so that most downloads leave it as it is and touch no index.
    popularity        numeric(6,1)  NOT NULL GENERATED ALWAYS AS (round((
        ln(1 + download_count) + coalesce(avg_rating, 0) * ln(1 + review_count)
        + is_featured::integer * 3 + is_popular::integer * 2)::numeric, 1)) STORED,
    search_es         tsvector      NOT NULL GENERATED ALWAYS AS (
        searchable('pg_catalog.spanish', name, 'A') || searchable('pg_catalog.spanish', short_description, 'B')
        || searchable('pg_catalog.spanish', keywords, 'B') || searchable('pg_catalog.spanish', description, 'D')) STORED,
    search_en         tsvector      NOT NULL GENERATED ALWAYS AS (
        searchable('pg_catalog.english', name, 'A') || searchable('pg_catalog.english', short_description, 'B')
        || searchable('pg_catalog.english', keywords, 'B') || searchable('pg_catalog.english', description, 'D')) STORED,
    words             text          NOT NULL GENERATED ALWAYS AS (folded(name || ' ' || keywords)) STORED
);
CREATE INDEX idx_catalogue_products_es ON catalogue_products USING gin (search_es);
CREATE INDEX idx_catalogue_products_en ON catalogue_products USING gin (search_en);
CREATE INDEX idx_catalogue_products_words ON catalogue_products USING gin (words gin_trgm_ops);
CREATE INDEX idx_catalogue_products_tags ON catalogue_products USING gin (tags);
CREATE INDEX idx_catalogue_products_vendor ON catalogue_products (vendor_id, published_at DESC);
CREATE INDEX idx_catalogue_products_category ON catalogue_products (category_id, published_at DESC);
CREATE INDEX idx_catalogue_products_published ON catalogue_products (published_at, product_id);
CREATE INDEX idx_catalogue_products_price ON catalogue_products (price, product_id);
CREATE INDEX idx_catalogue_products_rating ON catalogue_products (rating, product_id);
CREATE INDEX idx_catalogue_products_name ON catalogue_products (name, product_id);
CREATE INDEX idx_catalogue_products_popularity ON catalogue_products (popularity, product_id);
CREATE INDEX idx_catalogue_products_featured ON catalogue_products (popularity, product_id) WHERE is_featured;

-- Names under which a product was to be found: old links lead to it, and to nothing else.
CREATE TABLE catalogue_slugs (
    slug       varchar(200) PRIMARY KEY,
    product_id uuid         NOT NULL REFERENCES products (id),
    created_at timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX idx_catalogue_slugs_product ON catalogue_slugs (product_id);

-- --------------------------------------------------------- keeping the copy

-- Runs as the owner and as 'system', as the functions on ratings and downloads do.
CREATE FUNCTION sync_catalogue_products(ids uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    -- Whoever closes the organization waits, or is seen below.
    PERFORM FROM organizations
    WHERE id IN (SELECT organization_id FROM products WHERE id = ANY (ids)) FOR SHARE;
    DELETE FROM catalogue_products c
    WHERE c.product_id = ANY (ids)
      AND NOT EXISTS (
        SELECT FROM products p JOIN organizations o ON o.id = p.organization_id
        WHERE p.id = c.product_id AND p.status = 'published'
          AND p.deleted_at IS NULL AND o.deleted_at IS NULL);
    INSERT INTO catalogue_products AS c (
        product_id, vendor_id, vendor_name, category_id, name, slug, short_description, description,
        product_type, price, original_price, currency, is_subscription, billing_cycle, plan_id,
        download_limit, is_featured, is_popular, avg_rating, rating_counts, review_count,
        download_count, features, tags, image_url, images, requirements, published_at, changed_at,
        keywords)
    SELECT p.id, p.organization_id, o.name, p.category_id, p.name, p.slug, p.short_description,
        p.description, p.product_type, p.price, p.original_price, p.currency, p.is_subscription,
        p.billing_cycle, p.plan_id, p.download_limit, p.is_featured, p.is_popular, p.avg_rating,
        p.rating_counts, p.review_count, p.download_count, p.features, p.tags, p.image_url,
        p.images, p.requirements, coalesce(p.published_at, p.created_at), p.updated_at,
        concat_ws(' ', array_to_string(p.tags, ' '), (
            SELECT string_agg(feature, ' ')
            FROM jsonb_array_elements_text(
                CASE jsonb_typeof(p.features) WHEN 'array' THEN p.features ELSE '[]' END) AS feature))
    FROM products p JOIN organizations o ON o.id = p.organization_id
    WHERE p.id = ANY (ids) AND p.status = 'published'
      AND p.deleted_at IS NULL AND o.deleted_at IS NULL
    ON CONFLICT (product_id) DO UPDATE SET
        vendor_id = excluded.vendor_id, vendor_name = excluded.vendor_name,
        category_id = excluded.category_id, name = excluded.name, slug = excluded.slug,
        short_description = excluded.short_description, description = excluded.description,
        product_type = excluded.product_type, price = excluded.price,
        original_price = excluded.original_price, currency = excluded.currency,
        is_subscription = excluded.is_subscription, billing_cycle = excluded.billing_cycle,
        plan_id = excluded.plan_id, download_limit = excluded.download_limit,
        is_featured = excluded.is_featured, is_popular = excluded.is_popular,
        avg_rating = excluded.avg_rating, rating_counts = excluded.rating_counts,
        review_count = excluded.review_count, download_count = excluded.download_count,
        features = excluded.features, tags = excluded.tags, image_url = excluded.image_url,
        images = excluded.images, requirements = excluded.requirements,
        published_at = excluded.published_at, changed_at = excluded.changed_at,
        keywords = excluded.keywords;
    INSERT INTO catalogue_slugs (slug, product_id)
    SELECT slug, product_id FROM catalogue_products WHERE product_id = ANY (ids)
    ON CONFLICT (slug) DO NOTHING;
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
END
$$;

CREATE FUNCTION products_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
    counts text[] := ARRAY['avg_rating', 'rating_counts', 'review_count', 'download_count', 'sold_at'];
BEGIN
    -- Ratings and downloads come often: only their columns change then, and no text.
    IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - counts = to_jsonb(OLD) - counts THEN
        PERFORM set_config('celaest.access', 'system', true);
        UPDATE catalogue_products
        SET avg_rating = NEW.avg_rating, rating_counts = NEW.rating_counts,
            review_count = NEW.review_count, download_count = NEW.download_count
        WHERE product_id = NEW.id
          AND (avg_rating, rating_counts, review_count, download_count) IS DISTINCT FROM
              (NEW.avg_rating, NEW.rating_counts, NEW.review_count, NEW.download_count);
        PERFORM set_config('celaest.access', coalesce(access, ''), true);
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM catalogue_slugs WHERE slug = NEW.slug AND product_id <> NEW.id) THEN
        RAISE EXCEPTION 'links to % lead to another product', NEW.slug
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'products_slug_key';
    END IF;
    PERFORM sync_catalogue_products(ARRAY[NEW.id]);
    RETURN NULL;
END
$$;
CREATE TRIGGER sync_catalogue AFTER INSERT OR UPDATE ON products
    FOR EACH ROW EXECUTE FUNCTION products_changed();

CREATE FUNCTION vendors_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
    ids    uuid[];
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    SELECT array_agg(id) INTO ids FROM products WHERE organization_id = NEW.id AND status = 'published';
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    PERFORM sync_catalogue_products(ids);
    RETURN NULL;
END
$$;
CREATE TRIGGER sync_catalogue AFTER UPDATE OF name, deleted_at ON organizations
    FOR EACH ROW
    WHEN ((OLD.name, OLD.deleted_at) IS DISTINCT FROM (NEW.name, NEW.deleted_at))
    EXECUTE FUNCTION vendors_changed();

-- Hidden reviews do not count. The lock first, the average in a statement of its own:
-- two reviews written at the same time would otherwise each average without the other.
ALTER TABLE product_reviews
    ADD COLUMN is_hidden      boolean      NOT NULL DEFAULT false,
    ADD COLUMN hidden_reason  varchar(500),
    -- How the author was called when it was written.
    ADD COLUMN author_name    varchar(100),
    ADD COLUMN helpful_count  integer      NOT NULL DEFAULT 0,
    ADD COLUMN edited_at      timestamptz,
    ADD CONSTRAINT product_reviews_helpful_check CHECK (helpful_count >= 0);
CREATE INDEX idx_product_reviews_counted ON product_reviews (product_id, rating) WHERE NOT is_hidden;

CREATE OR REPLACE FUNCTION refresh_product_rating(product uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    PERFORM FROM products WHERE id = product FOR NO KEY UPDATE;
    -- Unchanged rows are left alone, or updated_at would move.
    UPDATE products p
    SET avg_rating = r.average, review_count = r.reviews, rating_counts = r.counts
    FROM (SELECT round(avg(rating), 2) AS average, count(*)::integer AS reviews,
                 ARRAY[count(*) FILTER (WHERE rating = 1), count(*) FILTER (WHERE rating = 2),
                       count(*) FILTER (WHERE rating = 3), count(*) FILTER (WHERE rating = 4),
                       count(*) FILTER (WHERE rating = 5)]::integer[] AS counts
          FROM product_reviews WHERE product_id = product AND NOT is_hidden) AS r
    WHERE p.id = product
      AND (p.avg_rating, p.review_count, p.rating_counts)
          IS DISTINCT FROM (r.average, r.reviews, r.counts);
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
END
$$;
DROP TRIGGER refresh_rating ON product_reviews;
CREATE TRIGGER refresh_rating AFTER INSERT OR UPDATE OF rating, product_id, is_hidden OR DELETE
    ON product_reviews FOR EACH ROW EXECUTE FUNCTION product_reviews_changed();

-- ------------------------------------------------------------- access

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['catalogue_products', 'catalogue_slugs'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY everybody_reads ON %I FOR SELECT USING (true)', name);
        EXECUTE format('CREATE POLICY system_writes ON %I USING (app_is_system())', name);
        EXECUTE format('GRANT SELECT ON %I TO celaest_app', name);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION folded(text), search_query(regconfig, text[]) TO celaest_app;

DO $$
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    PERFORM sync_catalogue_products(array_agg(id)) FROM products WHERE status = 'published';
END
$$;

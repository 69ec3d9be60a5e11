-- The catalogue: what vendors sell. Licenses point at products, so the catalogue
-- comes before licensing; releases, reviews and assets follow in marketplace.

CREATE TYPE product_type AS ENUM
    ('software', 'saas', 'api', 'template', 'dataset', 'course', 'service');
CREATE TYPE product_status AS ENUM ('draft', 'published', 'archived', 'coming_soon');

CREATE TABLE product_categories (
    id          uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    parent_id   uuid         REFERENCES product_categories (id),
    name        varchar(100) NOT NULL,
    slug        varchar(100) NOT NULL CONSTRAINT product_categories_slug_key UNIQUE,
    description text,
    icon        varchar(100),
    sort_order  integer      NOT NULL DEFAULT 0,
    is_active   boolean      NOT NULL DEFAULT true,
    metadata    jsonb        NOT NULL DEFAULT '{}',
    created_at  timestamptz  NOT NULL DEFAULT now(),
    updated_at  timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT product_categories_slug_check CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    CONSTRAINT product_categories_parent_check CHECK (parent_id <> id)
);
CREATE INDEX idx_product_categories_parent ON product_categories (parent_id);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON product_categories
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TABLE products (
    id                uuid           PRIMARY KEY DEFAULT uuid_generate_v4(),
    organization_id   uuid           NOT NULL REFERENCES organizations (id),
    category_id       uuid           REFERENCES product_categories (id),
    -- PRODUCT_CODE of the license keys.
    code              varchar(10)    NOT NULL,
    name              varchar(200)   NOT NULL,
    slug              varchar(200)   NOT NULL CONSTRAINT products_slug_key UNIQUE,
    short_description varchar(500),
    description       text,
    product_type      product_type   NOT NULL DEFAULT 'software',
    status            product_status NOT NULL DEFAULT 'draft',
    price             numeric(12,2)  NOT NULL DEFAULT 0,
    original_price    numeric(12,2),
    currency          char(3)        NOT NULL DEFAULT 'USD',
    is_subscription   boolean        NOT NULL DEFAULT false,
    billing_cycle     billing_cycle,
    is_featured       boolean        NOT NULL DEFAULT false,
    is_popular        boolean        NOT NULL DEFAULT false,
    -- Kept by triggers on reviews and downloads, never written by the worker.
    avg_rating        numeric(3,2),
    review_count      integer        NOT NULL DEFAULT 0,
    download_count    bigint         NOT NULL DEFAULT 0,
    features          jsonb          NOT NULL DEFAULT '[]',
    tags              text[]         NOT NULL DEFAULT '{}',
    image_url         varchar(500),
    metadata          jsonb          NOT NULL DEFAULT '{}',
    published_at      timestamptz,
    created_at        timestamptz    NOT NULL DEFAULT now(),
    updated_at        timestamptz    NOT NULL DEFAULT now(),
    deleted_at        timestamptz,
    CONSTRAINT products_organization_code_key UNIQUE (organization_id, code),
    -- Lets rows that carry an organization prove that it is the product's own.
    CONSTRAINT products_id_organization_key UNIQUE (id, organization_id),
    CONSTRAINT products_code_check CHECK (code ~ '^[A-Z0-9]{1,10}$'),
    CONSTRAINT products_slug_check CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    CONSTRAINT products_price_check CHECK (price >= 0 AND original_price >= 0),
    CONSTRAINT products_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT products_billing_cycle_check CHECK (NOT is_subscription OR billing_cycle IS NOT NULL),
    CONSTRAINT products_rating_check CHECK (avg_rating BETWEEN 1 AND 5),
    CONSTRAINT products_counts_check CHECK (review_count >= 0 AND download_count >= 0)
);
CREATE INDEX idx_products_category ON products (category_id);
CREATE INDEX idx_products_published ON products (organization_id, published_at DESC)
    WHERE status = 'published' AND deleted_at IS NULL;
CREATE INDEX idx_products_featured ON products (published_at DESC)
    WHERE is_featured AND status = 'published' AND deleted_at IS NULL;
CREATE INDEX idx_products_tags ON products USING gin (tags);
-- A rating or a download is not an edit of the product.
CREATE TRIGGER set_updated_at BEFORE UPDATE ON products
    FOR EACH ROW
    WHEN ((OLD.avg_rating, OLD.review_count, OLD.download_count)
          IS NOT DISTINCT FROM (NEW.avg_rating, NEW.review_count, NEW.download_count))
    EXECUTE FUNCTION set_updated_at();

-- Billing: how customers pay, what they ordered, what they were invoiced. No
-- card number is ever stored, only what the gateway gives back to show.

CREATE TYPE gateway_status AS ENUM ('active', 'inactive', 'maintenance');
CREATE TYPE payment_method_type AS ENUM ('card', 'bank_account', 'paypal', 'other');
CREATE TYPE card_brand AS ENUM
    ('visa', 'mastercard', 'amex', 'discover', 'diners', 'jcb', 'unionpay', 'other');
CREATE TYPE discount_type AS ENUM ('percentage', 'fixed_amount');
CREATE TYPE order_status AS ENUM
    ('pending', 'processing', 'completed', 'failed', 'cancelled', 'refunded');
CREATE TYPE invoice_status AS ENUM ('draft', 'issued', 'paid', 'void', 'refunded');

-- ----------------------------------------------- payment_gateways, tax_rates

-- Secrets of a gateway are secrets of the worker, never columns.
CREATE TABLE payment_gateways (
    id             uuid           PRIMARY KEY DEFAULT uuid_generate_v4(),
    name           varchar(100)   NOT NULL,
    code           varchar(50)    NOT NULL CONSTRAINT payment_gateways_code_key UNIQUE,
    provider       varchar(50)    NOT NULL,
    status         gateway_status NOT NULL DEFAULT 'inactive',
    fee_percentage numeric(5,2)   NOT NULL DEFAULT 0,
    fee_fixed      numeric(12,2)  NOT NULL DEFAULT 0,
    currencies     text[]         NOT NULL DEFAULT '{USD}',
    config         jsonb          NOT NULL DEFAULT '{}',
    created_at     timestamptz    NOT NULL DEFAULT now(),
    updated_at     timestamptz    NOT NULL DEFAULT now(),
    CONSTRAINT payment_gateways_fee_check CHECK (fee_percentage BETWEEN 0 AND 100 AND fee_fixed >= 0)
);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON payment_gateways
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TABLE tax_rates (
    id           uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    name         varchar(100) NOT NULL,
    code         varchar(50)  NOT NULL CONSTRAINT tax_rates_code_key UNIQUE,
    -- Percent: 16.0000 is 16 %.
    rate         numeric(7,4) NOT NULL,
    country_code char(2)      NOT NULL,
    state        varchar(100),
    is_inclusive boolean      NOT NULL DEFAULT false,
    is_active    boolean      NOT NULL DEFAULT true,
    created_at   timestamptz  NOT NULL DEFAULT now(),
    updated_at   timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT tax_rates_rate_check CHECK (rate BETWEEN 0 AND 100),
    CONSTRAINT tax_rates_country_code_check CHECK (country_code ~ '^[A-Z]{2}$')
);
CREATE UNIQUE INDEX tax_rates_active_place_key ON tax_rates (country_code, state)
    NULLS NOT DISTINCT WHERE is_active;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON tax_rates
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- ------------------------------------------------------------ payment_methods

CREATE TABLE payment_methods (
    id                  uuid                PRIMARY KEY DEFAULT uuid_generate_v4(),
    organization_id     uuid                NOT NULL REFERENCES organizations (id),
    user_id             uuid                NOT NULL REFERENCES users_profile (id),
    gateway_id          uuid                REFERENCES payment_gateways (id),
    type                payment_method_type NOT NULL DEFAULT 'card',
    gateway_customer_id varchar(255),
    gateway_method_id   varchar(255),
    card_brand          card_brand,
    card_last4          char(4),
    card_exp_month      smallint,
    card_exp_year       smallint,
    holder_name         varchar(200),
    is_default          boolean             NOT NULL DEFAULT false,
    metadata            jsonb               NOT NULL DEFAULT '{}',
    created_at          timestamptz         NOT NULL DEFAULT now(),
    updated_at          timestamptz         NOT NULL DEFAULT now(),
    deleted_at          timestamptz,
    CONSTRAINT payment_methods_last4_check CHECK (card_last4 ~ '^[0-9]{4}$'),
    CONSTRAINT payment_methods_expiry_check CHECK (
        card_exp_month BETWEEN 1 AND 12 AND card_exp_year BETWEEN 2000 AND 2200)
);
CREATE UNIQUE INDEX payment_methods_default_key ON payment_methods (user_id)
    WHERE is_default AND deleted_at IS NULL;
CREATE UNIQUE INDEX payment_methods_gateway_method_key
    ON payment_methods (gateway_id, gateway_method_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_payment_methods_organization ON payment_methods (organization_id);
CREATE INDEX idx_payment_methods_user ON payment_methods (user_id);
CREATE INDEX idx_payment_methods_gateway ON payment_methods (gateway_id);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON payment_methods
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- -------------------------------------------------------------------- coupons

-- Without an organization a coupon is the platform's own.
CREATE TABLE coupons (
    id               uuid          PRIMARY KEY DEFAULT uuid_generate_v4(),
    organization_id  uuid          REFERENCES organizations (id),
    code             varchar(50)   NOT NULL,
    description      text,
    discount_type    discount_type NOT NULL,
    discount_value   numeric(12,2) NOT NULL,
    currency         char(3)       NOT NULL DEFAULT 'USD',
    min_order_amount numeric(12,2) NOT NULL DEFAULT 0,
    max_redemptions  integer,
    max_per_user     integer,
    redemption_count integer       NOT NULL DEFAULT 0,
    valid_from       timestamptz   NOT NULL DEFAULT now(),
    valid_until      timestamptz,
    is_active        boolean       NOT NULL DEFAULT true,
    metadata         jsonb         NOT NULL DEFAULT '{}',
    created_at       timestamptz   NOT NULL DEFAULT now(),
    updated_at       timestamptz   NOT NULL DEFAULT now(),
    deleted_at       timestamptz,
    CONSTRAINT coupons_discount_check CHECK (
        discount_value > 0 AND (discount_type <> 'percentage' OR discount_value <= 100)),
    CONSTRAINT coupons_validity_check CHECK (valid_until > valid_from),
    -- The guard behind concurrent redemptions of the last one.
    CONSTRAINT coupons_redemptions_check CHECK (
        redemption_count >= 0 AND redemption_count <= max_redemptions),
    CONSTRAINT coupons_limits_check CHECK (
        min_order_amount >= 0 AND max_redemptions > 0 AND max_per_user > 0)
);
-- Codes are typed by people, and reusable once deleted. Unique within an
-- organization: a global rule would show one tenant the codes of another.
CREATE UNIQUE INDEX coupons_code_key ON coupons (upper(code), organization_id)
    NULLS NOT DISTINCT WHERE deleted_at IS NULL;
CREATE INDEX idx_coupons_organization ON coupons (organization_id);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON coupons
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- ------------------------------------------------------- orders, order_items

CREATE SEQUENCE order_number_seq;

-- ORD-YYYY-XXXXXX. A sequence: unique and quick, and a cancelled order may leave
-- a gap. Past 999,999 the number grows a digit rather than repeat.
-- SECURITY DEFINER keeps the sequence itself out of the run-time role's reach.
CREATE FUNCTION generate_order_number() RETURNS varchar
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    number text := nextval('public.order_number_seq')::text;
BEGIN
    RETURN 'ORD-' || to_char(now() AT TIME ZONE 'UTC', 'YYYY') || '-'
        || lpad(number, greatest(6, length(number)), '0');
END
$$;
GRANT EXECUTE ON FUNCTION generate_order_number() TO celaest_app;

CREATE TABLE orders (
    id                     uuid          PRIMARY KEY DEFAULT uuid_generate_v4(),
    order_number           varchar(30)   NOT NULL DEFAULT generate_order_number()
                                         CONSTRAINT orders_order_number_key UNIQUE,
    organization_id        uuid          NOT NULL REFERENCES organizations (id),
    user_id                uuid          NOT NULL REFERENCES users_profile (id),
    gateway_id             uuid          REFERENCES payment_gateways (id),
    payment_method_id      uuid          REFERENCES payment_methods (id),
    coupon_id              uuid          REFERENCES coupons (id),
    status                 order_status  NOT NULL DEFAULT 'pending',
    currency               char(3)       NOT NULL DEFAULT 'USD',
    subtotal               numeric(12,2) NOT NULL DEFAULT 0,
    discount_total         numeric(12,2) NOT NULL DEFAULT 0,
    tax_total              numeric(12,2) NOT NULL DEFAULT 0,
    total                  numeric(12,2) NOT NULL DEFAULT 0,
    refunded_total         numeric(12,2) NOT NULL DEFAULT 0,
    gateway_transaction_id varchar(255),
    billing_address        jsonb         NOT NULL DEFAULT '{}',
    notes                  text,
    metadata               jsonb         NOT NULL DEFAULT '{}',
    created_at             timestamptz   NOT NULL DEFAULT now(),
    updated_at             timestamptz   NOT NULL DEFAULT now(),
    completed_at           timestamptz,
    cancelled_at           timestamptz,
    refunded_at            timestamptz,
    CONSTRAINT orders_id_organization_key UNIQUE (id, organization_id),
    CONSTRAINT orders_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT orders_total_check CHECK (
        subtotal >= 0 AND discount_total >= 0 AND tax_total >= 0 AND total >= 0
        AND total = subtotal - discount_total + tax_total),
    CONSTRAINT orders_refunded_check CHECK (refunded_total BETWEEN 0 AND total)
);
-- One payment at the gateway pays one order.
CREATE UNIQUE INDEX orders_gateway_transaction_key ON orders (gateway_id, gateway_transaction_id);
CREATE INDEX idx_orders_organization ON orders (organization_id, created_at DESC);
CREATE INDEX idx_orders_user ON orders (user_id, created_at DESC);
CREATE INDEX idx_orders_gateway ON orders (gateway_id);
CREATE INDEX idx_orders_payment_method ON orders (payment_method_id);
CREATE INDEX idx_orders_coupon ON orders (coupon_id);
CREATE INDEX idx_orders_open ON orders (created_at) WHERE status IN ('pending', 'processing');
CREATE TRIGGER set_updated_at BEFORE UPDATE ON orders
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TABLE order_items (
    id              uuid          PRIMARY KEY DEFAULT uuid_generate_v4(),
    order_id        uuid          NOT NULL,
    organization_id uuid          NOT NULL REFERENCES organizations (id),
    product_id      uuid          REFERENCES products (id),
    plan_id         uuid          REFERENCES subscription_plans (id),
    -- Name and price as they were when the order was made.
    name            varchar(200)  NOT NULL,
    quantity        integer       NOT NULL DEFAULT 1,
    unit_price      numeric(12,2) NOT NULL,
    total           numeric(12,2) NOT NULL,
    metadata        jsonb         NOT NULL DEFAULT '{}',
    created_at      timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT order_items_order_fkey FOREIGN KEY (order_id, organization_id)
        REFERENCES orders (id, organization_id) ON DELETE CASCADE,
    CONSTRAINT order_items_subject_check CHECK (product_id IS NOT NULL OR plan_id IS NOT NULL),
    CONSTRAINT order_items_total_check CHECK (
        quantity > 0 AND unit_price >= 0 AND total = unit_price * quantity)
);
CREATE INDEX idx_order_items_order ON order_items (order_id);
CREATE INDEX idx_order_items_organization ON order_items (organization_id);
CREATE INDEX idx_order_items_product ON order_items (product_id);
CREATE INDEX idx_order_items_plan ON order_items (plan_id);

-- ------------------------------------------------------------------- invoices

-- The last number given out in each year. Only generate_invoice_number() touches
-- it: the run-time role has no grant here.
CREATE TABLE invoice_counters (
    year        integer PRIMARY KEY,
    last_number bigint  NOT NULL CHECK (last_number > 0)
);

-- INV-YYYY-XXXXXX without gaps, as tax law asks. The row of the year stays locked
-- until the caller's transaction ends: the next caller waits, and a rollback gives
-- the number back. So call it late in the transaction, and only when the invoice
-- is written in the same one.
CREATE FUNCTION generate_invoice_number() RETURNS varchar
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    this_year integer := extract(year FROM now() AT TIME ZONE 'UTC');
    number    text;
BEGIN
    INSERT INTO public.invoice_counters AS counter (year, last_number) VALUES (this_year, 1)
    ON CONFLICT (year) DO UPDATE SET last_number = counter.last_number + 1
    RETURNING last_number::text INTO number;
    RETURN 'INV-' || this_year || '-' || lpad(number, greatest(6, length(number)), '0');
END
$$;
GRANT EXECUTE ON FUNCTION generate_invoice_number() TO celaest_app;

CREATE TABLE invoices (
    id              uuid           PRIMARY KEY DEFAULT uuid_generate_v4(),
    -- NULL while a draft: a discarded draft must not use up a number.
    invoice_number  varchar(30)    CONSTRAINT invoices_invoice_number_key UNIQUE,
    organization_id uuid           NOT NULL REFERENCES organizations (id),
    order_id        uuid,
    user_id         uuid           NOT NULL REFERENCES users_profile (id),
    status          invoice_status NOT NULL DEFAULT 'draft',
    currency        char(3)        NOT NULL DEFAULT 'USD',
    subtotal        numeric(12,2)  NOT NULL DEFAULT 0,
    discount_total  numeric(12,2)  NOT NULL DEFAULT 0,
    tax_total       numeric(12,2)  NOT NULL DEFAULT 0,
    total           numeric(12,2)  NOT NULL DEFAULT 0,
    billing_name    varchar(255),
    billing_tax_id  varchar(50),
    billing_address jsonb          NOT NULL DEFAULT '{}',
    lines           jsonb          NOT NULL DEFAULT '[]',
    issued_at       timestamptz,
    due_at          timestamptz,
    paid_at         timestamptz,
    sent_at         timestamptz,
    metadata        jsonb          NOT NULL DEFAULT '{}',
    created_at      timestamptz    NOT NULL DEFAULT now(),
    updated_at      timestamptz    NOT NULL DEFAULT now(),
    CONSTRAINT invoices_order_fkey FOREIGN KEY (order_id, organization_id)
        REFERENCES orders (id, organization_id),
    CONSTRAINT invoices_number_check CHECK (status = 'draft' OR invoice_number IS NOT NULL),
    CONSTRAINT invoices_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT invoices_total_check CHECK (
        subtotal >= 0 AND discount_total >= 0 AND tax_total >= 0 AND total >= 0
        AND total = subtotal - discount_total + tax_total)
);
CREATE INDEX idx_invoices_order ON invoices (order_id);
CREATE INDEX idx_invoices_organization ON invoices (organization_id, created_at DESC);
CREATE INDEX idx_invoices_user ON invoices (user_id, created_at DESC);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON invoices
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- ------------------------------------------------------------- payment_events

-- What a gateway sent, once each: the unique key is what makes a repeated
-- delivery harmless.
CREATE TABLE payment_events (
    id           uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    provider     varchar(50)  NOT NULL,
    event_id     varchar(255) NOT NULL,
    type         varchar(100) NOT NULL,
    payload      jsonb        NOT NULL,
    received_at  timestamptz  NOT NULL DEFAULT now(),
    processed_at timestamptz,
    error        text,
    CONSTRAINT payment_events_provider_event_key UNIQUE (provider, event_id)
);
CREATE INDEX idx_payment_events_open ON payment_events (received_at) WHERE processed_at IS NULL;

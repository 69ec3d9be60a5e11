-- Selling: who sells to whom, what a purchase gave, refunds and disputes, and
-- invoices with a series of numbers for each seller.

SET LOCAL celaest.access = 'system';

-- -------------------------------------------------------------------- gateways

-- One row for each way to pay that the worker has a file for.
INSERT INTO payment_gateways (id, name, code, provider, status, currencies) VALUES
    ('70000000-0000-4000-8000-000000000001', 'Stripe', 'stripe', 'stripe', 'active', '{}'),
    ('70000000-0000-4000-8000-000000000002', 'Transferencia bancaria', 'manual', 'manual', 'active', '{}')
ON CONFLICT DO NOTHING;

-- Who somebody is at a gateway.
CREATE TABLE gateway_customers (
    organization_id uuid         NOT NULL REFERENCES organizations (id),
    user_id         uuid         NOT NULL REFERENCES users_profile (id),
    gateway_id      uuid         NOT NULL REFERENCES payment_gateways (id),
    customer_id     varchar(255) NOT NULL,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT gateway_customers_pkey PRIMARY KEY (user_id, organization_id, gateway_id)
);
CREATE INDEX idx_gateway_customers_organization ON gateway_customers (organization_id);
CREATE INDEX idx_gateway_customers_gateway ON gateway_customers (gateway_id);

ALTER TABLE payment_methods ADD COLUMN expiry_warned_at timestamptz;
CREATE INDEX idx_payment_methods_expiring ON payment_methods (card_exp_year, card_exp_month)
    WHERE deleted_at IS NULL AND expiry_warned_at IS NULL;

-- --------------------------------------------------------------------- tax

ALTER TABLE tax_rates
    -- A state's rate comes beside its country's, or in the place of it.
    ADD COLUMN replaces_country   boolean NOT NULL DEFAULT false,
    -- Not charged to a business that gives its tax id and is in another country than
    -- the seller: it owes the tax itself.
    ADD COLUMN exempt_with_tax_id boolean NOT NULL DEFAULT false;

-- --------------------------------------------------------------------- coupons

-- Empty: for everything the organization sells.
ALTER TABLE coupons ADD COLUMN product_ids uuid[] NOT NULL DEFAULT '{}';

-- ---------------------------------------------------------------------- orders

ALTER TABLE orders
    ADD COLUMN seller_id       uuid         REFERENCES organizations (id),
    ADD COLUMN kind            varchar(20)  NOT NULL DEFAULT 'purchase',
    ADD COLUMN subscription_id uuid,
    -- Until when it can be paid.
    ADD COLUMN expires_at      timestamptz,
    ADD COLUMN coupon_code     varchar(50),
    ADD COLUMN billing_name    varchar(255),
    ADD COLUMN billing_tax_id  varchar(50),
    ADD COLUMN tax_lines       jsonb        NOT NULL DEFAULT '[]',
    -- Payments that were begun at the gateway: each has an idempotency key of its own.
    ADD COLUMN payments_begun  integer      NOT NULL DEFAULT 0,
    -- Why the last attempt failed, in the gateway's word.
    ADD COLUMN payment_error   varchar(100),
    ADD CONSTRAINT orders_kind_check CHECK (kind IN ('purchase', 'renewal', 'plan_change'));
CREATE INDEX idx_orders_seller ON orders (seller_id, created_at DESC) WHERE seller_id IS NOT NULL;
CREATE INDEX idx_orders_unpaid ON orders (expires_at) WHERE status IN ('pending', 'processing', 'failed');
CREATE INDEX idx_orders_subscription ON orders (subscription_id) WHERE subscription_id IS NOT NULL;
CREATE INDEX idx_orders_transaction ON orders (gateway_transaction_id) WHERE gateway_transaction_id IS NOT NULL;

ALTER TABLE order_items
    ADD COLUMN billing_cycle  billing_cycle NOT NULL DEFAULT 'lifetime',
    ADD COLUMN list_total     numeric(12,2) NOT NULL DEFAULT 0,
    ADD COLUMN discount_total numeric(12,2) NOT NULL DEFAULT 0,
    ADD COLUMN net_total      numeric(12,2) NOT NULL DEFAULT 0,
    ADD COLUMN tax_total      numeric(12,2) NOT NULL DEFAULT 0,
    ADD COLUMN position       integer       NOT NULL DEFAULT 0;

-- Each use of a coupon, until it is given back.
CREATE TABLE coupon_redemptions (
    order_id        uuid        PRIMARY KEY,
    organization_id uuid        NOT NULL REFERENCES organizations (id),
    user_id         uuid        NOT NULL REFERENCES users_profile (id),
    coupon_id       uuid        NOT NULL REFERENCES coupons (id),
    created_at      timestamptz NOT NULL DEFAULT now(),
    released_at     timestamptz,
    CONSTRAINT coupon_redemptions_order_fkey FOREIGN KEY (order_id, organization_id)
        REFERENCES orders (id, organization_id)
);
CREATE INDEX idx_coupon_redemptions_coupon ON coupon_redemptions (coupon_id, user_id);
CREATE INDEX idx_coupon_redemptions_organization ON coupon_redemptions (organization_id);
CREATE INDEX idx_coupon_redemptions_user ON coupon_redemptions (user_id);

-- What an order gave, piece by piece: the key is what keeps a payment that is told
-- twice from giving twice.
CREATE TABLE order_grants (
    order_item_id   uuid        NOT NULL REFERENCES order_items (id),
    position        integer     NOT NULL,
    order_id        uuid        NOT NULL,
    organization_id uuid        NOT NULL REFERENCES organizations (id),
    license_id      uuid,
    asset_id        uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT order_grants_pkey PRIMARY KEY (order_item_id, position),
    CONSTRAINT order_grants_order_fkey FOREIGN KEY (order_id, organization_id)
        REFERENCES orders (id, organization_id),
    CONSTRAINT order_grants_license_fkey FOREIGN KEY (license_id, organization_id)
        REFERENCES licenses (id, organization_id)
);
CREATE INDEX idx_order_grants_order ON order_grants (order_id);
CREATE INDEX idx_order_grants_organization ON order_grants (organization_id);
CREATE INDEX idx_order_grants_license ON order_grants (license_id);

-- --------------------------------------------------------------- subscriptions

CREATE TABLE subscriptions (
    id                   uuid          PRIMARY KEY DEFAULT uuid_generate_v4(),
    organization_id      uuid          NOT NULL REFERENCES organizations (id),
    user_id              uuid          NOT NULL REFERENCES users_profile (id),
    seller_id            uuid          NOT NULL REFERENCES organizations (id),
    -- What was bought first; its grants are what is renewed.
    order_item_id        uuid          NOT NULL CONSTRAINT subscriptions_order_item_key UNIQUE
                                       REFERENCES order_items (id),
    product_id           uuid          REFERENCES products (id),
    plan_id              uuid          REFERENCES subscription_plans (id),
    name                 varchar(200)  NOT NULL,
    quantity             integer       NOT NULL,
    -- Of one, for a period; frozen until the customer changes the plan.
    unit_price           numeric(12,2) NOT NULL,
    currency             char(3)       NOT NULL,
    billing_cycle        billing_cycle NOT NULL,
    status               varchar(20)   NOT NULL DEFAULT 'active',
    current_period_start timestamptz   NOT NULL,
    current_period_end   timestamptz   NOT NULL,
    cancel_at_period_end boolean       NOT NULL DEFAULT false,
    -- What it becomes at the end of the period.
    next_plan_id         uuid          REFERENCES subscription_plans (id),
    next_unit_price      numeric(12,2),
    next_attempt_at      timestamptz,
    first_failed_at      timestamptz,
    suspended_at         timestamptz,
    ended_at             timestamptz,
    created_at           timestamptz   NOT NULL DEFAULT now(),
    updated_at           timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT subscriptions_id_organization_key UNIQUE (id, organization_id),
    CONSTRAINT subscriptions_status_check CHECK (status IN ('active', 'past_due', 'suspended', 'ended')),
    CONSTRAINT subscriptions_period_check CHECK (current_period_end > current_period_start),
    CONSTRAINT subscriptions_quantity_check CHECK (quantity > 0 AND unit_price >= 0)
);
CREATE INDEX idx_subscriptions_organization ON subscriptions (organization_id, created_at DESC);
CREATE INDEX idx_subscriptions_user ON subscriptions (user_id);
CREATE INDEX idx_subscriptions_seller ON subscriptions (seller_id);
CREATE INDEX idx_subscriptions_product ON subscriptions (product_id);
CREATE INDEX idx_subscriptions_plan ON subscriptions (plan_id);
CREATE INDEX idx_subscriptions_next_plan ON subscriptions (next_plan_id);
CREATE INDEX idx_subscriptions_due ON subscriptions (next_attempt_at) WHERE status <> 'ended';
CREATE TRIGGER set_updated_at BEFORE UPDATE ON subscriptions
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE orders ADD CONSTRAINT orders_subscription_fkey
    FOREIGN KEY (subscription_id, organization_id) REFERENCES subscriptions (id, organization_id);
-- One order at a time is open for the next period.
CREATE UNIQUE INDEX orders_open_renewal_key ON orders (subscription_id, kind)
    WHERE subscription_id IS NOT NULL AND status IN ('pending', 'processing', 'failed');

-- -------------------------------------------------------------------- invoices

ALTER TABLE invoices
    ADD COLUMN kind       varchar(20) NOT NULL DEFAULT 'invoice',
    ADD COLUMN seller_id  uuid        REFERENCES organizations (id),
    ADD COLUMN corrects_id uuid       REFERENCES invoices (id),
    ADD COLUMN refund_id  uuid,
    -- All that is printed, frozen when it was issued.
    ADD COLUMN document   jsonb,
    ADD CONSTRAINT invoices_kind_check CHECK (kind IN ('invoice', 'credit_note'));
ALTER TABLE invoices DROP CONSTRAINT invoices_invoice_number_key;
CREATE UNIQUE INDEX invoices_invoice_number_key ON invoices (seller_id, invoice_number)
    NULLS NOT DISTINCT WHERE invoice_number IS NOT NULL;
CREATE UNIQUE INDEX invoices_order_key ON invoices (order_id)
    WHERE kind = 'invoice' AND status <> 'draft' AND corrects_id IS NULL;
-- A refund that failed after all is invoiced anew, once.
CREATE UNIQUE INDEX invoices_reinstated_key ON invoices (corrects_id) WHERE kind = 'invoice';
CREATE UNIQUE INDEX invoices_refund_key ON invoices (refund_id);
CREATE INDEX idx_invoices_seller ON invoices (seller_id, created_at DESC) WHERE seller_id IS NOT NULL;
CREATE INDEX idx_invoices_corrects ON invoices (corrects_id) WHERE corrects_id IS NOT NULL;

-- The last number of each series of a seller. Only next_invoice_number() touches it.
CREATE TABLE invoice_series (
    seller_id   uuid        NOT NULL,
    series      varchar(10) NOT NULL,
    year        integer     NOT NULL,
    last_number bigint      NOT NULL CHECK (last_number > 0),
    PRIMARY KEY (seller_id, series, year)
);

-- SERIES-YYYY-XXXXXX without gaps, as generate_invoice_number() says: the row stays
-- locked until the transaction ends, so it is called late in it.
CREATE FUNCTION next_invoice_number(seller uuid, series_name text) RETURNS varchar
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    this_year integer := extract(year FROM now() AT TIME ZONE 'UTC');
    number    text;
BEGIN
    INSERT INTO public.invoice_series AS s (seller_id, series, year, last_number)
    VALUES (seller, series_name, this_year, 1)
    ON CONFLICT (seller_id, series, year) DO UPDATE SET last_number = s.last_number + 1
    RETURNING last_number::text INTO number;
    RETURN series_name || '-' || this_year || '-' || lpad(number, greatest(6, length(number)), '0');
END
$$;
GRANT EXECUTE ON FUNCTION next_invoice_number(uuid, text) TO celaest_app;

-- --------------------------------------------------------- refunds and disputes

CREATE TABLE refunds (
    id                uuid          PRIMARY KEY DEFAULT uuid_generate_v4(),
    order_id          uuid          NOT NULL,
    -- The buyer's.
    organization_id   uuid          NOT NULL REFERENCES organizations (id),
    seller_id         uuid          REFERENCES organizations (id),
    requested_by      uuid          REFERENCES users_profile (id),
    amount            numeric(12,2) NOT NULL,
    reason            varchar(500),
    status            varchar(20)   NOT NULL DEFAULT 'requested',
    gateway_refund_id varchar(255)  CONSTRAINT refunds_gateway_refund_key UNIQUE,
    failure           varchar(100),
    -- The idempotency key of whoever asked, with who that is.
    request_key       varchar(300)  CONSTRAINT refunds_request_key UNIQUE,
    created_at        timestamptz   NOT NULL DEFAULT now(),
    updated_at        timestamptz   NOT NULL DEFAULT now(),
    succeeded_at      timestamptz,
    CONSTRAINT refunds_order_fkey FOREIGN KEY (order_id, organization_id)
        REFERENCES orders (id, organization_id),
    CONSTRAINT refunds_amount_check CHECK (amount > 0),
    CONSTRAINT refunds_status_check CHECK (status IN ('requested', 'pending', 'succeeded', 'failed', 'canceled'))
);
CREATE INDEX idx_refunds_order ON refunds (order_id);
CREATE INDEX idx_refunds_organization ON refunds (organization_id, created_at DESC);
CREATE INDEX idx_refunds_seller ON refunds (seller_id);
CREATE INDEX idx_refunds_requested_by ON refunds (requested_by);
CREATE INDEX idx_refunds_open ON refunds (created_at) WHERE status IN ('requested', 'pending');
CREATE TRIGGER set_updated_at BEFORE UPDATE ON refunds
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
ALTER TABLE invoices ADD CONSTRAINT invoices_refund_fkey FOREIGN KEY (refund_id) REFERENCES refunds (id);

CREATE TABLE disputes (
    id                 uuid          PRIMARY KEY DEFAULT uuid_generate_v4(),
    order_id           uuid          NOT NULL,
    organization_id    uuid          NOT NULL REFERENCES organizations (id),
    seller_id          uuid          REFERENCES organizations (id),
    gateway_dispute_id varchar(255)  NOT NULL CONSTRAINT disputes_gateway_dispute_key UNIQUE,
    status             varchar(40)   NOT NULL,
    amount             numeric(12,2) NOT NULL,
    reason             varchar(100),
    -- Access is suspended because of it.
    is_holding         boolean       NOT NULL DEFAULT false,
    opened_at          timestamptz   NOT NULL DEFAULT now(),
    closed_at          timestamptz,
    CONSTRAINT disputes_order_fkey FOREIGN KEY (order_id, organization_id)
        REFERENCES orders (id, organization_id)
);
CREATE INDEX idx_disputes_order ON disputes (order_id);
CREATE INDEX idx_disputes_organization ON disputes (organization_id);
CREATE INDEX idx_disputes_seller ON disputes (seller_id);

-- -------------------------------------------------------------- payment events

-- An event that could not be dealt with waits, with why, until it can or somebody
-- has looked at it.
ALTER TABLE payment_events
    ADD COLUMN order_id        uuid,
    ADD COLUMN livemode        boolean     NOT NULL DEFAULT false,
    ADD COLUMN attempts        integer     NOT NULL DEFAULT 1,
    ADD COLUMN next_attempt_at timestamptz;
CREATE INDEX idx_payment_events_order ON payment_events (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX idx_payment_events_received ON payment_events (received_at);

-- What Stripe says beside what we say, where the two differ.
CREATE TABLE payment_differences (
    id          uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    order_id    uuid         NOT NULL REFERENCES orders (id),
    kind        varchar(50)  NOT NULL,
    ours        varchar(255),
    theirs      varchar(255),
    found_at    timestamptz  NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    CONSTRAINT payment_differences_order_key UNIQUE (order_id, kind)
);

-- ---------------------------------------------------------------------- access

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'gateway_customers', 'coupon_redemptions', 'order_grants', 'subscriptions', 'refunds',
        'disputes', 'payment_differences'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO celaest_app', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['gateway_customers', 'coupon_redemptions', 'subscriptions'] LOOP
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (app_sees_owned(organization_id, user_id))', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['order_grants', 'refunds', 'disputes'] LOOP
        EXECUTE format(
            'CREATE POLICY tenant ON %1$I USING (app_sees(organization_id) AND '
            '(app_owner_id() IS NULL OR EXISTS (SELECT FROM orders AS parent '
            'WHERE parent.id = %1$I.order_id)))', name);
    END LOOP;
    -- Whoever sells sees what was ordered from them, and changes nothing of it.
    FOREACH name IN ARRAY ARRAY['orders', 'invoices', 'subscriptions', 'refunds', 'disputes'] LOOP
        EXECUTE format(
            'CREATE POLICY seller_read ON %I FOR SELECT USING ('
            'app_access() = ''tenant'' AND app_owner_id() IS NULL AND seller_id = app_organization_id())', name);
    END LOOP;
END
$$;
CREATE POLICY seller_read ON order_items FOR SELECT USING (
    app_access() = 'tenant' AND app_owner_id() IS NULL AND EXISTS (
        SELECT FROM orders AS parent WHERE parent.id = order_items.order_id
          AND parent.seller_id = app_organization_id()));
CREATE POLICY system_only ON payment_differences USING (app_is_system());
GRANT DELETE ON payment_events TO celaest_app;
INSERT INTO retentions (table_name, setting, days) VALUES
    ('payment_events', 'payment_events.retention_days', 730);

-- -------------------------------------------------- across the shop's counter

-- What a buyer may know of a seller: what is on every invoice of theirs.
CREATE FUNCTION seller_details(seller uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
    found  jsonb;
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    SELECT jsonb_build_object('name', name, 'tax_id', tax_id, 'email', email, 'country_code', country_code,
        'address_line1', address_line1, 'address_line2', address_line2, 'city', city, 'state', state,
        'postal_code', postal_code) INTO found
    FROM organizations WHERE id = seller AND deleted_at IS NULL;
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    RETURN found;
END
$$;

-- A coupon that the seller or the platform gives, by its code, as rules look at it.
CREATE FUNCTION coupon_by_code(seller uuid, wanted text, buyer uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
    found  jsonb;
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    SELECT jsonb_build_object('id', c.id, 'code', c.code, 'discount_type', c.discount_type,
        'discount_value', c.discount_value::text, 'currency', c.currency,
        'min_order_amount', c.min_order_amount::text, 'max_redemptions', c.max_redemptions,
        'max_per_user', c.max_per_user, 'redemption_count', c.redemption_count,
        'redeemed_by_user', (SELECT count(*) FROM coupon_redemptions r
            WHERE r.coupon_id = c.id AND r.user_id = buyer AND r.released_at IS NULL),
        'valid_from', c.valid_from, 'valid_until', c.valid_until, 'is_active', c.is_active,
        'product_ids', c.product_ids) INTO found
    FROM coupons c
    WHERE upper(c.code) = upper(wanted) AND c.deleted_at IS NULL
      AND (c.organization_id = seller OR c.organization_id IS NULL)
    ORDER BY c.organization_id NULLS LAST LIMIT 1;
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    RETURN found;
END
$$;

-- Uses a coupon for an order, if it can be used now. Others who want it wait for the
-- row and count after it: never one too many, and never an error because of the others.
CREATE FUNCTION redeem_coupon(wanted uuid, for_order uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
    buyer  orders%ROWTYPE;
    used   boolean;
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    SELECT * INTO buyer FROM orders WHERE id = for_order;
    PERFORM FROM coupons WHERE id = wanted FOR NO KEY UPDATE;
    UPDATE coupons c SET redemption_count = redemption_count + 1
    WHERE c.id = wanted AND c.is_active AND c.deleted_at IS NULL AND c.valid_from <= now()
      AND (c.valid_until IS NULL OR c.valid_until > now())
      AND (c.max_redemptions IS NULL OR c.redemption_count < c.max_redemptions)
      AND (c.max_per_user IS NULL OR c.max_per_user > (
          SELECT count(*) FROM coupon_redemptions r
          WHERE r.coupon_id = c.id AND r.user_id = buyer.user_id AND r.released_at IS NULL));
    used := FOUND;
    IF used THEN
        INSERT INTO coupon_redemptions (order_id, organization_id, user_id, coupon_id)
        VALUES (buyer.id, buyer.organization_id, buyer.user_id, wanted);
    END IF;
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    RETURN used;
END
$$;

-- Gives the coupon of an order back, once.
CREATE FUNCTION release_coupon(for_order uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
    coupon uuid;
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    UPDATE coupon_redemptions SET released_at = now()
    WHERE order_id = for_order AND released_at IS NULL RETURNING coupon_id INTO coupon;
    UPDATE coupons SET redemption_count = redemption_count - 1
    WHERE id = coupon AND redemption_count > 0;
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
END
$$;
GRANT EXECUTE ON FUNCTION seller_details(uuid), coupon_by_code(uuid, text, uuid),
    redeem_coupon(uuid, uuid), release_coupon(uuid) TO celaest_app;

-- Licensing: plans, licenses, the addresses they are used from, what was
-- validated, what collided and what was consumed.

CREATE TYPE license_status AS ENUM ('active', 'suspended', 'expired', 'cancelled', 'trial');
CREATE TYPE collision_severity AS ENUM ('low', 'medium', 'high', 'critical');

-- --------------------------------------------------------- subscription_plans

CREATE TABLE subscription_plans (
    id            uuid          PRIMARY KEY DEFAULT uuid_generate_v4(),
    code          varchar(50)   NOT NULL CONSTRAINT subscription_plans_code_key UNIQUE,
    name          varchar(100)  NOT NULL,
    description   text,
    price_monthly numeric(10,2),
    price_yearly  numeric(10,2),
    currency      char(3)       NOT NULL DEFAULT 'USD',
    -- -1 means unlimited.
    limits        jsonb         NOT NULL DEFAULT '{"max_users": 5, "max_ai_requests_per_month": 1000, "max_storage_gb": 10, "max_concurrent_tasks": 2, "max_batch_size": 10}',
    features      jsonb         NOT NULL DEFAULT '[]',
    is_active     boolean       NOT NULL DEFAULT true,
    is_public     boolean       NOT NULL DEFAULT true,
    sort_order    integer       NOT NULL DEFAULT 0,
    created_at    timestamptz   NOT NULL DEFAULT now(),
    updated_at    timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT subscription_plans_price_check CHECK (price_monthly >= 0 AND price_yearly >= 0),
    CONSTRAINT subscription_plans_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT subscription_plans_limits_check CHECK (jsonb_typeof(limits) = 'object')
);
CREATE INDEX idx_subscription_plans_public ON subscription_plans (sort_order)
    WHERE is_active AND is_public;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON subscription_plans
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- ------------------------------------------------------------------- licenses

CREATE TABLE licenses (
    id                   uuid           PRIMARY KEY DEFAULT uuid_generate_v4(),
    organization_id      uuid           NOT NULL REFERENCES organizations (id),
    plan_id              uuid           NOT NULL REFERENCES subscription_plans (id),
    product_id           uuid           REFERENCES products (id),
    owner_id             uuid           REFERENCES users_profile (id),
    license_key          varchar(64)    NOT NULL,
    license_key_hash     varchar(128),
    status               license_status NOT NULL DEFAULT 'trial',
    starts_at            timestamptz    NOT NULL DEFAULT now(),
    expires_at           timestamptz,
    trial_ends_at        timestamptz,
    billing_cycle        billing_cycle  NOT NULL DEFAULT 'monthly',
    next_billing_date    date,
    custom_limits        jsonb,
    current_period_start timestamptz,
    current_period_end   timestamptz,
    ai_requests_used     bigint         NOT NULL DEFAULT 0,
    storage_used_bytes   bigint         NOT NULL DEFAULT 0,
    notes                text,
    metadata             jsonb          NOT NULL DEFAULT '{}',
    suspension_reason    text,
    created_at           timestamptz    NOT NULL DEFAULT now(),
    updated_at           timestamptz    NOT NULL DEFAULT now(),
    suspended_at         timestamptz,
    cancelled_at         timestamptz,
    -- Lets the rows below prove that their organization is the license's own.
    CONSTRAINT licenses_id_organization_key UNIQUE (id, organization_id),
    CONSTRAINT licenses_expires_at_check CHECK (expires_at >= starts_at),
    CONSTRAINT licenses_period_check CHECK (current_period_end > current_period_start),
    CONSTRAINT licenses_usage_check CHECK (ai_requests_used >= 0 AND storage_used_bytes >= 0),
    CONSTRAINT licenses_custom_limits_check CHECK (jsonb_typeof(custom_limits) = 'object')
);
CREATE UNIQUE INDEX idx_licenses_key ON licenses (license_key);
CREATE INDEX idx_licenses_status ON licenses (status);
CREATE INDEX idx_licenses_organization ON licenses (organization_id, created_at DESC);
CREATE INDEX idx_licenses_plan ON licenses (plan_id);
CREATE INDEX idx_licenses_product ON licenses (product_id);
CREATE INDEX idx_licenses_owner ON licenses (owner_id);
-- What the expiry job and the usage job look for: only licenses still in use.
CREATE INDEX idx_licenses_expiring ON licenses (expires_at) WHERE status IN ('active', 'trial');
CREATE INDEX idx_licenses_trial_ending ON licenses (trial_ends_at) WHERE status = 'trial';
CREATE INDEX idx_licenses_period_ending ON licenses (current_period_end)
    WHERE status IN ('active', 'trial');
CREATE TRIGGER set_updated_at BEFORE UPDATE ON licenses
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- -------------------------------------------------------- license_ip_bindings

CREATE TABLE license_ip_bindings (
    id              uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    license_id      uuid         NOT NULL,
    organization_id uuid         NOT NULL REFERENCES organizations (id),
    ip_address      inet         NOT NULL,
    machine_id      varchar(255),
    hostname        varchar(255),
    source          varchar(20)  NOT NULL DEFAULT 'auto',
    is_active       boolean      NOT NULL DEFAULT true,
    first_seen_at   timestamptz  NOT NULL DEFAULT now(),
    last_seen_at    timestamptz  NOT NULL DEFAULT now(),
    unbound_at      timestamptz,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT license_ip_bindings_license_fkey FOREIGN KEY (license_id, organization_id)
        REFERENCES licenses (id, organization_id),
    CONSTRAINT license_ip_bindings_source_check CHECK (source IN ('auto', 'manual')),
    CONSTRAINT license_ip_bindings_unbound_check CHECK (NOT is_active OR unbound_at IS NULL)
);
CREATE UNIQUE INDEX license_ip_bindings_active_key ON license_ip_bindings (license_id, ip_address)
    WHERE is_active;
CREATE INDEX idx_license_ip_bindings_license ON license_ip_bindings (license_id, first_seen_at);
CREATE INDEX idx_license_ip_bindings_organization ON license_ip_bindings (organization_id);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON license_ip_bindings
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- A household or a server rotates through the addresses of one IPv6 /64, so the
-- slot is the network. Normalised here, because two spellings would be two slots.
CREATE FUNCTION normalize_binding_address() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    NEW.ip_address := CASE family(NEW.ip_address)
        WHEN 6 THEN network(set_masklen(NEW.ip_address, 64))::inet
        ELSE set_masklen(NEW.ip_address, 32)
    END;
    RETURN NEW;
END
$$;
CREATE TRIGGER normalize_address BEFORE INSERT OR UPDATE OF ip_address ON license_ip_bindings
    FOR EACH ROW EXECUTE FUNCTION normalize_binding_address();

-- -------------------------------------------------------- license_validations

-- One row per validation, written in bulk from a queue, in any order: it may
-- arrive before the binding it names, hence no foreign key there.
CREATE TABLE license_validations (
    id              uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    license_id      uuid         NOT NULL,
    organization_id uuid         NOT NULL REFERENCES organizations (id),
    ip_binding_id   uuid,
    ip_address      inet         NOT NULL,
    connection_ip   inet,
    is_valid        boolean      NOT NULL,
    -- The verdict code; NULL when the license was valid.
    failure_reason  varchar(50),
    device_info     jsonb,
    machine_id      varchar(255),
    hostname        varchar(255),
    nonce           varchar(255),
    user_agent      varchar(500),
    created_at      timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT license_validations_license_fkey FOREIGN KEY (license_id, organization_id)
        REFERENCES licenses (id, organization_id),
    CONSTRAINT license_validations_reason_check CHECK (is_valid = (failure_reason IS NULL))
);
CREATE INDEX idx_license_validations_license ON license_validations (license_id, created_at DESC);
CREATE INDEX idx_license_validations_organization ON license_validations (organization_id, created_at DESC);
CREATE INDEX idx_license_validations_binding ON license_validations (ip_binding_id)
    WHERE ip_binding_id IS NOT NULL;

-- --------------------------------------------------------- license_collisions

CREATE TABLE license_collisions (
    id                uuid               PRIMARY KEY DEFAULT uuid_generate_v4(),
    license_id        uuid               NOT NULL,
    organization_id   uuid               NOT NULL REFERENCES organizations (id),
    ip_address_a      inet               NOT NULL,
    ip_address_b      inet               NOT NULL,
    ip_binding_a      uuid               REFERENCES license_ip_bindings (id),
    ip_binding_b      uuid               REFERENCES license_ip_bindings (id),
    collision_type    varchar(50)        NOT NULL DEFAULT 'concurrent_ip',
    severity          collision_severity NOT NULL DEFAULT 'low',
    address_count     integer            NOT NULL DEFAULT 2,
    window_seconds    integer            NOT NULL DEFAULT 300,
    detected_at       timestamptz        NOT NULL DEFAULT now(),
    suspended_license boolean            NOT NULL DEFAULT false,
    resolved_at       timestamptz,
    resolved_by       uuid               REFERENCES users_profile (id),
    resolution_notes  text,
    auto_resolved     boolean            NOT NULL DEFAULT false,
    created_at        timestamptz        NOT NULL DEFAULT now(),
    CONSTRAINT license_collisions_license_fkey FOREIGN KEY (license_id, organization_id)
        REFERENCES licenses (id, organization_id),
    CONSTRAINT license_collisions_addresses_check CHECK (ip_address_a <> ip_address_b),
    CONSTRAINT license_collisions_count_check CHECK (address_count >= 2 AND window_seconds > 0)
);
CREATE INDEX idx_license_collisions_license ON license_collisions (license_id, detected_at DESC);
CREATE INDEX idx_license_collisions_organization ON license_collisions (organization_id, detected_at DESC);
CREATE INDEX idx_license_collisions_open ON license_collisions (license_id) WHERE resolved_at IS NULL;
CREATE INDEX idx_license_collisions_binding_a ON license_collisions (ip_binding_a);
CREATE INDEX idx_license_collisions_binding_b ON license_collisions (ip_binding_b);
CREATE INDEX idx_license_collisions_resolved_by ON license_collisions (resolved_by);

-- ---------------------------------------------------------- license_usage_log

CREATE TABLE license_usage_log (
    id                uuid          PRIMARY KEY DEFAULT uuid_generate_v4(),
    license_id        uuid          NOT NULL,
    organization_id   uuid          NOT NULL REFERENCES organizations (id),
    period_start      timestamptz   NOT NULL,
    period_end        timestamptz   NOT NULL,
    ai_requests_count bigint        NOT NULL DEFAULT 0,
    tokens_input      bigint        NOT NULL DEFAULT 0,
    tokens_output     bigint        NOT NULL DEFAULT 0,
    storage_bytes     bigint        NOT NULL DEFAULT 0,
    validations_count bigint        NOT NULL DEFAULT 0,
    calculated_cost   numeric(12,4) NOT NULL DEFAULT 0,
    created_at        timestamptz   NOT NULL DEFAULT now(),
    updated_at        timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT license_usage_log_period_key UNIQUE (license_id, period_start, period_end),
    CONSTRAINT license_usage_log_license_fkey FOREIGN KEY (license_id, organization_id)
        REFERENCES licenses (id, organization_id),
    CONSTRAINT license_usage_log_period_check CHECK (period_end > period_start),
    CONSTRAINT license_usage_log_counts_check CHECK (
        ai_requests_count >= 0 AND tokens_input >= 0 AND tokens_output >= 0
        AND storage_bytes >= 0 AND validations_count >= 0 AND calculated_cost >= 0)
);
CREATE INDEX idx_license_usage_log_organization ON license_usage_log (organization_id, period_start);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON license_usage_log
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

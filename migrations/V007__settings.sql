-- Settings: sessions, API keys, outgoing webhooks, configuration and flags; and
-- the two tables that make side effects and repeated requests safe.

CREATE TYPE webhook_status AS ENUM ('active', 'paused', 'disabled');

-- -------------------------------------------------------------- user_sessions

CREATE TABLE user_sessions (
    id              uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    user_id         uuid         NOT NULL REFERENCES users_profile (id),
    organization_id uuid         REFERENCES organizations (id),
    -- The session id of the sign-in provider.
    session_token   varchar(255) NOT NULL CONSTRAINT user_sessions_session_token_key UNIQUE,
    ip_address      inet,
    user_agent      varchar(500),
    device_info     jsonb        NOT NULL DEFAULT '{}',
    is_active       boolean      NOT NULL DEFAULT true,
    expires_at      timestamptz,
    last_seen_at    timestamptz  NOT NULL DEFAULT now(),
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    ended_at        timestamptz,
    CONSTRAINT user_sessions_ended_check CHECK (NOT is_active OR ended_at IS NULL)
);
CREATE INDEX idx_user_sessions_user ON user_sessions (user_id, last_seen_at DESC);
CREATE INDEX idx_user_sessions_organization ON user_sessions (organization_id);
CREATE INDEX idx_user_sessions_expiring ON user_sessions (expires_at) WHERE is_active;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON user_sessions
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- -------------------------------------------------------------- user_api_keys

CREATE TABLE user_api_keys (
    id              uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    user_id         uuid         NOT NULL REFERENCES users_profile (id),
    organization_id uuid         NOT NULL REFERENCES organizations (id),
    name            varchar(100) NOT NULL,
    -- A keyed hash; the key itself is shown once and never stored.
    key_hash        varchar(128) NOT NULL CONSTRAINT user_api_keys_key_hash_key UNIQUE,
    key_prefix      varchar(20)  NOT NULL,
    scopes          text[]       NOT NULL DEFAULT '{}',
    rate_limit_rpm  integer,
    usage_count     bigint       NOT NULL DEFAULT 0,
    last_used_at    timestamptz,
    expires_at      timestamptz,
    is_active       boolean      NOT NULL DEFAULT true,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    revoked_at      timestamptz,
    CONSTRAINT user_api_keys_numbers_check CHECK (rate_limit_rpm > 0 AND usage_count >= 0)
);
CREATE INDEX idx_user_api_keys_user ON user_api_keys (user_id, created_at DESC);
CREATE INDEX idx_user_api_keys_organization ON user_api_keys (organization_id);
CREATE INDEX idx_user_api_keys_prefix ON user_api_keys (key_prefix) WHERE is_active;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON user_api_keys
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- ------------------------------------------------ webhooks, webhook_deliveries

CREATE TABLE webhooks (
    id                     uuid           PRIMARY KEY DEFAULT uuid_generate_v4(),
    organization_id        uuid           NOT NULL REFERENCES organizations (id),
    user_id                uuid           NOT NULL REFERENCES users_profile (id),
    name                   varchar(100)   NOT NULL,
    url                    varchar(500)   NOT NULL,
    -- The hash shows whether a secret is the current one; the ciphertext is what
    -- deliveries are signed with, since a hash cannot sign.
    secret_hash            varchar(128)   NOT NULL,
    secret_encrypted       bytea          NOT NULL,
    encryption_key_version integer        NOT NULL DEFAULT 1,
    events                 text[]         NOT NULL DEFAULT '{}',
    status                 webhook_status NOT NULL DEFAULT 'active',
    consecutive_failures   integer        NOT NULL DEFAULT 0,
    last_delivery_at       timestamptz,
    metadata               jsonb          NOT NULL DEFAULT '{}',
    created_at             timestamptz    NOT NULL DEFAULT now(),
    updated_at             timestamptz    NOT NULL DEFAULT now(),
    deleted_at             timestamptz,
    CONSTRAINT webhooks_id_organization_key UNIQUE (id, organization_id),
    CONSTRAINT webhooks_url_check CHECK (url ~ '^https?://'),
    CONSTRAINT webhooks_failures_check CHECK (consecutive_failures >= 0)
);
CREATE INDEX idx_webhooks_organization ON webhooks (organization_id)
    WHERE status = 'active' AND deleted_at IS NULL;
CREATE INDEX idx_webhooks_organization_all ON webhooks (organization_id, created_at DESC);
CREATE INDEX idx_webhooks_user ON webhooks (user_id);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON webhooks
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TABLE webhook_deliveries (
    id              uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    webhook_id      uuid         NOT NULL,
    organization_id uuid         NOT NULL REFERENCES organizations (id),
    -- The same in every attempt to deliver one event.
    event_id        uuid         NOT NULL,
    event_type      varchar(100) NOT NULL,
    payload         jsonb        NOT NULL,
    response_status integer,
    response_body   text,
    error_message   text,
    duration_ms     integer,
    attempt_number  integer      NOT NULL DEFAULT 1,
    next_attempt_at timestamptz,
    delivered_at    timestamptz,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT webhook_deliveries_webhook_fkey FOREIGN KEY (webhook_id, organization_id)
        REFERENCES webhooks (id, organization_id) ON DELETE CASCADE,
    CONSTRAINT webhook_deliveries_attempt_key UNIQUE (webhook_id, event_id, attempt_number),
    CONSTRAINT webhook_deliveries_numbers_check CHECK (
        attempt_number > 0 AND duration_ms >= 0 AND response_status BETWEEN 100 AND 599)
);
CREATE INDEX idx_webhook_deliveries_webhook ON webhook_deliveries (webhook_id, created_at DESC);
CREATE INDEX idx_webhook_deliveries_organization ON webhook_deliveries (organization_id);
CREATE INDEX idx_webhook_deliveries_due ON webhook_deliveries (next_attempt_at)
    WHERE delivered_at IS NULL AND next_attempt_at IS NOT NULL;

-- -------------------------------------------------------------- system_config

CREATE TABLE system_config (
    key          varchar(100) PRIMARY KEY,
    value        jsonb        NOT NULL,
    description  text,
    is_sensitive boolean      NOT NULL DEFAULT false,
    updated_at   timestamptz  NOT NULL DEFAULT now(),
    updated_by   uuid         REFERENCES users_profile (id)
);
CREATE INDEX idx_system_config_updated_by ON system_config (updated_by);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON system_config
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- Part of the schema, not of the sample data: the worker reads them.
INSERT INTO system_config (key, value, description) VALUES
    ('license.collision_threshold', '10',
     'More collisions than this within 24 hours suspend a license, where auto revoke is on'),
    ('license.collision_auto_revoke', 'false',
     'Whether too many collisions suspend a license without a person deciding'),
    ('ai.request_timeout_seconds', '30',
     'How long one call to an AI provider may take'),
    ('ai.max_attempts', '3',
     'How often an AI task is tried, over different keys and providers, before it fails');

-- -------------------------------------------------------------- feature_flags

CREATE TABLE feature_flags (
    id                   uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    flag_key             varchar(100) NOT NULL CONSTRAINT feature_flags_flag_key_key UNIQUE,
    name                 varchar(200) NOT NULL,
    description          text,
    is_enabled           boolean      NOT NULL DEFAULT false,
    target_type          varchar(20)  NOT NULL DEFAULT 'all',
    target_percentage    integer,
    target_users         uuid[],
    target_organizations uuid[],
    metadata             jsonb        NOT NULL DEFAULT '{}',
    created_at           timestamptz  NOT NULL DEFAULT now(),
    updated_at           timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT feature_flags_target_type_check CHECK (
        target_type IN ('all', 'percentage', 'users', 'orgs')),
    CONSTRAINT feature_flags_percentage_check CHECK (target_percentage BETWEEN 0 AND 100)
);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON feature_flags
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- ------------------------------------------------------------ outbox_messages

-- Written in the transaction of the fact it announces, sent after commit, and
-- swept by a job until it is.
CREATE TABLE outbox_messages (
    id              uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    organization_id uuid         REFERENCES organizations (id),
    topic           varchar(100) NOT NULL,
    payload         jsonb        NOT NULL,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    available_at    timestamptz  NOT NULL DEFAULT now(),
    attempts        integer      NOT NULL DEFAULT 0,
    sent_at         timestamptz,
    last_error      text,
    CONSTRAINT outbox_messages_attempts_check CHECK (attempts >= 0)
);
CREATE INDEX idx_outbox_messages_due ON outbox_messages (available_at) WHERE sent_at IS NULL;
CREATE INDEX idx_outbox_messages_sent ON outbox_messages (sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX idx_outbox_messages_organization ON outbox_messages (organization_id);

-- ----------------------------------------------------------- idempotency_keys

CREATE TABLE idempotency_keys (
    caller          varchar(100) NOT NULL,
    key             varchar(255) NOT NULL,
    organization_id uuid         REFERENCES organizations (id),
    method          varchar(10)  NOT NULL,
    path            varchar(500) NOT NULL,
    request_hash    varchar(64)  NOT NULL,
    -- NULL while the first request is still being worked on.
    status          integer,
    response        jsonb,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    expires_at      timestamptz  NOT NULL DEFAULT now() + interval '24 hours',
    PRIMARY KEY (caller, key),
    CONSTRAINT idempotency_keys_status_check CHECK (status BETWEEN 100 AND 599)
);
CREATE INDEX idx_idempotency_keys_expiring ON idempotency_keys (expires_at);
CREATE INDEX idx_idempotency_keys_organization ON idempotency_keys (organization_id);

-- Foundation: extensions, the run-time role, the settings every row-level
-- policy reads, organizations and the people in them.

-- Extensions come before the default privileges below, so that their functions
-- stay callable by everybody (column defaults use uuid_generate_v4()).
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
CREATE EXTENSION IF NOT EXISTS pgcrypto;

-- Months, billing periods and invoice years are all counted in UTC.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET timezone TO %L', current_database(), 'UTC');
END
$$;

-- The role the worker connects with. It owns nothing and cannot bypass row-level
-- security. Its password is never in a migration: whoever runs the database sets
-- it with ALTER ROLE celaest_app PASSWORD '…'. Roles belong to the whole server,
-- so another database may be creating it at the same moment.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'celaest_app') THEN
        CREATE ROLE celaest_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles
               WHERE rolname = 'celaest_app' AND (rolsuper OR rolbypassrls)) THEN
        RAISE EXCEPTION 'role celaest_app exists and bypasses row-level security'
            USING HINT = 'ALTER ROLE celaest_app NOSUPERUSER NOBYPASSRLS';
    END IF;
END
$$;

GRANT USAGE ON SCHEMA public TO celaest_app;

-- Nothing new is reachable by accident: every migration grants what it adds.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- ---------------------------------------------------------------- enum types

CREATE TYPE user_role AS ENUM
    ('super_admin', 'admin', 'manager', 'developer', 'operator', 'client', 'viewer');
CREATE TYPE billing_cycle AS ENUM
    ('monthly', 'quarterly', 'yearly', 'lifetime', 'usage_based');
CREATE TYPE task_status AS ENUM
    ('pending', 'processing', 'completed', 'failed', 'cancelled', 'retrying');

-- --------------------------------------------------- who is asking, per transaction

-- The worker opens every transaction with set_config('celaest.…', value, true).
-- A setting that was never made reads as NULL, and so does one that was reset to
-- the empty string: both see nothing.

-- 'tenant', 'system', or anything else for no access at all.
CREATE FUNCTION app_access() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('celaest.access', true), '');

-- True for cron jobs, queue consumers, look-ups at the edge and super_admin.
CREATE FUNCTION app_is_system() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(app_access() = 'system', false);

-- True for anybody who is somebody: the least that shared rows ask for.
CREATE FUNCTION app_has_access() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(app_access() IN ('tenant', 'system'), false);

-- The organization the transaction works for.
CREATE FUNCTION app_organization_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('celaest.organization_id', true), '')::uuid;

-- The person the transaction works for.
CREATE FUNCTION app_user_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('celaest.user_id', true), '')::uuid;

-- Set for the role client only: narrows rows that have an owner to the own ones.
CREATE FUNCTION app_owner_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('celaest.owner_id', true), '')::uuid;

-- May the transaction touch a row of this organization?
CREATE FUNCTION app_sees(organization uuid) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN app_is_system()
        OR (app_access() = 'tenant' AND organization = app_organization_id());

-- The same for a row that belongs to one person.
CREATE FUNCTION app_sees_owned(organization uuid, owner uuid) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN app_is_system()
        OR (app_access() = 'tenant' AND organization = app_organization_id()
            AND (app_owner_id() IS NULL OR owner = app_owner_id()));

GRANT EXECUTE ON FUNCTION app_access(), app_is_system(), app_has_access(),
    app_organization_id(), app_user_id(), app_owner_id(),
    app_sees(uuid), app_sees_owned(uuid, uuid) TO celaest_app;

-- ------------------------------------------------------------------- triggers

CREATE FUNCTION set_updated_at() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

-- -------------------------------------------------------------- organizations

CREATE TABLE organizations (
    id                      uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    name                    varchar(255) NOT NULL,
    slug                    varchar(100) NOT NULL CONSTRAINT organizations_slug_key UNIQUE,
    email                   varchar(255),
    phone                   varchar(50),
    website                 varchar(500),
    address_line1           varchar(255),
    address_line2           varchar(255),
    city                    varchar(100),
    state                   varchar(100),
    postal_code             varchar(20),
    country_code            char(2),
    tax_id                  varchar(50),
    settings                jsonb        NOT NULL DEFAULT '{}',
    metadata                jsonb        NOT NULL DEFAULT '{}',
    max_users               integer      NOT NULL DEFAULT 5,
    max_api_calls_per_month bigint       NOT NULL DEFAULT 10000,
    created_at              timestamptz  NOT NULL DEFAULT now(),
    updated_at              timestamptz  NOT NULL DEFAULT now(),
    deleted_at              timestamptz,
    CONSTRAINT organizations_slug_check CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    CONSTRAINT organizations_country_code_check CHECK (country_code ~ '^[A-Z]{2}$'),
    -- -1 means unlimited, here and in every limit of a plan.
    CONSTRAINT organizations_max_users_check CHECK (max_users >= -1),
    CONSTRAINT organizations_max_api_calls_check CHECK (max_api_calls_per_month >= -1)
);
CREATE INDEX idx_organizations_active ON organizations (created_at) WHERE deleted_at IS NULL;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON organizations
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- -------------------------------------------------------------- users_profile

-- The id is the subject of the sign-in provider's token; the account itself
-- lives there.
CREATE TABLE users_profile (
    id                   uuid         PRIMARY KEY,
    organization_id      uuid         REFERENCES organizations (id),
    email                varchar(255) NOT NULL,
    first_name           varchar(100),
    last_name            varchar(100),
    display_name         varchar(200),
    avatar_url           varchar(500),
    phone                varchar(50),
    role                 user_role    NOT NULL DEFAULT 'viewer',
    scopes               jsonb        NOT NULL DEFAULT '[]',
    timezone             varchar(50)  NOT NULL DEFAULT 'UTC',
    locale               varchar(10)  NOT NULL DEFAULT 'es',
    preferences          jsonb        NOT NULL DEFAULT '{}',
    onboarding_completed boolean      NOT NULL DEFAULT false,
    onboarding_step      integer      NOT NULL DEFAULT 0,
    last_login_at        timestamptz,
    login_count          integer      NOT NULL DEFAULT 0,
    metadata             jsonb        NOT NULL DEFAULT '{}',
    created_at           timestamptz  NOT NULL DEFAULT now(),
    updated_at           timestamptz  NOT NULL DEFAULT now(),
    deleted_at           timestamptz,
    CONSTRAINT users_profile_email_check CHECK (position('@' IN email) > 1),
    CONSTRAINT users_profile_scopes_check CHECK (jsonb_typeof(scopes) = 'array'),
    CONSTRAINT users_profile_counts_check CHECK (login_count >= 0 AND onboarding_step >= 0)
);
-- An address names one living person however it is typed, and is free again
-- once that person is deleted.
CREATE UNIQUE INDEX idx_users_profile_email ON users_profile (lower(email))
    WHERE deleted_at IS NULL;
CREATE INDEX idx_users_profile_organization ON users_profile (organization_id, created_at);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON users_profile
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

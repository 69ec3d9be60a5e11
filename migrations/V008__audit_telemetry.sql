-- Audit and telemetry: both grow for ever, so both are partitioned by month; the
-- audit log can only be added to.

CREATE TYPE audit_action AS ENUM
    ('create', 'read', 'update', 'delete', 'login', 'logout', 'export', 'import', 'api_call');

-- ----------------------------------------------------------------- audit_logs

CREATE TABLE audit_logs (
    id              uuid         NOT NULL DEFAULT uuid_generate_v4(),
    -- The order in which rows were written: what a seal covers is a range of it.
    sequence        bigint       GENERATED ALWAYS AS IDENTITY,
    user_id         uuid         REFERENCES users_profile (id),
    organization_id uuid         REFERENCES organizations (id),
    -- No foreign key: the log outlives the key.
    api_key_id      uuid,
    actor_kind      varchar(20)  NOT NULL DEFAULT 'user',
    action          audit_action NOT NULL,
    event           varchar(100) NOT NULL,
    resource_type   varchar(100) NOT NULL,
    resource_id     uuid,
    description     text,
    changes         jsonb,
    request_id      varchar(100),
    ip_address      inet,
    user_agent      varchar(500),
    success         boolean      NOT NULL DEFAULT true,
    error_message   text,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    PRIMARY KEY (id, created_at),
    CONSTRAINT audit_logs_actor_kind_check CHECK (actor_kind IN ('user', 'api_key', 'system')),
    CONSTRAINT audit_logs_event_check CHECK (event ~ '^[a-z0-9_]+(\.[a-z0-9_]+)+$')
) PARTITION BY RANGE (created_at);
CREATE INDEX idx_audit_created_at ON audit_logs (created_at);
CREATE INDEX idx_audit_organization ON audit_logs (organization_id, created_at DESC);
CREATE INDEX idx_audit_user ON audit_logs (user_id, created_at DESC);
CREATE INDEX idx_audit_resource ON audit_logs (resource_type, resource_id, created_at DESC);
CREATE INDEX idx_audit_sequence ON audit_logs (organization_id, sequence);

-- Append-only. Grants keep the run-time role out; the trigger keeps out every
-- other role, superusers too. The owner may, for that is how a month past its
-- retention is removed and how rows move out of the default partition.
CREATE FUNCTION refuse_audit_change() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF current_user <> (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID) THEN
        RAISE EXCEPTION 'audit_logs is append-only: % refused', TG_OP
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN CASE TG_OP WHEN 'UPDATE' THEN NEW WHEN 'DELETE' THEN OLD END;
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
-- Statement triggers are not inherited: ensure_partitions() repeats this one.
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- ----------------------------------------------------------- telemetry_events

CREATE TABLE telemetry_events (
    id              uuid         NOT NULL DEFAULT uuid_generate_v4(),
    organization_id uuid         REFERENCES organizations (id),
    user_id         uuid         REFERENCES users_profile (id),
    session_id      varchar(100),
    event_type      varchar(100) NOT NULL,
    event_category  varchar(50),
    event_name      varchar(200) NOT NULL,
    properties      jsonb        NOT NULL DEFAULT '{}',
    page_url        varchar(500),
    referrer        varchar(500),
    ip_address      inet,
    user_agent      varchar(500),
    device_type     varchar(20),
    browser         varchar(50),
    os              varchar(50),
    created_at      timestamptz  NOT NULL DEFAULT now(),
    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX idx_telemetry_org ON telemetry_events (organization_id, created_at);
CREATE INDEX idx_telemetry_user ON telemetry_events (user_id, created_at);
CREATE INDEX idx_telemetry_type ON telemetry_events (event_type, created_at);

-- -------------------------------------------------------------- system_events

-- What happened to the system itself (deployments, errors, jobs), whose it may be.
CREATE TABLE system_events (
    id         uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    event_type varchar(100) NOT NULL,
    severity   varchar(20)  NOT NULL DEFAULT 'info',
    source     varchar(100) NOT NULL,
    message    text         NOT NULL,
    details    jsonb        NOT NULL DEFAULT '{}',
    request_id varchar(100),
    created_at timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT system_events_severity_check CHECK (
        severity IN ('debug', 'info', 'warning', 'error', 'critical'))
);
CREATE INDEX idx_system_events_created_at ON system_events (created_at);
CREATE INDEX idx_system_events_type ON system_events (event_type, created_at);

-- ---------------------------------------------------------------- audit_seals

-- A signed digest over a range of an organization's audit rows, chained to the
-- one before: shows that nothing was taken out, even by the owner.
CREATE TABLE audit_seals (
    id              uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    -- NULL seals the rows that belong to no organization.
    organization_id uuid         REFERENCES organizations (id),
    first_sequence  bigint       NOT NULL,
    last_sequence   bigint       NOT NULL,
    row_count       bigint       NOT NULL,
    digest          varchar(128) NOT NULL,
    previous_digest varchar(128),
    signature       varchar(512) NOT NULL,
    key_id          varchar(100) NOT NULL,
    sealed_at       timestamptz  NOT NULL DEFAULT now(),
    -- Two jobs at once cannot seal the same range or fork the chain.
    CONSTRAINT audit_seals_range_key UNIQUE NULLS NOT DISTINCT (organization_id, first_sequence),
    CONSTRAINT audit_seals_chain_key UNIQUE NULLS NOT DISTINCT (organization_id, previous_digest),
    CONSTRAINT audit_seals_range_check CHECK (last_sequence >= first_sequence AND row_count > 0)
);

-- ----------------------------------------------------------------- partitions

-- Both tables have a DEFAULT partition. Without one, a job that did not run would
-- make every audited change of the system fail at the turn of the month; with it,
-- rows land in the default and move to their month once that exists.

-- Gives a partition what it does not inherit. Nobody has grants on partitions, so
-- these policies bind only an owner who is no superuser.
CREATE FUNCTION protect_partition(partition text, parent text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', partition);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', partition);
    EXECUTE format('CREATE POLICY system_only ON public.%I USING (app_is_system())', partition);
    IF parent = 'audit_logs' THEN
        EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON public.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_audit_change()', partition);
    END IF;
END
$$;

-- Creates what is missing of the monthly partitions from the current month to
-- months_ahead later, moving rows out of the default partition where needed, and
-- returns how many it created. Safe to repeat and to run twice at once.
-- SECURITY DEFINER: the job runs as celaest_app, which may not create tables.
CREATE FUNCTION ensure_partitions(months_ahead integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access    text := current_setting('celaest.access', true);
    this_month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    parent    text;
    partition text;
    columns   text;
    lower_end timestamptz;
    upper_end timestamptz;
    created   integer := 0;
BEGIN
    IF months_ahead IS NULL OR months_ahead NOT BETWEEN 0 AND 120 THEN
        RAISE EXCEPTION 'months_ahead must be between 0 and 120'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('celaest.access', 'system', true);

    FOREACH parent IN ARRAY ARRAY['audit_logs', 'telemetry_events'] LOOP
        -- Conflicts with itself and not with inserts: a second caller waits here,
        -- then finds everything done.
        EXECUTE format('LOCK TABLE ONLY public.%I IN SHARE UPDATE EXCLUSIVE MODE', parent);
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
        FROM pg_attribute
        WHERE attrelid = format('public.%I', parent)::regclass AND attnum > 0
          AND NOT attisdropped AND attgenerated = '';

        FOR month IN 0..months_ahead LOOP
            lower_end := (this_month + make_interval(months => month)) AT TIME ZONE 'UTC';
            upper_end := (this_month + make_interval(months => month + 1)) AT TIME ZONE 'UTC';
            partition := parent || to_char(lower_end AT TIME ZONE 'UTC', '"_y"YYYY"m"MM');
            CONTINUE WHEN to_regclass(format('public.%I', partition)) IS NOT NULL;

            -- Built apart and then attached, which locks far less than CREATE TABLE …
            -- PARTITION OF, and allows the rows to be moved in between.
            EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING DEFAULTS '
                'INCLUDING CONSTRAINTS INCLUDING GENERATED)', partition, parent);
            EXECUTE format('LOCK TABLE public.%I IN ACCESS EXCLUSIVE MODE', parent || '_default');
            EXECUTE format('WITH moved AS (DELETE FROM public.%I '
                'WHERE created_at >= %L AND created_at < %L RETURNING %s) '
                'INSERT INTO public.%I (%s) SELECT %s FROM moved',
                parent || '_default', lower_end, upper_end, columns, partition, columns, columns);
            EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I '
                'FOR VALUES FROM (%L) TO (%L)', parent, partition, lower_end, upper_end);
            PERFORM protect_partition(partition, parent);
            created := created + 1;
        END LOOP;
    END LOOP;

    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    RETURN created;
END
$$;
GRANT EXECUTE ON FUNCTION ensure_partitions(integer) TO celaest_app;

CREATE TABLE audit_logs_default PARTITION OF audit_logs DEFAULT;
CREATE TABLE telemetry_events_default PARTITION OF telemetry_events DEFAULT;
SELECT protect_partition('audit_logs_default', 'audit_logs'),
       protect_partition('telemetry_events_default', 'telemetry_events');
SELECT ensure_partitions(3);

-- Tables that grow without end: one way to make their months, one way to throw away
-- what is past its time. Whatever is partitioned by created_at is found in the
-- catalogue, so a table needs nothing but to be partitioned and to have its time here.

SET LOCAL celaest.access = 'system';

-- ------------------------------------------------------------------ retentions

-- How long rows are kept: what system_config has under the setting, or so many days.
-- A table that is not here is kept for ever, as the audit log is.
CREATE TABLE retentions (
    table_name varchar(63)  PRIMARY KEY,
    setting    varchar(100) NOT NULL,
    days       integer      NOT NULL,
    CONSTRAINT retentions_days_check CHECK (days BETWEEN 1 AND 36500)
);
ALTER TABLE retentions ENABLE ROW LEVEL SECURITY;
ALTER TABLE retentions FORCE ROW LEVEL SECURITY;
CREATE POLICY system_only ON retentions USING (app_is_system());
GRANT SELECT ON retentions TO celaest_app;

INSERT INTO retentions (table_name, setting, days) VALUES
    ('telemetry_events', 'telemetry.retention_days', 90),
    ('webhook_deliveries', 'webhooks.retention_days', 90),
    ('processed_tasks', 'tasks.retention_days', 730),
    ('license_validations', 'license.validation_retention_days', 365),
    ('user_sessions', 'sessions.retention_days', 90),
    ('system_events', 'system_events.retention_days', 90);

-- ------------------------------------------------------------------ partitions

-- The tables that are partitioned by month.
CREATE FUNCTION growing_tables() RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT c.relname::text
    FROM pg_partitioned_table p
    JOIN pg_class c ON c.oid = p.partrelid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
    WHERE c.relnamespace = 'public'::regnamespace AND p.partstrat = 'r' AND p.partnatts = 1
      AND a.attname = 'created_at'
    ORDER BY 1
$$;
GRANT EXECUTE ON FUNCTION growing_tables() TO celaest_app;

-- Creates what is missing of the monthly partitions of one table, from the current
-- month to months_ahead later, moving rows out of the default partition where needed,
-- and returns how many it created. Safe to repeat and to run twice at once. One table a
-- transaction: the default partition is locked until its end, and so is nobody else's.
CREATE FUNCTION ensure_partitions_of(parent text, months_ahead integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
    access     text := current_setting('celaest.access', true);
    this_month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    partition  text;
    columns    text;
    lower_end  timestamptz;
    upper_end  timestamptz;
    created    integer := 0;
BEGIN
    IF months_ahead IS NULL OR months_ahead NOT BETWEEN 0 AND 120 THEN
        RAISE EXCEPTION 'months_ahead must be between 0 and 120'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF parent IS NULL OR parent NOT IN (SELECT growing_tables()) THEN
        RAISE EXCEPTION '% is not partitioned by month', parent
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('celaest.access', 'system', true);

    -- Conflicts with itself and not with inserts: a second caller waits here, then
    -- finds everything done.
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

    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    RETURN created;
END
$$;
GRANT EXECUTE ON FUNCTION ensure_partitions_of(text, integer) TO celaest_app;

-- The same for all of them.
CREATE OR REPLACE FUNCTION ensure_partitions(months_ahead integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    parent  text;
    created integer := 0;
BEGIN
    FOR parent IN SELECT growing_tables() LOOP
        created := created + ensure_partitions_of(parent, months_ahead);
    END LOOP;
    RETURN created;
END
$$;

-- ------------------------------------------------------------------- clean-up

-- Removes of a growing table what is older than so many days: months wholly past go at
-- once, the rest in steps of at most batch rows. Returns how many rows the step
-- deleted, so that the caller knows whether to come again. A month that is in use is
-- left to the steps. Never of the audit log, which is evidence. SECURITY DEFINER: the
-- run-time role may neither drop nor delete here.
CREATE FUNCTION prune_growing(parent text, days integer, batch integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
    access    text := current_setting('celaest.access', true);
    border    timestamptz;
    partition text;
    deleted   bigint;
BEGIN
    IF days IS NULL OR days NOT BETWEEN 1 AND 36500 OR batch IS NULL OR batch NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'days must be between 1 and 36500, batch between 1 and 1000000'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF parent IS NULL OR parent = 'audit_logs' OR parent NOT IN (SELECT growing_tables()) THEN
        RAISE EXCEPTION '% is not a table that is cleaned up', parent
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    border := now() - make_interval(days => days);
    PERFORM set_config('celaest.access', 'system', true);

    FOR partition IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = format('public.%I', parent)::regclass
          AND c.relname ~ ('^' || parent || '_y\d{4}m\d{2}$')
          AND (to_date(substring(c.relname FROM '\d{4}m\d{2}$'), 'YYYY"m"MM')::timestamp + interval '1 month')
              AT TIME ZONE 'UTC' <= border
        ORDER BY 1
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE public.%I', partition);
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
    END LOOP;

    EXECUTE format('DELETE FROM public.%1$I e USING (
        SELECT tableoid, ctid FROM public.%1$I WHERE created_at < $1 LIMIT $2
    ) AS old WHERE e.tableoid = old.tableoid AND e.ctid = old.ctid', parent) USING border, batch;
    GET DIAGNOSTICS deleted = ROW_COUNT;

    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    RETURN deleted;
END
$$;
GRANT EXECUTE ON FUNCTION prune_growing(text, integer, integer) TO celaest_app;
DROP FUNCTION prune_telemetry(integer, integer);

-- Sign-ins that nobody ended and nobody uses any more, and old notes about the system, go.
-- One that was ended stays: it is what refuses its tokens.
GRANT DELETE ON user_sessions, system_events TO celaest_app;
CREATE INDEX idx_user_sessions_unused ON user_sessions (last_seen_at) WHERE ended_at IS NULL;

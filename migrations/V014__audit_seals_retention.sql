-- Seals that can name what was tampered with, a log that can be searched, and
-- telemetry that goes when its time is over.

-- ---------------------------------------------------------------- audit_seals

-- Every row that was sealed, as lines of sequence:hash. With it a broken seal says
-- which row was changed, removed or added. Nothing wrote seals before.
ALTER TABLE audit_seals ADD COLUMN row_hashes text NOT NULL;
-- Verifying walks the chain in this order.
ALTER TABLE audit_seals ADD CONSTRAINT audit_seals_end_key
    UNIQUE NULLS NOT DISTINCT (organization_id, last_sequence);

-- Up to which sequence number no row can still appear. Transactions commit in
-- another order than they number their rows, so a row may become visible below
-- rows that have long been seen. Whoever inserts holds ROW EXCLUSIVE on the table
-- from before it draws a number until it ends: when everybody who holds it now has
-- ended, everything up to the number read before is there or never will be.
-- Nobody is made to wait for this, unlike with a lock of our own. Refuses when
-- somebody takes longer than a second; then the next run seals.
-- SECURITY DEFINER: the run-time role may draw numbers, but not read the last one.
CREATE FUNCTION audit_horizon() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    horizon bigint;
    writers text[];
    ended   boolean;
BEGIN
    SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO horizon
    FROM public.audit_logs_sequence_seq;
    SELECT array_agg(virtualtransaction) INTO writers FROM pg_locks
    WHERE relation = 'public.audit_logs'::regclass AND mode = 'RowExclusiveLock' AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
    FOR attempt IN 1..100 LOOP
        -- A virtual transaction names one transaction for good, not a session.
        SELECT NOT EXISTS (
            SELECT FROM pg_locks
            WHERE relation = 'public.audit_logs'::regclass AND mode = 'RowExclusiveLock'
              AND virtualtransaction = ANY (writers)
        ) INTO ended;
        IF ended THEN
            RETURN horizon;
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RAISE EXCEPTION 'a transaction has been writing to the audit log for too long'
        USING ERRCODE = 'lock_not_available';
END
$$;
GRANT EXECUTE ON FUNCTION audit_horizon() TO celaest_app;

-- ----------------------------------------------------------------- audit_logs

-- What changed, as the API shows it: {"field": [before, after]}.
CREATE FUNCTION audit_changes(changes jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN jsonb_typeof(changes->'before') = 'object' OR jsonb_typeof(changes->'after') = 'object' THEN (
            SELECT coalesce(jsonb_object_agg(key, jsonb_build_array(changes->'before'->key, changes->'after'->key)), '{}')
            FROM jsonb_object_keys(
                CASE WHEN jsonb_typeof(changes->'before') = 'object' THEN changes->'before' ELSE '{}' END
                || CASE WHEN jsonb_typeof(changes->'after') = 'object' THEN changes->'after' ELSE '{}' END) AS key)
        WHEN jsonb_typeof(changes) = 'object' THEN (
            SELECT coalesce(jsonb_object_agg(key, jsonb_build_array(NULL, value)), '{}') FROM jsonb_each(changes) AS field)
        ELSE '{}'
    END;
GRANT EXECUTE ON FUNCTION audit_changes(jsonb) TO celaest_app;

-- An export of all tenants goes by the sequence alone.
CREATE INDEX idx_audit_sequence_all ON audit_logs (sequence);
CREATE INDEX idx_audit_event ON audit_logs (organization_id, event, created_at DESC);
CREATE INDEX idx_audit_api_key ON audit_logs (api_key_id, created_at DESC) WHERE api_key_id IS NOT NULL;

-- ----------------------------------------------------------- telemetry_events

CREATE INDEX idx_telemetry_name ON telemetry_events (organization_id, event_type, event_name, created_at);

-- Removes what is older than so many days: months wholly past go at once, the
-- rest in steps of at most batch rows. Returns how many rows the step deleted, so
-- that the caller knows whether to come again. A month that is in use is left to
-- the steps. SECURITY DEFINER: the run-time role may neither drop nor delete here.
CREATE FUNCTION prune_telemetry(days integer, batch integer) RETURNS bigint
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
    border := now() - make_interval(days => days);
    PERFORM set_config('celaest.access', 'system', true);

    FOR partition IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'public.telemetry_events'::regclass
          AND c.relname ~ '^telemetry_events_y\d{4}m\d{2}$'
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

    DELETE FROM public.telemetry_events e USING (
        SELECT tableoid, ctid FROM public.telemetry_events WHERE created_at < border
        LIMIT batch
    ) AS old WHERE e.tableoid = old.tableoid AND e.ctid = old.ctid;
    GET DIAGNOSTICS deleted = ROW_COUNT;

    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    RETURN deleted;
END
$$;
GRANT EXECUTE ON FUNCTION prune_telemetry(integer, integer) TO celaest_app;

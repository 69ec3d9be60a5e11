-- What was thrown away is gone, whatever the setting says later: sums of before it are never written anew from what is
-- left, however long rows are kept from then on.

SET LOCAL celaest.access = 'system';

-- Rows of before this moment, a whole hour, may be gone. It never goes back.
ALTER TABLE retentions ADD COLUMN gone_before timestamptz NOT NULL DEFAULT '-infinity';
-- The job of every night has thrown away until today what the settings of today say.
UPDATE retentions r SET gone_before = date_trunc('hour', now() - make_interval(days => coalesce(
    (SELECT (c.value #>> '{}')::int FROM system_config c WHERE c.key = r.setting AND c.value #>> '{}' ~ '^[1-9][0-9]{0,3}$'),
    r.days)) + interval '1 hour', 'UTC')
WHERE r.table_name IN (SELECT growing_tables());

-- As in V071.
CREATE OR REPLACE FUNCTION analytics_floor(kind text) RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT coalesce(max(greatest(r.gone_before, now() - 0.9 * coalesce((SELECT (c.value #>> '{}')::int FROM system_config c
            WHERE c.key = r.setting AND c.value #>> '{}' ~ '^[1-9][0-9]{0,3}$'), r.days) * interval '1 day')), '-infinity')
    FROM retentions r
    WHERE r.table_name = ANY (CASE $1 WHEN 'ai' THEN ARRAY['processed_tasks'] WHEN 'validations' THEN ARRAY['license_validations']
        WHEN 'people' THEN ARRAY['processed_tasks', 'telemetry_events'] ELSE '{}' END)
$$;

-- As in V035, and notes first what will be gone.
CREATE OR REPLACE FUNCTION prune_growing(parent text, days integer, batch integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
    access    text := current_setting('celaest.access', true);
    border    timestamptz;
    partition text;
    deleted   bigint := 0;
    step      bigint;
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

    UPDATE public.retentions r SET gone_before = n.whole
    FROM (SELECT date_trunc('hour', border + interval '1 hour', 'UTC') AS whole) AS n
    WHERE r.table_name = parent AND r.gone_before < n.whole;

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

    -- By their places, so that no step reads a whole partition.
    FOR partition IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = format('public.%I', parent)::regclass ORDER BY 1
    LOOP
        EXECUTE format('DELETE FROM public.%1$I WHERE ctid = ANY (ARRAY('
            'SELECT ctid FROM public.%1$I WHERE created_at < $1 LIMIT $2))', partition)
            USING border, batch - deleted;
        GET DIAGNOSTICS step = ROW_COUNT;
        deleted := deleted + step;
        EXIT WHEN deleted >= batch;
    END LOOP;

    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    RETURN deleted;
END
$$;

-- Rollups over years: quarters of an hour that lie beside each other are read together, nothing reads a whole rollup to
-- find a few of its rows, and quarters are kept for a time only; hours and days for ever.

SET LOCAL celaest.access = 'system';

-- ------------------------------------------------------------------------ zones

-- Whether a zone is written as PostgreSQL has it. One that it does not have is an invalid parameter, as in any use of it.
CREATE FUNCTION is_zone_as_written(name text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
BEGIN
    IF set_config('timezone', name, true) IS DISTINCT FROM name THEN
        RAISE EXCEPTION 'the time zone % is written otherwise', name USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION is_zone_as_written(text) TO celaest_app;

-- -------------------------------------------------------------------- latencies

-- As before; a single time is its own sum.
CREATE OR REPLACE FUNCTION latency_sum(histogram bigint[]) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN cardinality($1) = 1 THEN $1 ELSE
        ARRAY(SELECT (sum(n >> 9) * 512)::bigint + (n & 511) FROM unnest($1) AS t (n)
              GROUP BY n & 511 HAVING sum(n >> 9) <> 0 ORDER BY n & 511) END
$$;

-- ---------------------------------------------------------------------- horizon

-- From when on there are quarters of an hour. Before it an hour is the least there is: a change of a fact has its whole
-- hour added up anew, and a time that does not begin on the hour has no answer.
CREATE TABLE rollup_horizon (
    is_only boolean     PRIMARY KEY DEFAULT true,
    since   timestamptz NOT NULL,
    CONSTRAINT rollup_horizon_only_check CHECK (is_only)
);
INSERT INTO rollup_horizon (since) VALUES ('-infinity');
ALTER TABLE rollup_horizon ENABLE ROW LEVEL SECURITY;
ALTER TABLE rollup_horizon FORCE ROW LEVEL SECURITY;
CREATE POLICY everybody ON rollup_horizon USING (true);
GRANT SELECT ON rollup_horizon TO celaest_app;

CREATE FUNCTION rollup_horizon() RETURNS timestamptz
    LANGUAGE sql STABLE AS $$ SELECT since FROM rollup_horizon $$;

-- True if a time lies where there are quarters; or else it has no answer.
CREATE FUNCTION analytics_has_quarters(at timestamptz) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF at < rollup_horizon() THEN
        RAISE EXCEPTION 'there are no quarters of an hour before %', rollup_horizon() USING ERRCODE = 'CA001';
    END IF;
    RETURN true;
END
$$;

-- What a mark of a quarter is of: the quarter, or its hour where there are no quarters.
CREATE FUNCTION analytics_marked(quarter timestamptz, horizon timestamptz)
    RETURNS TABLE (span integer, at timestamptz) LANGUAGE sql IMMUTABLE ROWS 1 AS $$
    SELECT CASE WHEN $1 < $2 THEN 60 ELSE 15 END,
        date_bin(CASE WHEN $1 < $2 THEN interval '1 hour' ELSE interval '15 minutes' END, $1, '2000-01-01 00:00:00+00')
$$;

CREATE OR REPLACE FUNCTION analytics_spans(since timestamptz, until timestamptz)
    RETURNS TABLE (span integer, lower_end timestamptz, upper_end timestamptz)
    LANGUAGE sql STABLE ROWS 3 AS $$
    SELECT v.span, v.lower_end, v.upper_end
    FROM (SELECT analytics_quarter($1) AS q0, analytics_quarter($2) AS q1) AS q
    CROSS JOIN LATERAL (
        SELECT date_bin('1 hour', q0 + interval '45 minutes', '2000-01-01 00:00:00+00') AS h0,
            date_bin('1 hour', q1, '2000-01-01 00:00:00+00') AS h1,
            date_bin('1 day', q0 + interval '23 hours 45 minutes', '2000-01-01 00:00:00+00') AS d0,
            date_bin('1 day', q1, '2000-01-01 00:00:00+00') AS d1) AS whole
    CROSS JOIN LATERAL (
        SELECT CASE WHEN h0 < h1 THEN h0 ELSE q1 END AS a0, CASE WHEN h0 < h1 THEN h1 ELSE q1 END AS a1) AS hours
    CROSS JOIN LATERAL (
        SELECT CASE WHEN d0 < d1 THEN d0 ELSE a1 END AS b0, CASE WHEN d0 < d1 THEN d1 ELSE a1 END AS b1) AS days
    CROSS JOIN LATERAL (VALUES (1440, b0, b1), (60, a0, b0), (60, b1, a1), (15, q0, a0), (15, a1, q1))
        AS v (span, lower_end, upper_end)
    WHERE v.lower_end < v.upper_end AND CASE WHEN v.span = 15 THEN analytics_has_quarters(v.lower_end) ELSE true END
$$;

-- ----------------------------------------------------------------------- reading

-- As in V070, but for what has marks: it is read as it is in pieces of two hours, and of the breakdown that is asked for.
DO $$
DECLARE
    kind  text;
    c     record;
    shape text;
    marks text;
BEGIN
    FOR kind IN SELECT k.kind FROM analytics_kinds() AS k LOOP
        SELECT * INTO c FROM analytics_columns(kind);
        EXECUTE format($body$
            CREATE FUNCTION analytics_%1$s_open(organization uuid, wanted text, since timestamptz, until timestamptz, quarters timestamptz[])
                RETURNS SETOF rollup_%1$s
                LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $f$
            DECLARE
                access text := current_setting('celaest.access', true);
                owner  uuid := app_owner_id();
            BEGIN
                -- Who has not said who it is neither sees nor does not see.
                IF app_sees(organization) IS NOT TRUE THEN
                    RETURN;
                END IF;
                PERFORM set_config('celaest.access', 'system', true);
                RETURN QUERY SELECT f.* FROM analytics_%1$s_facts(organization, since, until) AS f
                    WHERE f.breakdown = wanted AND f.at = ANY (quarters) AND (owner IS NULL%2$s);
                PERFORM set_config('celaest.access', coalesce(access, ''), true);
            END
            $f$ $body$,
            kind, CASE WHEN 'user_id' = ANY (c.dimensions) THEN ' OR f.user_id = owner' ELSE '' END);

        SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) INTO shape
        FROM pg_attribute
        WHERE attrelid = format('rollup_%s', kind)::regclass AND attnum > 4 AND NOT attisdropped;
        marks := format($sql$(SELECT DISTINCT m.organization_id, g.span, g.at FROM analytics_marks m
            CROSS JOIN LATERAL analytics_marked(m.quarter, (SELECT h.since FROM rollup_horizon h)) AS g
            WHERE m.kind = '%s' AND ($1 IS NULL OR m.organization_id = $1)
              AND m.quarter >= analytics_quarter($3) AND m.quarter < analytics_quarter($4))$sql$, kind);
        EXECUTE format($body$
            CREATE OR REPLACE FUNCTION analytics_%1$s(organization uuid, breakdown text, since timestamptz, until timestamptz)
                RETURNS TABLE (organization_id uuid, at timestamptz, %2$s)
                LANGUAGE sql STABLE AS $f$
                SELECT t.organization_id, t.at, %3$s
                FROM analytics_spans($3, $4) AS s
                -- OFFSET: one range after the other by the index, and never each row against each range.
                CROSS JOIN LATERAL (
                    SELECT r.* FROM rollup_%1$s r
                    WHERE r.breakdown = $2 AND ($1 IS NULL OR r.organization_id = $1)
                      AND r.span = s.span AND r.at >= s.lower_end AND r.at < s.upper_end
                    OFFSET 0) AS t
                UNION ALL
                SELECT t.organization_id, t.at, %4$s
                FROM %5$s AS m
                JOIN rollup_%1$s t ON t.organization_id = m.organization_id AND t.breakdown = $2 AND t.span = m.span AND t.at = m.at
                UNION ALL
                SELECT t.organization_id, t.at, %3$s
                FROM (SELECT m.organization_id, min(q.at) AS since, max(q.at) AS last, array_agg(q.at) AS quarters
                      FROM %5$s AS m
                      CROSS JOIN LATERAL generate_series(m.at, m.at + make_interval(mins => m.span - 15), interval '15 minutes') AS q (at)
                      GROUP BY m.organization_id, date_bin('2 hours', m.at, '2000-01-01 00:00:00+00')) AS m
                CROSS JOIN LATERAL analytics_%1$s_open(m.organization_id, $2, m.since, m.last + interval '15 minutes', m.quarters) AS t
            $f$ $body$,
            kind, shape,
            (SELECT string_agg('t.' || name, ', ' ORDER BY n) FROM unnest(c.dimensions || c.measures) WITH ORDINALITY AS u (name, n)),
            (SELECT string_agg(name, ', ' ORDER BY n) FROM unnest(
                (SELECT array_agg('t.' || name ORDER BY n) FROM unnest(c.dimensions) WITH ORDINALITY AS d (name, n)) || c.negated)
                WITH ORDINALITY AS u (name, n)),
            marks);
        EXECUTE format('DROP FUNCTION analytics_%s_quarter(uuid, timestamptz)', kind);
        EXECUTE format('GRANT EXECUTE ON FUNCTION analytics_%s_open(uuid, text, timestamptz, timestamptz, timestamptz[]) TO celaest_app', kind);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION rollup_horizon(), analytics_has_quarters(timestamptz), analytics_marked(timestamptz, timestamptz)
    TO celaest_app;

-- ----------------------------------------------------------------------- adding up

-- As in V071; quarters of two hours are read together, and what is written anew is found by its index: by its places,
-- since a join of a thousand quarters reads the whole rollup. Before the horizon hours are made of the facts themselves.
CREATE OR REPLACE FUNCTION analytics_write(kind text, breakdowns text[], organizations uuid[], quarters timestamptz[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    c       record;
    names   text;
    sums    text;
    horizon timestamptz := rollup_horizon();
    -- The quarters at the same places of $2 and $3 as what of span $4 holds them.
    cells   text := 'SELECT DISTINCT organization, date_bin(make_interval(mins => $4), at, ''2000-01-01 00:00:00+00'') AS at
        FROM unnest($2, $3) AS q (organization, at)';
    gone    text := 'DELETE FROM public.rollup_%1$s WHERE ctid = ANY (ARRAY(
        SELECT t.ctid FROM (%2$s) AS q CROSS JOIN LATERAL (
            SELECT t.ctid FROM public.rollup_%1$s t
            WHERE t.organization_id = q.organization AND t.breakdown = ANY ($1) AND t.span = $4 AND t.at = q.at OFFSET 0) AS t))';
    pieces  text := 'SELECT organization, min(at) AS since, max(at) AS last, array_agg(at) AS places FROM (%s) AS q
        GROUP BY organization, date_bin(''2 hours'', at, ''2000-01-01 00:00:00+00'')';
    -- One after the other, each by the index: nothing else is as good for one quarter and for ten thousand.
    summed  text := 'INSERT INTO public.rollup_%1$s SELECT q.organization, s.* FROM (%4$s) AS q CROSS JOIN LATERAL (
        SELECT t.breakdown, $4, q.at, %2$s, %3$s FROM public.rollup_%1$s t
        WHERE t.organization_id = q.organization AND t.breakdown = ANY ($1) AND t.span = $5
          AND t.at >= q.at AND t.at < q.at + make_interval(mins => $4)
        GROUP BY t.breakdown, %2$s) AS s';
BEGIN
    SELECT * INTO c FROM analytics_columns(kind);
    SELECT string_agg('t.' || name, ', ' ORDER BY n) INTO names FROM unnest(c.dimensions) WITH ORDINALITY AS d (name, n);
    sums := array_to_string(c.sums, ', ');
    EXECUTE format(gone, kind, cells || ' WHERE at >= $5') USING breakdowns, organizations, quarters, 15, horizon;
    EXECUTE format('INSERT INTO public.rollup_%1$s SELECT f.* FROM (%2$s) AS q
        CROSS JOIN LATERAL analytics_%1$s_facts(q.organization, q.since, q.last + interval ''15 minutes'') AS f
        WHERE f.at = ANY (q.places)', kind, format(pieces, cells || ' WHERE at >= $5'))
        USING breakdowns, organizations, quarters, 15, horizon;
    EXECUTE format(gone, kind, cells) USING breakdowns, organizations, quarters, 60;
    EXECUTE format(summed, kind, names, sums, cells || ' WHERE at >= $6') USING breakdowns, organizations, quarters, 60, 15, horizon;
    EXECUTE format('INSERT INTO public.rollup_%1$s
        SELECT t.organization_id, t.breakdown, $4, date_bin(''1 hour'', t.at, ''2000-01-01 00:00:00+00''), %2$s, %3$s FROM (%4$s) AS q
        CROSS JOIN LATERAL analytics_%1$s_facts(q.organization, q.since, q.last + interval ''1 hour'') AS t
        WHERE date_bin(''1 hour'', t.at, ''2000-01-01 00:00:00+00'') = ANY (q.places)
        GROUP BY 1, 2, 4, %2$s', kind, names, sums, format(pieces, cells || ' WHERE at < $5'))
        USING breakdowns, organizations, quarters, 60, horizon;
    EXECUTE format(gone, kind, cells) USING breakdowns, organizations, quarters, 1440;
    EXECUTE format(summed, kind, names, sums, cells) USING breakdowns, organizations, quarters, 1440, 60;
END
$$;

-- As in V071; each organization's facts are found by its index, and what was added up by that of one breakdown.
CREATE OR REPLACE FUNCTION analytics_backfill(since timestamptz, until timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was text := app_switch('system');
    marked bigint := 0;
    more   bigint;
    source record;
BEGIN
    IF since IS NULL OR until IS NULL OR since > until THEN
        RAISE EXCEPTION 'since must not be after until' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR source IN
        SELECT k.kind, format('SELECT organization_id, at FROM rollup_%1$s WHERE breakdown = %2$L AND span = 15 AND at >= $1 AND at < $2
                UNION SELECT organization_id, at FROM rollup_%1$s WHERE breakdown = %2$L AND span = 60 AND at >= $1 AND at < $2
                  AND at < rollup_horizon()', k.kind, k.breakdowns[1])
            || string_agg(format(' UNION SELECT f.%1$s, analytics_quarter(f.%2$s) FROM organizations o JOIN %3$s f ON f.%1$s = o.id
                  WHERE f.%2$s >= $1 AND f.%2$s < $2',
                   f.organization, f.at, f.relation), '' ORDER BY f.relation) AS query
        FROM analytics_kinds() k JOIN (VALUES
            ('sales', 'orders', 'seller_id', 'completed_at'),
            ('sales', 'refunds', 'seller_id', 'succeeded_at'),
            ('sales', 'invoices', 'seller_id', 'issued_at'),
            ('subscriptions', 'subscription_movements', 'organization_id', 'created_at'),
            ('ai', 'processed_tasks', 'organization_id', 'completed_at'),
            ('validations', 'license_validations', 'organization_id', 'created_at'),
            ('collisions', 'license_collisions', 'organization_id', 'detected_at'),
            ('people', 'audit_logs', 'organization_id', 'created_at'),
            ('people', 'processed_tasks', 'organization_id', 'created_at'),
            ('people', 'telemetry_events', 'organization_id', 'created_at')) AS f (kind, relation, organization, at) USING (kind)
        GROUP BY k.kind, k.breakdowns
    LOOP
        EXECUTE format('INSERT INTO analytics_marks (kind, organization_id, quarter)
            SELECT $3, f.organization_id, f.at FROM (%s) AS f WHERE f.at >= analytics_floor($3)
            ORDER BY f.organization_id, f.at', source.query)
            USING since, until, source.kind;
        GET DIAGNOSTICS more = ROW_COUNT;
        marked := marked + more;
    END LOOP;
    PERFORM app_switch(was);
    RETURN marked;
END
$$;

-- --------------------------------------------------------------------- retention

-- What is measured of AI begins up to a month earlier than what changed: of before there are quarters it stays.
CREATE OR REPLACE FUNCTION roi_note() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was text := app_switch('system');
    first timestamptz := rollup_horizon() + interval '32 days';
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO roi_due (organization_id, quarter)
        SELECT DISTINCT n.organization_id, n.at FROM new_rows n WHERE n.span = 15 AND n.at >= first;
    ELSE
        INSERT INTO roi_due (organization_id, quarter)
        SELECT DISTINCT o.organization_id, o.at FROM old_rows o WHERE o.span = 15 AND o.at >= first;
    END IF;
    PERFORM app_switch(was);
    RETURN NULL;
END
$$;

-- Takes away quarters of before so many whole months as system_config has under analytics.quarters_kept_months, batch
-- rows of a kind at most; returns how many rows went. From the first step on nobody reads them.
CREATE FUNCTION analytics_prune(batch integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was text := app_switch('system');
    kept    integer := coalesce((SELECT (c.value #>> '{}')::int FROM system_config c
        WHERE c.key = 'analytics.quarters_kept_months' AND c.value #>> '{}' ~ '^[1-9][0-9]{0,2}$'), 25);
    horizon timestamptz;
    gone    bigint := 0;
    more    bigint;
    k       record;
BEGIN
    IF batch IS NULL OR batch NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'batch must be between 1 and 1000000' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Somebody is adding up: the next run does this.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('analytics_aggregate', 0)) THEN
        PERFORM app_switch(was);
        RETURN 0;
    END IF;
    -- It never goes back: what is gone is gone.
    UPDATE rollup_horizon h SET since = n.since
    FROM (SELECT date_trunc('month', now(), 'UTC') - make_interval(months => kept) AS since) AS n WHERE h.since < n.since;
    horizon := rollup_horizon();
    DELETE FROM roi_due d WHERE d.quarter < horizon + interval '32 days';
    FOR k IN SELECT * FROM analytics_kinds() LOOP
        EXECUTE format('DELETE FROM rollup_%1$s WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM rollup_%1$s WHERE breakdown = ANY ($1) AND span = 15 AND at < $2 LIMIT $3))', k.kind)
            USING k.breakdowns, horizon, batch;
        GET DIAGNOSTICS more = ROW_COUNT;
        gone := gone + more;
    END LOOP;
    PERFORM app_switch(was);
    RETURN gone;
END
$$;
GRANT EXECUTE ON FUNCTION analytics_prune(integer) TO celaest_app;

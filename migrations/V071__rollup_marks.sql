-- What marks a quarter when its facts change, and what writes marked quarters anew.

SET LOCAL celaest.access = 'system';

-- ------------------------------------------------------------------------ bounds

-- What is older may be gone in part, or soon: what was added up of it stays as it is. Nothing for what is kept for
-- ever.
CREATE FUNCTION analytics_floor(kind text) RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT coalesce(now() - min(0.9 * coalesce((SELECT (c.value #>> '{}')::int FROM system_config c
            WHERE c.key = r.setting AND c.value #>> '{}' ~ '^[1-9][0-9]{0,3}$'), r.days) * interval '1 day'), '-infinity')
    FROM retentions r
    WHERE r.table_name = ANY (CASE $1 WHEN 'ai' THEN ARRAY['processed_tasks'] WHEN 'validations' THEN ARRAY['license_validations']
        WHEN 'people' THEN ARRAY['processed_tasks', 'telemetry_events'] ELSE '{}' END)
$$;

-- ------------------------------------------------------------------------- marks

-- Marks the quarters of some times of organizations. For triggers, which run as the owner and as the system: a buyer
-- changes the seller's figures.
CREATE FUNCTION analytics_mark(kinds text[], organizations uuid[], times timestamptz[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    INSERT INTO analytics_marks (kind, organization_id, quarter)
    SELECT m.kind, m.organization, m.quarter FROM (
        SELECT DISTINCT t.kind, t.organization, analytics_quarter(t.at) AS quarter
        FROM unnest($1, $2, $3) AS t (kind, organization, at)
        WHERE t.organization IS NOT NULL AND t.at IS NOT NULL) AS m
    -- What is marked is nearly always of today.
    WHERE CASE WHEN m.quarter > now() - interval '12 hours' THEN true ELSE m.quarter >= analytics_floor(m.kind) END
    -- In this order they are taken: what is beside each other shares hours and days.
    ORDER BY m.kind, m.organization, m.quarter
$$;

-- Marks all that orders are in: their payment, what was paid back of them, and what of that failed.
CREATE FUNCTION analytics_mark_orders(orders uuid[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT analytics_mark(array_agg('sales'::text), array_agg(e.seller_id), array_agg(e.at)) FROM (
        SELECT o.seller_id, o.completed_at AS at FROM orders o WHERE o.id = ANY ($1)
        UNION ALL
        SELECT o.seller_id, r.succeeded_at FROM refunds r JOIN orders o ON o.id = r.order_id WHERE r.order_id = ANY ($1)
        UNION ALL
        SELECT o.seller_id, v.issued_at FROM invoices v JOIN orders o ON o.id = v.order_id
        WHERE v.order_id = ANY ($1) AND v.kind = 'invoice' AND v.corrects_id IS NOT NULL
    ) AS e
$$;

-- One function for each table of facts; after an update it looks at what the rows were as well. A row that goes
-- marks nothing: it goes because its time is over, and what was added up of it stays.

CREATE FUNCTION analytics_orders_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was text := app_switch('system');
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM analytics_mark(array_agg('sales'::text), array_agg(n.seller_id), array_agg(n.completed_at))
        FROM new_rows n WHERE n.completed_at IS NOT NULL;
    ELSE
        PERFORM analytics_mark(array_agg('sales'::text), array_agg(c.seller_id), array_agg(c.completed_at)),
            analytics_mark_orders(array_agg(c.id))
        FROM (
            SELECT o.id, o.seller_id, o.completed_at FROM old_rows o JOIN new_rows n USING (id)
            WHERE (o.completed_at IS NOT NULL OR n.completed_at IS NOT NULL)
              AND (o.seller_id, o.completed_at, o.currency, o.coupon_id, o.subtotal, o.discount_total, o.tax_total, o.total)
                IS DISTINCT FROM
                (n.seller_id, n.completed_at, n.currency, n.coupon_id, n.subtotal, n.discount_total, n.tax_total, n.total)
        ) AS c
        HAVING count(*) > 0;
    END IF;
    PERFORM app_switch(was);
    RETURN NULL;
END
$$;

CREATE FUNCTION analytics_order_items_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was text := app_switch('system');
BEGIN
    -- An order is paid after it was written; then its own change marks it.
    PERFORM analytics_mark_orders(array_agg(DISTINCT o.id))
    FROM new_rows n JOIN orders o ON o.id = n.order_id WHERE o.completed_at IS NOT NULL HAVING count(*) > 0;
    PERFORM app_switch(was);
    RETURN NULL;
END
$$;

CREATE FUNCTION analytics_refunds_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was text := app_switch('system');
BEGIN
    IF TG_OP = 'UPDATE' THEN
        PERFORM analytics_mark(array_agg('sales'::text), array_agg(o.seller_id), array_agg(o.succeeded_at))
        FROM old_rows o WHERE o.succeeded_at IS NOT NULL;
    END IF;
    PERFORM analytics_mark_orders(array_agg(DISTINCT n.order_id)) FROM new_rows n WHERE n.succeeded_at IS NOT NULL HAVING count(*) > 0;
    PERFORM app_switch(was);
    RETURN NULL;
END
$$;

CREATE FUNCTION analytics_invoices_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was text := app_switch('system');
BEGIN
    PERFORM analytics_mark_orders(array_agg(DISTINCT n.order_id)) FROM new_rows n WHERE n.corrects_id IS NOT NULL HAVING count(*) > 0;
    PERFORM app_switch(was);
    RETURN NULL;
END
$$;

CREATE FUNCTION analytics_tasks_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was text := app_switch('system');
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM analytics_mark(array_agg(m.kind), array_agg(n.organization_id), array_agg(m.at))
        FROM new_rows n CROSS JOIN LATERAL (VALUES ('people', n.created_at), ('ai', n.completed_at)) AS m (kind, at);
    ELSE
        PERFORM analytics_mark(array_agg('ai'::text), array_agg(m.organization_id), array_agg(m.at))
        FROM old_rows o JOIN new_rows n USING (id, created_at)
        CROSS JOIN LATERAL (VALUES (o.organization_id, o.completed_at), (n.organization_id, n.completed_at)) AS m (organization_id, at)
        WHERE (o.completed_at IS NOT NULL OR n.completed_at IS NOT NULL)
          AND (o.organization_id, o.completed_at, o.status, o.model_id, o.prompt_id, o.api_key_id, o.license_id, o.user_id,
                o.tokens_input, o.tokens_output, o.cost_usd, o.execution_time_ms)
            IS DISTINCT FROM
            (n.organization_id, n.completed_at, n.status, n.model_id, n.prompt_id, n.api_key_id, n.license_id, n.user_id,
                n.tokens_input, n.tokens_output, n.cost_usd, n.execution_time_ms);
    END IF;
    PERFORM app_switch(was);
    RETURN NULL;
END
$$;

-- For tables that are only added to: the kind that its rows are facts of, and the column with their time.
CREATE FUNCTION analytics_rows_added() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was text := app_switch('system');
BEGIN
    IF TG_ARGV[0] = 'people' THEN
        PERFORM analytics_mark(array_agg(TG_ARGV[0]), array_agg(n.organization_id), array_agg(n.at))
        FROM (SELECT DISTINCT n.organization_id, analytics_quarter(n.created_at) AS at
              FROM new_rows n WHERE n.user_id IS NOT NULL AND n.organization_id IS NOT NULL) AS n;
    ELSIF TG_ARGV[0] = 'collisions' THEN
        PERFORM analytics_mark(array_agg(TG_ARGV[0]), array_agg(n.organization_id), array_agg(n.detected_at)) FROM new_rows n;
    ELSE
        PERFORM analytics_mark(array_agg(TG_ARGV[0]), array_agg(n.organization_id), array_agg(n.at))
        FROM (SELECT DISTINCT n.organization_id, analytics_quarter(n.created_at) AS at FROM new_rows n) AS n;
    END IF;
    PERFORM app_switch(was);
    RETURN NULL;
END
$$;

CREATE TRIGGER mark_new AFTER INSERT ON orders REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_orders_changed();
CREATE TRIGGER mark_changed AFTER UPDATE ON orders REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_orders_changed();
CREATE TRIGGER mark_new AFTER INSERT ON order_items REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_order_items_changed();
CREATE TRIGGER mark_changed AFTER UPDATE ON order_items REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_order_items_changed();
CREATE TRIGGER mark_new AFTER INSERT ON refunds REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_refunds_changed();
CREATE TRIGGER mark_changed AFTER UPDATE ON refunds REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_refunds_changed();
CREATE TRIGGER mark_new AFTER INSERT ON invoices REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_invoices_changed();
CREATE TRIGGER mark_new AFTER INSERT ON processed_tasks REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_tasks_changed();
CREATE TRIGGER mark_changed AFTER UPDATE ON processed_tasks REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_tasks_changed();
CREATE TRIGGER mark_new AFTER INSERT ON subscription_movements REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_rows_added('subscriptions');
CREATE TRIGGER mark_new AFTER INSERT ON license_validations REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_rows_added('validations');
CREATE TRIGGER mark_new AFTER INSERT ON license_collisions REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_rows_added('collisions');
CREATE TRIGGER mark_new AFTER INSERT ON audit_logs REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_rows_added('people');
CREATE TRIGGER mark_new AFTER INSERT ON telemetry_events REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_rows_added('people');

-- ----------------------------------------------------------------------- adding up

-- Writes the quarters at the same places of two arrays anew from their facts, and their hours and days from them.
CREATE FUNCTION analytics_write(kind text, breakdowns text[], organizations uuid[], quarters timestamptz[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    c     record;
    names text;
    span  integer;
    below integer := 15;
BEGIN
    SELECT * INTO c FROM analytics_columns(kind);
    SELECT string_agg('t.' || name, ', ' ORDER BY n) INTO names FROM unnest(c.dimensions) WITH ORDINALITY AS d (name, n);
    EXECUTE format('DELETE FROM public.rollup_%1$s t USING unnest($2, $3) AS q (organization, at)
        WHERE t.organization_id = q.organization AND t.breakdown = ANY ($1) AND t.span = 15 AND t.at = q.at', kind)
        USING breakdowns, organizations, quarters;
    EXECUTE format('INSERT INTO public.rollup_%1$s SELECT f.* FROM unnest($1, $2) AS q (organization, at)
        CROSS JOIN LATERAL analytics_%1$s_facts(q.organization, q.at, q.at + interval ''15 minutes'') AS f', kind)
        USING organizations, quarters;
    FOREACH span IN ARRAY ARRAY[60, 1440] LOOP
        EXECUTE format('DELETE FROM public.rollup_%1$s t USING (
              SELECT DISTINCT organization, date_bin(make_interval(mins => $4), at, ''2000-01-01 00:00:00+00'') AS at
              FROM unnest($2, $3) AS q (organization, at)) AS q
            WHERE t.organization_id = q.organization AND t.breakdown = ANY ($1) AND t.span = $4 AND t.at = q.at', kind)
            USING breakdowns, organizations, quarters, span;
        -- One after the other, each by the index: nothing else is as good for one quarter and for ten thousand.
        EXECUTE format('INSERT INTO public.rollup_%1$s
            SELECT q.organization, s.*
            FROM (SELECT DISTINCT organization, date_bin(make_interval(mins => $4), at, ''2000-01-01 00:00:00+00'') AS at
                  FROM unnest($2, $3) AS q (organization, at)) AS q
            CROSS JOIN LATERAL (
                SELECT t.breakdown, $4, q.at, %2$s, %3$s FROM public.rollup_%1$s t
                WHERE t.organization_id = q.organization AND t.breakdown = ANY ($1) AND t.span = $5
                  AND t.at >= q.at AND t.at < q.at + make_interval(mins => $4)
                GROUP BY t.breakdown, %2$s) AS s', kind, names, array_to_string(c.sums, ', '))
            USING breakdowns, organizations, quarters, span, below;
        below := span;
    END LOOP;
END
$$;

-- Takes the oldest marks, so many at most, and writes their quarters anew; returns how many quarters. Nobody else
-- does so at the same time: who comes second has nothing to do.
CREATE FUNCTION analytics_aggregate(most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was text := app_switch('system');
    kinds         text[];
    organizations uuid[];
    quarters      timestamptz[];
    who           uuid[];
    times         timestamptz[];
    k             record;
BEGIN
    IF most IS NULL OR most NOT BETWEEN 1 AND 100000 THEN
        RAISE EXCEPTION 'most must be between 1 and 100000' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('analytics_aggregate', 0)) THEN
        PERFORM app_switch(was);
        RETURN 0;
    END IF;
    WITH first AS (
        SELECT DISTINCT o.kind, o.organization_id, o.quarter
        FROM (SELECT m.kind, m.organization_id, m.quarter FROM analytics_marks m ORDER BY m.id LIMIT most) AS o
    ), gone AS (
        DELETE FROM analytics_marks m USING first f
        WHERE m.kind = f.kind AND m.organization_id = f.organization_id AND m.quarter = f.quarter
    )
    SELECT array_agg(f.kind::text), array_agg(f.organization_id), array_agg(f.quarter) INTO kinds, organizations, quarters FROM first f;
    -- The facts are read after the marks were taken: what comes in between has a mark of its own.
    FOR k IN SELECT * FROM analytics_kinds() LOOP
        SELECT array_agg(t.organization), array_agg(t.quarter) INTO who, times
        FROM unnest(kinds, organizations, quarters) AS t (kind, organization, quarter)
        WHERE t.kind = k.kind AND t.quarter >= analytics_floor(k.kind);
        CONTINUE WHEN who IS NULL;
        PERFORM analytics_write(k.kind, k.breakdowns, who, times);
    END LOOP;
    PERFORM app_switch(was);
    RETURN coalesce(cardinality(kinds), 0);
END
$$;
GRANT EXECUTE ON FUNCTION analytics_aggregate(integer) TO celaest_app;

-- Marks all quarters of a time in which there are facts or were some when it was added up; returns how many.
CREATE FUNCTION analytics_backfill(since timestamptz, until timestamptz) RETURNS bigint
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
        SELECT k.kind, format('SELECT organization_id, at FROM rollup_%s WHERE span = 15 AND at >= $1 AND at < $2', k.kind)
            || string_agg(format(' UNION SELECT %1$s, analytics_quarter(%2$s) FROM %3$s WHERE %2$s >= $1 AND %2$s < $2',
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
        GROUP BY k.kind
    LOOP
        EXECUTE format('INSERT INTO analytics_marks (kind, organization_id, quarter)
            SELECT $3, f.organization_id, f.at FROM (%s) AS f
            WHERE f.organization_id IS NOT NULL AND f.at >= analytics_floor($3)
            ORDER BY f.organization_id, f.at', source.query)
            USING since, until, source.kind;
        GET DIAGNOSTICS more = ROW_COUNT;
        marked := marked + more;
    END LOOP;
    PERFORM app_switch(was);
    RETURN marked;
END
$$;

-- What there is by now.
SELECT analytics_backfill('-infinity', 'infinity');

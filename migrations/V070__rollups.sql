-- Analytics: facts added up by quarter of an hour, hour and day (UTC), so that an answer reads few rows however
-- much history there is, and is exact all the same.
--
-- A change of a fact marks the quarter of an hour that it falls in, in its own transaction. A job takes the marks
-- away and writes those quarters anew from the rows themselves, then their hours and days, in one transaction. So
-- at any moment what is added up is true but for the quarters that have a mark, and the functions that read replace
-- those by the rows themselves: what is added up, less the marked quarters as they were added up, plus the marked
-- quarters as they are.

SET LOCAL celaest.access = 'system';

-- ------------------------------------------------------------------ subscriptions

-- What a subscription is worth in a month, whenever that changes. Kept for ever: it is what the monthly revenue of
-- any day is the sum of.
CREATE TABLE subscription_movements (
    -- The seller.
    organization_id uuid          NOT NULL REFERENCES organizations (id),
    id              bigint        GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id uuid          NOT NULL REFERENCES subscriptions (id),
    currency        char(3)       NOT NULL,
    product_id      uuid          REFERENCES products (id),
    plan_id         uuid          REFERENCES subscription_plans (id),
    movement        varchar(20)   NOT NULL,
    -- 0 for the half of a change of plan that takes the old plan's value away.
    movements       integer       NOT NULL DEFAULT 1,
    mrr_delta       numeric(18,6) NOT NULL,
    created_at      timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT subscription_movements_movement_check CHECK (
        movement IN ('new', 'expansion', 'contraction', 'churn', 'reactivation'))
);
CREATE INDEX idx_subscription_movements_organization ON subscription_movements (organization_id, created_at);
CREATE INDEX idx_subscription_movements_subscription ON subscription_movements (subscription_id);
CREATE INDEX idx_subscription_movements_product ON subscription_movements (product_id);
CREATE INDEX idx_subscription_movements_plan ON subscription_movements (plan_id);

-- What a subscription is worth in a month: its price by the months of its period. One whose payment failed counts
-- until it is suspended for it.
CREATE FUNCTION subscription_mrr(status text, quantity integer, unit_price numeric, cycle billing_cycle)
    RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN $1 IN ('active', 'past_due') THEN round($3 * $2 / CASE $4::text
        WHEN 'monthly' THEN 1 WHEN 'quarterly' THEN 3 WHEN 'yearly' THEN 12 END, 6) END
$$;

CREATE FUNCTION subscription_moved() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was text := app_switch('system');
    before numeric := 0;
    after  numeric := coalesce(subscription_mrr(NEW.status, NEW.quantity, NEW.unit_price, NEW.billing_cycle), 0);
    moved  boolean := false;
    word   text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        before := coalesce(subscription_mrr(OLD.status, OLD.quantity, OLD.unit_price, OLD.billing_cycle), 0);
        moved := (OLD.seller_id, OLD.currency, OLD.product_id, OLD.plan_id)
            IS DISTINCT FROM (NEW.seller_id, NEW.currency, NEW.product_id, NEW.plan_id);
    END IF;
    IF before = after AND (before = 0 OR NOT moved) THEN
        PERFORM app_switch(was);
        RETURN NULL;
    END IF;
    word := CASE
        WHEN before = 0 AND EXISTS (SELECT FROM subscription_movements m WHERE m.subscription_id = NEW.id)
            THEN 'reactivation'
        WHEN before = 0 THEN 'new'
        WHEN after = 0 THEN 'churn'
        WHEN after < before THEN 'contraction'
        ELSE 'expansion' END;
    IF moved AND before > 0 AND after > 0 THEN
        INSERT INTO subscription_movements (organization_id, subscription_id, currency, product_id, plan_id, movement,
            movements, mrr_delta)
        VALUES (OLD.seller_id, OLD.id, OLD.currency, OLD.product_id, OLD.plan_id, word, 0, -before);
        before := 0;
    END IF;
    -- What ends is taken from where it was counted.
    INSERT INTO subscription_movements (organization_id, subscription_id, currency, product_id, plan_id, movement, mrr_delta)
    SELECT s.seller_id, s.id, s.currency, s.product_id, s.plan_id, word, after - before
    FROM (SELECT (CASE WHEN after = 0 THEN OLD ELSE NEW END).*) AS s;
    PERFORM app_switch(was);
    RETURN NULL;
END
$$;
CREATE TRIGGER note_movement AFTER INSERT OR UPDATE OF seller_id, currency, product_id, plan_id, status, quantity,
    unit_price, billing_cycle ON subscriptions
    FOR EACH ROW EXECUTE FUNCTION subscription_moved();

-- What is known of those that there are.
INSERT INTO subscription_movements (organization_id, subscription_id, currency, product_id, plan_id, movement, mrr_delta, created_at)
SELECT s.seller_id, s.id, s.currency, s.product_id, s.plan_id, m.movement, m.delta, m.at
FROM subscriptions s
CROSS JOIN LATERAL (SELECT subscription_mrr('active', s.quantity, s.unit_price, s.billing_cycle) AS mrr) AS v
CROSS JOIN LATERAL (VALUES ('new', v.mrr, s.created_at),
    ('churn', -v.mrr, CASE s.status WHEN 'suspended' THEN coalesce(s.suspended_at, s.updated_at)
                                    WHEN 'ended' THEN coalesce(s.suspended_at, s.ended_at, s.updated_at) END)
) AS m (movement, delta, at)
WHERE v.mrr > 0 AND m.at IS NOT NULL ORDER BY m.at;

-- -------------------------------------------------------------------- validations

-- Where the connection came from (ISO 3166), as the network says; unknown without it.
ALTER TABLE license_validations
    ADD COLUMN country char(2),
    ADD CONSTRAINT license_validations_country_check CHECK (country ~ '^[A-Z0-9]{2}$');

-- ------------------------------------------------------------------------ marks

-- No key but its own: two marks of a quarter are two changes, and the job sees perhaps only one of them.
CREATE TABLE analytics_marks (
    kind            varchar(20) NOT NULL,
    organization_id uuid        NOT NULL,
    quarter         timestamptz NOT NULL,
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY
);
CREATE INDEX idx_analytics_marks_quarter ON analytics_marks (kind, organization_id, quarter);
ALTER TABLE analytics_marks ENABLE ROW LEVEL SECURITY;
ALTER TABLE analytics_marks FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON analytics_marks USING (app_sees(organization_id));
GRANT SELECT ON analytics_marks TO celaest_app;

-- The quarter of an hour that a time falls in.
CREATE FUNCTION analytics_quarter(at timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT date_bin('15 minutes', $1, '2000-01-01 00:00:00+00')
$$;

-- --------------------------------------------------------------------- latencies

-- Times are counted in steps of 5 %: step n holds what takes at most 1.05^n milliseconds and more than step n - 1.
-- A histogram is an array with a number for each step that there is: the count times 512, plus the step.
CREATE FUNCTION latency_step(ms bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN $1 <= 1 THEN 0 ELSE least(511, ceil(ln($1::float8) / ln(1.05::float8)))::bigint END
$$;

-- The longest time in a step, in milliseconds.
CREATE FUNCTION latency_ms(step bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT floor(power(1.05::float8, $1::float8))::bigint
$$;

-- One number for each step, whatever it was made of.
CREATE FUNCTION latency_sum(histogram bigint[]) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY(SELECT (sum(n >> 9) * 512)::bigint + (n & 511) FROM unnest($1) AS t (n)
                 GROUP BY n & 511 HAVING sum(n >> 9) <> 0 ORDER BY n & 511)
$$;

CREATE FUNCTION latency_negated(histogram bigint[]) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY(SELECT (n & 511) - (n >> 9) * 512 FROM unnest($1) AS t (n))
$$;

-- Several histograms as one; latency_percentile() takes it as it is.
CREATE AGGREGATE latency_all(bigint[]) (sfunc = array_cat, stype = bigint[], initcond = '{}');

-- The time in milliseconds that so large a part (0.95) took at most; the step's longest. NULL for no times.
CREATE FUNCTION latency_percentile(histogram bigint[], part numeric) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT latency_ms(s.step) FROM (
        SELECT n & 511 AS step, sum(sum(n >> 9)) OVER (ORDER BY n & 511) AS until, sum(sum(n >> 9)) OVER () AS total
        FROM unnest($1) AS t (n) GROUP BY n & 511
    ) AS s
    WHERE s.until >= ceil($2 * s.total) AND s.until > 0 ORDER BY s.step LIMIT 1
$$;

-- ----------------------------------------------------------------------- rollups

-- Sums of a quarter of an hour (span 15), an hour (60) or a day (1440). The same facts are there once for each
-- breakdown, which says which of the columns up to the first that is NOT NULL tell its rows apart.

CREATE TABLE rollup_sales (
    organization_id uuid        NOT NULL REFERENCES organizations (id),
    breakdown       varchar(20) NOT NULL,
    span            integer     NOT NULL,
    at              timestamptz NOT NULL,
    currency        char(3),
    -- 'order' or 'refund'.
    kind            varchar(20),
    product_id      uuid,
    plan_id         uuid,
    coupon_id       uuid,
    -- How many orders or refunds, each at its first line.
    orders          bigint      NOT NULL,
    -- Their lines.
    lines           bigint      NOT NULL,
    units           bigint      NOT NULL,
    subtotal        numeric     NOT NULL,
    discount        numeric     NOT NULL,
    tax             numeric     NOT NULL,
    total           numeric     NOT NULL
);

CREATE TABLE rollup_subscriptions (
    organization_id uuid        NOT NULL REFERENCES organizations (id),
    breakdown       varchar(20) NOT NULL,
    span            integer     NOT NULL,
    at              timestamptz NOT NULL,
    currency        char(3),
    movement        varchar(20),
    product_id      uuid,
    plan_id         uuid,
    movements       bigint      NOT NULL,
    mrr_delta       numeric     NOT NULL
);

CREATE TABLE rollup_ai (
    organization_id uuid        NOT NULL REFERENCES organizations (id),
    breakdown       varchar(20) NOT NULL,
    span            integer     NOT NULL,
    at              timestamptz NOT NULL,
    provider        ai_provider,
    model_id        uuid,
    prompt_id       uuid,
    api_key_id      uuid,
    product_id      uuid,
    user_id         uuid,
    requests        bigint      NOT NULL,
    completed       bigint      NOT NULL,
    failed          bigint      NOT NULL,
    tokens_input    bigint      NOT NULL,
    tokens_output   bigint      NOT NULL,
    cost_usd        numeric     NOT NULL,
    -- Requests of which nobody knows what they cost.
    cost_unknown    bigint      NOT NULL,
    -- Requests with a time, and their times together.
    timed           bigint      NOT NULL,
    execution_ms    bigint      NOT NULL,
    latency         bigint[]    NOT NULL
);

CREATE TABLE rollup_validations (
    organization_id uuid        NOT NULL REFERENCES organizations (id),
    breakdown       varchar(20) NOT NULL,
    span            integer     NOT NULL,
    at              timestamptz NOT NULL,
    -- VALID, or why it was refused.
    verdict         varchar(50),
    product_id      uuid,
    country         char(2),
    version         varchar(50),
    validations     bigint      NOT NULL
);

CREATE TABLE rollup_collisions (
    organization_id uuid        NOT NULL REFERENCES organizations (id),
    breakdown       varchar(20) NOT NULL,
    span            integer     NOT NULL,
    at              timestamptz NOT NULL,
    severity        collision_severity,
    product_id      uuid,
    collisions      bigint      NOT NULL
);

CREATE TABLE rollup_people (
    organization_id uuid        NOT NULL REFERENCES organizations (id),
    breakdown       varchar(20) NOT NULL,
    span            integer     NOT NULL,
    at              timestamptz NOT NULL,
    user_id         uuid,
    -- What they did: calls that are logged, tasks, events of programs.
    acts            bigint      NOT NULL
);

-- ------------------------------------------------------------------------- facts

-- The lines of an order, with one for what its totals are beside them, so that they always add up to it.
CREATE FUNCTION analytics_order_lines(wanted uuid)
    RETURNS TABLE (place bigint, product_id uuid, plan_id uuid, units bigint, subtotal numeric, discount numeric,
                   tax numeric, total numeric)
    LANGUAGE sql STABLE AS $$
    WITH line AS (
        SELECT row_number() OVER (ORDER BY i.position, i.id) AS place, i.product_id, i.plan_id, i.quantity::bigint AS units,
            i.list_total AS subtotal, i.discount_total AS discount, i.tax_total AS tax, i.net_total + i.tax_total AS total
        FROM order_items i WHERE i.order_id = $1
    ), rest AS (
        SELECT o.subtotal - coalesce(sum(l.subtotal), 0) AS subtotal, o.discount_total - coalesce(sum(l.discount), 0) AS discount,
            o.tax_total - coalesce(sum(l.tax), 0) AS tax, o.total - coalesce(sum(l.total), 0) AS total, count(l.place) AS lines
        FROM orders o LEFT JOIN line l ON true WHERE o.id = $1 GROUP BY o.id
    )
    SELECT l.place, l.product_id, l.plan_id, l.units, l.subtotal, l.discount, l.tax, l.total FROM line l
    UNION ALL
    SELECT r.lines + 1, NULL, NULL, 0, r.subtotal, r.discount, r.tax, r.total FROM rest r
    WHERE r.lines = 0 OR (r.subtotal, r.discount, r.tax, r.total) IS DISTINCT FROM (0::numeric, 0::numeric, 0::numeric, 0::numeric)
$$;

-- What was paid back of an order, and what of that failed after all: what the two did to each of its lines. A
-- line's share is rounded so that the lines of a refund add up to it, and refunds of the whole order to its lines.
CREATE FUNCTION analytics_refund_lines(wanted uuid)
    RETURNS TABLE (at timestamptz, refunds bigint, place bigint, product_id uuid, plan_id uuid, units bigint,
                   tax numeric, total numeric)
    LANGUAGE sql STABLE AS $$
    WITH event AS (
        SELECT e.at, e.sign, r.amount * e.sign AS amount, coalesce(n.tax_total, 0) * e.sign AS tax,
            sum(r.amount * e.sign) OVER (ORDER BY e.at, e.sign DESC, r.id) AS until
        FROM refunds r
        LEFT JOIN invoices n ON n.refund_id = r.id
        LEFT JOIN invoices b ON b.corrects_id = n.id AND b.kind = 'invoice'
        CROSS JOIN LATERAL (VALUES (r.succeeded_at, 1), (b.issued_at, -1)) AS e (at, sign)
        WHERE r.order_id = $1 AND r.succeeded_at IS NOT NULL AND e.at IS NOT NULL
    ), line AS (
        SELECT l.*, sum(l.total) OVER (ORDER BY l.place) AS until, sum(l.total) OVER () AS whole
        FROM analytics_order_lines($1) AS l
    )
    SELECT e.at, CASE WHEN l.place = 1 THEN e.sign ELSE 0 END::bigint, l.place, l.product_id, l.plan_id,
        l.units * ((e.until >= l.whole)::int - (e.until - e.amount >= l.whole)::int),
        round(e.tax * l.until / l.whole, 2) - round(e.tax * (l.until - l.total) / l.whole, 2),
        round(e.until * l.until / l.whole, 2) - round(e.until * (l.until - l.total) / l.whole, 2)
          - round((e.until - e.amount) * l.until / l.whole, 2)
          + round((e.until - e.amount) * (l.until - l.total) / l.whole, 2)
    FROM event e CROSS JOIN line l WHERE l.whole > 0
$$;

-- Each of these adds up the facts of an organization in a time, by quarter and breakdown, from the rows themselves.

CREATE FUNCTION analytics_sales_facts(organization uuid, since timestamptz, until timestamptz)
    RETURNS SETOF rollup_sales LANGUAGE sql STABLE AS $$
    WITH fact AS (
        SELECT o.completed_at AS at, o.currency, 'order' AS kind, o.coupon_id, l.product_id, l.plan_id, (l.place = 1)::int AS orders,
            1 AS lines, l.units, l.subtotal, l.discount, l.tax, l.total
        FROM orders o CROSS JOIN LATERAL analytics_order_lines(o.id) AS l
        WHERE o.seller_id = $1 AND o.completed_at >= $2 AND o.completed_at < $3
        UNION ALL
        SELECT l.at, o.currency, 'refund', o.coupon_id, l.product_id, l.plan_id, l.refunds, 1, l.units,
            l.total - l.tax, 0, l.tax, l.total
        FROM (
            SELECT r.order_id FROM refunds r WHERE r.seller_id = $1 AND r.succeeded_at >= $2 AND r.succeeded_at < $3
            UNION
            SELECT v.order_id FROM invoices v
            WHERE v.seller_id = $1 AND v.kind = 'invoice' AND v.corrects_id IS NOT NULL AND v.issued_at >= $2 AND v.issued_at < $3
        ) AS touched
        JOIN orders o ON o.id = touched.order_id
        CROSS JOIN LATERAL analytics_refund_lines(o.id) AS l
        WHERE l.at >= $2 AND l.at < $3
    )
    SELECT $1, b.breakdown::varchar(20), 15, analytics_quarter(f.at), f.currency::char(3), f.kind::varchar(20), b.product_id, b.plan_id,
        b.coupon_id, sum(f.orders)::bigint, sum(f.lines)::bigint, sum(f.units)::bigint, sum(f.subtotal), sum(f.discount), sum(f.tax),
        sum(f.total)
    FROM fact f CROSS JOIN LATERAL (VALUES
        ('total', NULL::uuid, NULL::uuid, NULL::uuid),
        ('product', f.product_id, f.plan_id, NULL),
        ('coupon', f.product_id, NULL, f.coupon_id)) AS b (breakdown, product_id, plan_id, coupon_id)
    GROUP BY b.breakdown, analytics_quarter(f.at), f.currency, f.kind, b.product_id, b.plan_id, b.coupon_id
$$;

CREATE FUNCTION analytics_subscriptions_facts(organization uuid, since timestamptz, until timestamptz)
    RETURNS SETOF rollup_subscriptions LANGUAGE sql STABLE AS $$
    SELECT m.organization_id, b.breakdown::varchar(20), 15, analytics_quarter(m.created_at), m.currency, m.movement,
        b.product_id, b.plan_id, sum(m.movements)::bigint, sum(m.mrr_delta)
    FROM subscription_movements m CROSS JOIN LATERAL (VALUES
        ('total', NULL::uuid, NULL::uuid),
        ('product', m.product_id, m.plan_id)) AS b (breakdown, product_id, plan_id)
    WHERE m.organization_id = $1 AND m.created_at >= $2 AND m.created_at < $3
    GROUP BY m.organization_id, b.breakdown, analytics_quarter(m.created_at), m.currency, m.movement, b.product_id, b.plan_id
$$;

CREATE FUNCTION analytics_ai_facts(organization uuid, since timestamptz, until timestamptz)
    RETURNS SETOF rollup_ai LANGUAGE sql STABLE AS $$
    SELECT t.organization_id, b.breakdown::varchar(20), 15, analytics_quarter(t.completed_at), m.provider, b.model_id, b.prompt_id,
        b.api_key_id, b.product_id, b.user_id, count(*), count(*) FILTER (WHERE t.status = 'completed'),
        count(*) FILTER (WHERE t.status = 'failed'), sum(t.tokens_input), sum(t.tokens_output), coalesce(sum(t.cost_usd), 0),
        count(*) FILTER (WHERE t.cost_usd IS NULL), count(t.execution_time_ms), coalesce(sum(t.execution_time_ms), 0),
        latency_sum(array_agg(512 + latency_step(t.execution_time_ms)) FILTER (WHERE t.execution_time_ms IS NOT NULL))
    FROM processed_tasks t
    LEFT JOIN ai_models m ON m.id = t.model_id
    LEFT JOIN licenses l ON l.id = t.license_id
    CROSS JOIN LATERAL (VALUES
        ('total', NULL::uuid, NULL::uuid, NULL::uuid, NULL::uuid, NULL::uuid),
        ('model', t.model_id, NULL, NULL, NULL, NULL),
        ('prompt', NULL, t.prompt_id, NULL, NULL, NULL),
        ('key', NULL, NULL, t.api_key_id, NULL, NULL),
        ('product', t.model_id, NULL, NULL, l.product_id, NULL),
        ('user', t.model_id, NULL, NULL, NULL, t.user_id)) AS b (breakdown, model_id, prompt_id, api_key_id, product_id, user_id)
    WHERE t.organization_id = $1 AND t.completed_at >= $2 AND t.completed_at < $3 AND t.status IN ('completed', 'failed')
    GROUP BY t.organization_id, b.breakdown, analytics_quarter(t.completed_at), m.provider, b.model_id, b.prompt_id, b.api_key_id,
        b.product_id, b.user_id
$$;

-- The program's version as it tells of it.
CREATE FUNCTION analytics_version(device_info jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT substring(CASE WHEN jsonb_typeof($1) = 'object' THEN coalesce($1 ->> 'app_version', $1 ->> 'version') END
                     FROM '^[0-9A-Za-z][0-9A-Za-z.+_-]{0,49}$')
$$;

CREATE FUNCTION analytics_validations_facts(organization uuid, since timestamptz, until timestamptz)
    RETURNS SETOF rollup_validations LANGUAGE sql STABLE AS $$
    SELECT v.organization_id, b.breakdown::varchar(20), 15, analytics_quarter(v.created_at), coalesce(v.failure_reason, 'VALID'),
        b.product_id, b.country::char(2), b.version::varchar(50), count(*)
    FROM license_validations v
    JOIN licenses l ON l.id = v.license_id
    CROSS JOIN LATERAL (VALUES
        ('total', NULL::uuid, NULL, NULL),
        ('product', l.product_id, NULL, NULL),
        ('country', l.product_id, v.country::text, NULL),
        ('version', l.product_id, NULL, analytics_version(v.device_info))) AS b (breakdown, product_id, country, version)
    WHERE v.organization_id = $1 AND v.created_at >= $2 AND v.created_at < $3
    GROUP BY v.organization_id, b.breakdown, analytics_quarter(v.created_at), coalesce(v.failure_reason, 'VALID'), b.product_id,
        b.country, b.version
$$;

CREATE FUNCTION analytics_collisions_facts(organization uuid, since timestamptz, until timestamptz)
    RETURNS SETOF rollup_collisions LANGUAGE sql STABLE AS $$
    SELECT c.organization_id, b.breakdown::varchar(20), 15, analytics_quarter(c.detected_at), c.severity, b.product_id, count(*)
    FROM license_collisions c
    JOIN licenses l ON l.id = c.license_id
    CROSS JOIN LATERAL (VALUES ('total', NULL::uuid), ('product', l.product_id)) AS b (breakdown, product_id)
    WHERE c.organization_id = $1 AND c.detected_at >= $2 AND c.detected_at < $3
    GROUP BY c.organization_id, b.breakdown, analytics_quarter(c.detected_at), c.severity, b.product_id
$$;

CREATE FUNCTION analytics_people_facts(organization uuid, since timestamptz, until timestamptz)
    RETURNS SETOF rollup_people LANGUAGE sql STABLE AS $$
    SELECT $1, 'user'::varchar(20), 15, analytics_quarter(a.created_at), a.user_id, count(*)
    FROM (
        SELECT l.user_id, l.created_at FROM audit_logs l
        WHERE l.organization_id = $1 AND l.created_at >= $2 AND l.created_at < $3
        UNION ALL
        SELECT t.user_id, t.created_at FROM processed_tasks t
        WHERE t.organization_id = $1 AND t.created_at >= $2 AND t.created_at < $3
        UNION ALL
        SELECT e.user_id, e.created_at FROM telemetry_events e
        WHERE e.organization_id = $1 AND e.created_at >= $2 AND e.created_at < $3
    ) AS a
    WHERE a.user_id IS NOT NULL
    GROUP BY analytics_quarter(a.created_at), a.user_id
$$;

-- What facts are found by.
CREATE INDEX idx_orders_completed ON orders (seller_id, completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX idx_refunds_succeeded ON refunds (seller_id, succeeded_at) WHERE succeeded_at IS NOT NULL;
CREATE INDEX idx_invoices_reinstated ON invoices (seller_id, issued_at) WHERE kind = 'invoice' AND corrects_id IS NOT NULL;
CREATE INDEX idx_tasks_completed ON processed_tasks (organization_id, completed_at) WHERE completed_at IS NOT NULL;

-- ----------------------------------------------------------------------- reading

-- What is added up, and by what.
CREATE FUNCTION analytics_kinds() RETURNS TABLE (kind text, breakdowns text[])
    LANGUAGE sql IMMUTABLE AS $$
    VALUES ('sales', ARRAY['total', 'product', 'coupon']), ('subscriptions', ARRAY['total', 'product']),
        ('ai', ARRAY['total', 'model', 'prompt', 'key', 'product', 'user']),
        ('validations', ARRAY['total', 'product', 'country', 'version']), ('collisions', ARRAY['total', 'product']),
        ('people', ARRAY['user'])
$$;

-- The ranges that make up a time with as few rows as there can be: whole days, the hours beside them, the quarters
-- beside those. Both ends are taken down to a quarter.
CREATE FUNCTION analytics_spans(since timestamptz, until timestamptz)
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
    WHERE v.lower_end < v.upper_end
$$;

-- Whether something in a time is not added up yet.
CREATE FUNCTION analytics_is_open(organization uuid, kinds text[], since timestamptz, until timestamptz) RETURNS boolean
    LANGUAGE sql STABLE AS $$
    SELECT $4 > now() OR EXISTS (
        SELECT FROM analytics_marks m
        WHERE m.kind = ANY ($2) AND ($1 IS NULL OR m.organization_id = $1)
          AND m.quarter >= analytics_quarter($3) AND m.quarter < $4)
$$;

-- The columns of a rollup: those that tell its rows apart, those that are added up, how they are, and how what is
-- taken away is written.
CREATE FUNCTION analytics_columns(kind text, OUT dimensions text[], OUT measures text[], OUT sums text[], OUT negated text[])
    LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT array_agg(quote_ident(attname) ORDER BY attnum) FILTER (WHERE NOT attnotnull),
        array_agg(quote_ident(attname) ORDER BY attnum) FILTER (WHERE attnotnull),
        array_agg(CASE WHEN atttypid = 'bigint[]'::regtype THEN format('public.latency_sum(public.latency_all(t.%I))', attname)
            ELSE format('sum(t.%I)', attname) END ORDER BY attnum) FILTER (WHERE attnotnull),
        array_agg(CASE WHEN atttypid = 'bigint[]'::regtype THEN format('latency_negated(t.%I)', attname)
            ELSE format('-t.%I', attname) END ORDER BY attnum) FILTER (WHERE attnotnull)
    FROM pg_attribute
    WHERE attrelid = format('public.%I', 'rollup_' || kind)::regclass AND attnum > 4 AND NOT attisdropped
$$;

-- For each kind its keys, its rights, and two functions. analytics_<kind>(organization, breakdown, since, until) reads
-- it, of all organizations if none is named. It adds nothing up: several rows may be of one thing, and some take away
-- what others say. analytics_<kind>_quarter(organization, quarter) is the facts of a quarter for whoever sees the
-- rollup's rows: as the owner, so that no policy of the tables beneath asks for each row's parent.
DO $$
DECLARE
    kind    text;
    c       record;
    shape   text;
BEGIN
    FOR kind IN SELECT k.kind FROM analytics_kinds() AS k LOOP
        SELECT * INTO c FROM analytics_columns(kind);
        EXECUTE format('CREATE UNIQUE INDEX rollup_%1$s_key ON rollup_%1$s (organization_id, breakdown, span, at, %2$s) NULLS NOT DISTINCT',
            kind, array_to_string(c.dimensions, ', '));
        EXECUTE format('CREATE INDEX idx_rollup_%1$s_at ON rollup_%1$s (breakdown, span, at)', kind);
        EXECUTE format('ALTER TABLE rollup_%1$s ADD CHECK (span IN (15, 60, 1440))', kind);
        EXECUTE format('ALTER TABLE rollup_%1$s ENABLE ROW LEVEL SECURITY', kind);
        EXECUTE format('ALTER TABLE rollup_%1$s FORCE ROW LEVEL SECURITY', kind);
        -- Whose rows name a person sees the own ones as client; the rest is for who sees the whole organization.
        EXECUTE format('CREATE POLICY tenant ON rollup_%1$s USING (app_sees(organization_id) AND (app_owner_id() IS NULL%2$s))',
            kind, CASE WHEN 'user_id' = ANY (c.dimensions) THEN ' OR user_id = app_owner_id()' ELSE '' END);
        EXECUTE format('GRANT SELECT ON rollup_%1$s TO celaest_app', kind);

        EXECUTE format($body$
            CREATE FUNCTION analytics_%1$s_quarter(organization uuid, quarter timestamptz) RETURNS SETOF rollup_%1$s
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
                RETURN QUERY SELECT f.* FROM analytics_%1$s_facts(organization, quarter, quarter + interval '15 minutes') AS f
                    WHERE owner IS NULL%2$s;
                PERFORM set_config('celaest.access', coalesce(access, ''), true);
            END
            $f$ $body$,
            kind, CASE WHEN 'user_id' = ANY (c.dimensions) THEN ' OR f.user_id = owner' ELSE '' END);

        SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) INTO shape
        FROM pg_attribute
        WHERE attrelid = format('rollup_%s', kind)::regclass AND attnum > 4 AND NOT attisdropped;
        EXECUTE format($body$
            CREATE FUNCTION analytics_%1$s(organization uuid, breakdown text, since timestamptz, until timestamptz)
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
                FROM (SELECT DISTINCT m.organization_id, m.quarter FROM analytics_marks m
                      WHERE m.kind = '%1$s' AND ($1 IS NULL OR m.organization_id = $1)
                        AND m.quarter >= analytics_quarter($3) AND m.quarter < analytics_quarter($4)) AS m
                JOIN rollup_%1$s t ON t.organization_id = m.organization_id AND t.breakdown = $2 AND t.span = 15 AND t.at = m.quarter
                UNION ALL
                SELECT t.organization_id, t.at, %3$s
                FROM (SELECT DISTINCT m.organization_id, m.quarter FROM analytics_marks m
                      WHERE m.kind = '%1$s' AND ($1 IS NULL OR m.organization_id = $1)
                        AND m.quarter >= analytics_quarter($3) AND m.quarter < analytics_quarter($4)) AS m
                CROSS JOIN LATERAL analytics_%1$s_quarter(m.organization_id, m.quarter) AS t
                WHERE t.breakdown = $2
            $f$ $body$,
            kind, shape,
            (SELECT string_agg('t.' || name, ', ' ORDER BY n) FROM unnest(c.dimensions || c.measures) WITH ORDINALITY AS u (name, n)),
            (SELECT string_agg(name, ', ' ORDER BY n) FROM unnest(
                (SELECT array_agg('t.' || name ORDER BY n) FROM unnest(c.dimensions) WITH ORDINALITY AS d (name, n)) || c.negated)
                WITH ORDINALITY AS u (name, n)));
        EXECUTE format('GRANT EXECUTE ON FUNCTION analytics_%1$s(uuid, text, timestamptz, timestamptz), '
            'analytics_%1$s_quarter(uuid, timestamptz), analytics_%1$s_facts(uuid, timestamptz, timestamptz) TO celaest_app', kind);
    END LOOP;
END
$$;

ALTER TABLE subscription_movements ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscription_movements FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON subscription_movements USING (app_sees(organization_id) AND app_owner_id() IS NULL);
GRANT SELECT ON subscription_movements TO celaest_app;
GRANT EXECUTE ON FUNCTION subscription_mrr(text, integer, numeric, billing_cycle), analytics_quarter(timestamptz),
    latency_step(bigint), latency_ms(bigint), latency_sum(bigint[]), latency_negated(bigint[]), latency_all(bigint[]),
    latency_percentile(bigint[], numeric), analytics_order_lines(uuid), analytics_refund_lines(uuid), analytics_version(jsonb),
    analytics_spans(timestamptz, timestamptz), analytics_is_open(uuid, text[], timestamptz, timestamptz) TO celaest_app;

-- Functions the worker calls and views the dashboard reads.

-- ------------------------------------------------------------------ functions

-- 64 hexadecimal characters of the server's strong random source. The keys that
-- customers type (CELAEST-…) are made by the worker, which holds their secret.
CREATE FUNCTION generate_license_key() RETURNS varchar
    LANGUAGE sql VOLATILE AS $$
    SELECT encode(gen_random_bytes(32), 'hex')
$$;

-- Counts one use of a provider key, and says whether the key exists. SECURITY
-- DEFINER, because tasks are settled in the transaction of a tenant, which does
-- not see the pool.
CREATE FUNCTION increment_api_key_usage(p_key_id uuid, p_tokens integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
    known  boolean;
BEGIN
    IF p_tokens IS NULL OR p_tokens < 0 THEN
        RAISE EXCEPTION 'p_tokens must be zero or more'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('celaest.access', 'system', true);
    UPDATE ai_api_pool
    SET usage_count = usage_count + 1, tokens_used = tokens_used + p_tokens, last_used_at = now()
    WHERE id = p_key_id;
    known := FOUND;
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    RETURN known;
END
$$;

-- Writes one audit row and returns its id. Without an event the dotted name is
-- made of resource and action. Runs with the caller's rights: a tenant can only
-- log for itself.
CREATE FUNCTION log_audit(
    p_user_id         uuid,
    p_organization_id uuid,
    p_action          audit_action,
    p_resource_type   varchar,
    p_resource_id     uuid,
    p_description     text,
    p_changes         jsonb,
    p_event           varchar DEFAULT NULL,
    p_request_id      varchar DEFAULT NULL,
    p_ip_address      inet    DEFAULT NULL,
    p_user_agent      varchar DEFAULT NULL,
    p_api_key_id      uuid    DEFAULT NULL,
    p_success         boolean DEFAULT true,
    p_error_message   text    DEFAULT NULL
) RETURNS uuid
    LANGUAGE plpgsql AS $$
DECLARE
    -- Not RETURNING: a client may write rows that its policy does not let it read.
    new_id uuid := uuid_generate_v4();
BEGIN
    INSERT INTO audit_logs (
        id, user_id, organization_id, api_key_id, actor_kind, action, event, resource_type,
        resource_id, description, changes, request_id, ip_address, user_agent, success,
        error_message)
    VALUES (
        new_id, p_user_id, p_organization_id, p_api_key_id,
        CASE WHEN p_api_key_id IS NOT NULL THEN 'api_key'
             WHEN p_user_id IS NOT NULL THEN 'user'
             ELSE 'system' END,
        p_action, coalesce(p_event, p_resource_type || '.' || p_action), p_resource_type,
        p_resource_id, p_description, p_changes, p_request_id, p_ip_address,
        left(p_user_agent, 500), p_success, p_error_message);
    RETURN new_id;
END
$$;

GRANT EXECUTE ON FUNCTION generate_license_key(),
    increment_api_key_usage(uuid, integer),
    log_audit(uuid, uuid, audit_action, varchar, uuid, text, jsonb, varchar, varchar, inet,
              varchar, uuid, boolean, text)
    TO celaest_app;

-- ---------------------------------------------------------------------- views

-- All with security_invoker: a view reads with the rights, and under the
-- policies, of whoever asks. Without it views would show every tenant.

-- Licenses that can be used now, with how much of the plan's AI requests is used.
-- usage_percent is NULL where the limit is 0 or unlimited (-1).
CREATE VIEW v_active_licenses WITH (security_invoker = true) AS
SELECT l.id, l.organization_id, o.name AS organization_name, o.slug AS organization_slug,
       l.owner_id, l.product_id, p.name AS product_name,
       l.license_key, l.status, l.plan_id, s.code AS plan_code, s.name AS plan_name,
       l.starts_at, l.expires_at, l.trial_ends_at,
       l.ai_requests_used, allowed.ai_requests AS ai_requests_limit,
       CASE WHEN allowed.ai_requests > 0
            THEN round(100.0 * l.ai_requests_used / allowed.ai_requests, 2) END AS usage_percent,
       (SELECT count(*) FROM license_ip_bindings b
        WHERE b.license_id = l.id AND b.is_active) AS active_ips,
       l.created_at
FROM licenses l
JOIN organizations o ON o.id = l.organization_id
JOIN subscription_plans s ON s.id = l.plan_id
LEFT JOIN products p ON p.id = l.product_id
CROSS JOIN LATERAL (
    -- A limit that is no number is no limit at all, rather than a view that fails.
    SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN value::numeric END AS ai_requests
    FROM (SELECT coalesce(l.custom_limits -> 'max_ai_requests_per_month',
                          s.limits -> 'max_ai_requests_per_month') AS value) AS chosen
) AS allowed
WHERE o.deleted_at IS NULL
  AND l.starts_at <= now()
  AND (l.expires_at IS NULL OR l.expires_at > now())
  AND (l.status = 'active'
       OR (l.status = 'trial' AND (l.trial_ends_at IS NULL OR l.trial_ends_at > now())));

-- The pool by provider. Only the system sees rows of it.
CREATE VIEW v_api_pool_status WITH (security_invoker = true) AS
SELECT provider,
       count(*) AS total_keys,
       count(*) FILTER (WHERE is_active) AS active_keys,
       count(*) FILTER (WHERE is_active AND is_healthy
                        AND (expires_at IS NULL OR expires_at > now())) AS usable_keys,
       coalesce(sum(usage_count), 0) AS usage_count,
       coalesce(sum(tokens_used), 0) AS tokens_used,
       coalesce(sum(rate_limit_rpm) FILTER (WHERE is_active AND is_healthy), 0) AS rate_limit_rpm,
       coalesce(sum(rate_limit_tpm) FILTER (WHERE is_active AND is_healthy), 0) AS rate_limit_tpm,
       max(last_used_at) AS last_used_at,
       max(last_health_check) AS last_health_check
FROM ai_api_pool
GROUP BY provider;

-- Tasks per organization and UTC day.
CREATE VIEW v_daily_task_metrics WITH (security_invoker = true) AS
SELECT organization_id,
       (created_at AT TIME ZONE 'UTC')::date AS day,
       count(*) AS total_tasks,
       count(*) FILTER (WHERE status = 'completed') AS completed_tasks,
       count(*) FILTER (WHERE status = 'failed') AS failed_tasks,
       round(100.0 * count(*) FILTER (WHERE status = 'completed')
             / NULLIF(count(*) FILTER (WHERE status IN ('completed', 'failed')), 0), 2) AS success_rate,
       sum(tokens_input) AS tokens_input,
       sum(tokens_output) AS tokens_output,
       sum(tokens_total) AS tokens_total,
       sum(cost_usd) AS cost_usd,
       round(avg(execution_time_ms)) AS avg_execution_time_ms,
       count(DISTINCT user_id) AS active_users
FROM processed_tasks
GROUP BY organization_id, (created_at AT TIME ZONE 'UTC')::date;

-- Published products with their latest stable release.
CREATE VIEW v_products_published WITH (security_invoker = true) AS
SELECT p.id, p.organization_id, p.category_id, c.name AS category_name, c.slug AS category_slug,
       p.code, p.name, p.slug, p.short_description, p.product_type, p.price, p.original_price,
       p.currency, p.is_subscription, p.billing_cycle, p.is_featured, p.is_popular,
       p.avg_rating, p.review_count, p.download_count, p.features, p.tags, p.image_url,
       p.published_at,
       r.id AS latest_release_id, r.version AS latest_version, r.published_at AS latest_release_at
FROM products p
LEFT JOIN product_categories c ON c.id = p.category_id
LEFT JOIN LATERAL (
    SELECT id, version, published_at FROM product_releases
    WHERE product_id = p.id AND status = 'stable' AND deleted_at IS NULL
    ORDER BY version_major DESC, version_minor DESC, version_patch DESC
    LIMIT 1
) AS r ON true
WHERE p.status = 'published' AND p.deleted_at IS NULL;

-- Sales of the last 30 days per organization, currency and UTC day. Money counts
-- on the day it was paid; days without an order are absent.
CREATE VIEW v_sales_dashboard WITH (security_invoker = true) AS
SELECT organization_id, currency,
       (coalesce(completed_at, created_at) AT TIME ZONE 'UTC')::date AS day,
       count(*) AS total_orders,
       count(*) FILTER (WHERE status IN ('completed', 'refunded')) AS completed_orders,
       count(*) FILTER (WHERE status = 'cancelled') AS cancelled_orders,
       count(*) FILTER (WHERE refunded_total > 0) AS refunded_orders,
       coalesce(sum(total) FILTER (WHERE status IN ('completed', 'refunded')), 0) AS gross_revenue,
       coalesce(sum(refunded_total), 0) AS refunded,
       coalesce(sum(total - refunded_total)
                FILTER (WHERE status IN ('completed', 'refunded')), 0) AS net_revenue,
       coalesce(sum(discount_total)
                FILTER (WHERE status IN ('completed', 'refunded')), 0) AS discounts,
       round(avg(total) FILTER (WHERE status IN ('completed', 'refunded')), 2) AS average_order,
       count(DISTINCT user_id) FILTER (WHERE status IN ('completed', 'refunded')) AS customers
FROM orders
WHERE coalesce(completed_at, created_at) >= now() - interval '30 days'
GROUP BY organization_id, currency, (coalesce(completed_at, created_at) AT TIME ZONE 'UTC')::date;

GRANT SELECT ON v_active_licenses, v_api_pool_status, v_daily_task_metrics,
    v_products_published, v_sales_dashboard TO celaest_app;

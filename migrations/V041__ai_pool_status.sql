-- The platform's pool; what organizations bring of their own is not in it.
CREATE OR REPLACE VIEW v_api_pool_status WITH (security_invoker = true) AS
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
WHERE organization_id IS NULL
GROUP BY provider;

-- Row-level security asks once per statement, not once per row, who is asking: a setting is read and cast in
-- about a microsecond, and a list counts ten thousand rows.

SET LOCAL celaest.access = 'system';

-- The organization that a tenant's transaction works for; NULL for the system and for nobody.
CREATE FUNCTION app_tenant_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN app_access() = 'tenant' THEN app_organization_id() END;
GRANT EXECUTE ON FUNCTION app_tenant_id() TO celaest_app;

-- What a policy's condition says, with who is asking in sub-queries of their own: the planner runs those once.
-- A function's body cannot have them, or it would be called for each row.
CREATE FUNCTION asked_once(condition text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    seen  CONSTANT text := '((SELECT app_access()) = ''system'' OR \1 = (SELECT app_tenant_id())';
    owned CONSTANT text := ' AND ((SELECT app_owner_id()) IS NULL OR \2 = (SELECT app_owner_id()))';
BEGIN
    condition := regexp_replace(condition, 'app_sees_owned\(([\w.]+), ([\w.]+)\)', seen || owned || ')', 'g');
    condition := regexp_replace(condition, 'app_sees\(([\w.]+)\)', seen || ')', 'g');
    RETURN regexp_replace(condition, '(?<!SELECT )(app_\w+\(\))', '(SELECT \1)', 'g');
END
$$;

-- Rewrites all policies so. A migration that makes policies ends with it.
CREATE FUNCTION policies_ask_once() RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    policy record;
BEGIN
    FOR policy IN
        SELECT p.polname AS name, p.polrelid::regclass AS relation,
            pg_get_expr(p.polqual, p.polrelid) AS rows, pg_get_expr(p.polwithcheck, p.polrelid) AS written
        FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        WHERE c.relnamespace = 'public'::regnamespace
    LOOP
        IF policy.rows <> asked_once(policy.rows) THEN
            EXECUTE format('ALTER POLICY %I ON %s USING (%s)', policy.name, policy.relation, asked_once(policy.rows));
        END IF;
        IF policy.written <> asked_once(policy.written) THEN
            EXECUTE format('ALTER POLICY %I ON %s WITH CHECK (%s)', policy.name, policy.relation, asked_once(policy.written));
        END IF;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION policies_ask_once() FROM PUBLIC;
SELECT policies_ask_once();

-- Rows that were made in one statement have one time: without the second column they are all sorted for a page.
DROP INDEX idx_licenses_organization;
CREATE INDEX idx_licenses_organization ON licenses (organization_id, created_at DESC, id DESC);

-- ------------------------------------------------------------ tokens of a period

-- Of the running period, beside ai_requests_used and ai_cost_used: what a license consumed is read from its row,
-- however many tasks it has.
ALTER TABLE licenses
    ADD COLUMN ai_tokens_input_used  bigint NOT NULL DEFAULT 0,
    ADD COLUMN ai_tokens_output_used bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT licenses_ai_tokens_check CHECK (ai_tokens_input_used >= 0 AND ai_tokens_output_used >= 0);
UPDATE licenses l SET ai_tokens_input_used = t.tokens_input, ai_tokens_output_used = t.tokens_output
FROM (SELECT l.id, sum(u.tokens_input) AS tokens_input, sum(u.tokens_output) AS tokens_output
      FROM licenses l JOIN license_usage_log u ON u.license_id = l.id AND u.call_id IS NOT NULL
        AND u.created_at >= coalesce(l.current_period_start, l.starts_at)
      GROUP BY l.id) t
WHERE l.id = t.id;

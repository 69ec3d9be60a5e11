-- The log of deliveries and the tasks of the AI module, by month. Rows are moved; the
-- tables have the same columns, rules and readers as before.

SET LOCAL celaest.access = 'system';

-- ---------------------------------------------------------- webhook_deliveries

-- What was sent is kept with the first attempt of a message that is written down, not
-- with each of the ten.
CREATE TABLE deliveries_by_month (
    LIKE webhook_deliveries INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED
) PARTITION BY RANGE (created_at);
ALTER TABLE deliveries_by_month ALTER COLUMN payload DROP NOT NULL;
CREATE TABLE webhook_deliveries_default PARTITION OF deliveries_by_month DEFAULT;
INSERT INTO deliveries_by_month SELECT * FROM webhook_deliveries;
UPDATE deliveries_by_month d SET payload = NULL WHERE EXISTS (
    SELECT FROM deliveries_by_month f
    WHERE f.webhook_id = d.webhook_id AND f.event_id = d.event_id AND (f.created_at, f.id) < (d.created_at, d.id));
DROP TABLE webhook_deliveries;
ALTER TABLE deliveries_by_month RENAME TO webhook_deliveries;

ALTER TABLE webhook_deliveries
    ADD PRIMARY KEY (id, created_at),
    ADD CONSTRAINT webhook_deliveries_organization_id_fkey
        FOREIGN KEY (organization_id) REFERENCES organizations (id),
    ADD CONSTRAINT webhook_deliveries_webhook_fkey FOREIGN KEY (webhook_id, organization_id)
        REFERENCES webhooks (id, organization_id) ON DELETE CASCADE;
CREATE INDEX idx_webhook_deliveries_webhook ON webhook_deliveries (webhook_id, created_at DESC, id DESC);
CREATE INDEX idx_webhook_deliveries_organization ON webhook_deliveries (organization_id);
CREATE INDEX idx_webhook_deliveries_event ON webhook_deliveries (webhook_id, event_id);
CREATE INDEX idx_webhook_deliveries_created_at ON webhook_deliveries (created_at);

ALTER TABLE webhook_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_deliveries FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON webhook_deliveries USING (app_sees(organization_id)
    AND (app_owner_id() IS NULL OR EXISTS (
        SELECT FROM webhooks AS parent WHERE parent.id = webhook_deliveries.webhook_id)));
GRANT SELECT, INSERT, UPDATE ON webhook_deliveries TO celaest_app;
SELECT protect_partition('webhook_deliveries_default', 'webhook_deliveries');

-- ------------------------------------------------------------- processed_tasks

CREATE TABLE tasks_by_month (
    LIKE processed_tasks INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED
) PARTITION BY RANGE (created_at);
CREATE TABLE processed_tasks_default PARTITION OF tasks_by_month DEFAULT;
DO $$
DECLARE
    columns text;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
    FROM pg_attribute
    WHERE attrelid = 'processed_tasks'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
    EXECUTE format('INSERT INTO tasks_by_month (%1$s) SELECT %1$s FROM processed_tasks', columns);
END
$$;
DROP VIEW v_daily_task_metrics;
DROP TABLE processed_tasks;
ALTER TABLE tasks_by_month RENAME TO processed_tasks;

ALTER TABLE processed_tasks
    ADD PRIMARY KEY (id, created_at),
    ADD CONSTRAINT processed_tasks_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    ADD CONSTRAINT processed_tasks_user_id_fkey FOREIGN KEY (user_id) REFERENCES users_profile (id),
    ADD CONSTRAINT processed_tasks_model_id_fkey FOREIGN KEY (model_id) REFERENCES ai_models (id),
    ADD CONSTRAINT processed_tasks_api_key_id_fkey
        FOREIGN KEY (api_key_id) REFERENCES ai_api_pool (id) ON DELETE SET NULL,
    ADD CONSTRAINT processed_tasks_prompt_id_fkey
        FOREIGN KEY (prompt_id) REFERENCES prompts_master (id) ON DELETE SET NULL,
    ADD CONSTRAINT processed_tasks_license_fkey FOREIGN KEY (license_id, organization_id)
        REFERENCES licenses (id, organization_id),
    ADD CONSTRAINT processed_tasks_batch_fkey FOREIGN KEY (batch_id, organization_id)
        REFERENCES task_batches (id, organization_id);
-- A request's id is a UUID of version 7, and its task is created at the time in it: what
-- is unique together is unique.
CREATE UNIQUE INDEX processed_tasks_core_request_key ON processed_tasks (core_request_id, created_at);
CREATE INDEX idx_tasks_org_created ON processed_tasks (organization_id, created_at);
CREATE INDEX idx_tasks_user ON processed_tasks (user_id, created_at);
CREATE INDEX idx_tasks_license ON processed_tasks (license_id, created_at);
CREATE INDEX idx_tasks_batch ON processed_tasks (batch_id);
CREATE INDEX idx_tasks_model ON processed_tasks (model_id);
CREATE INDEX idx_tasks_api_key ON processed_tasks (api_key_id);
CREATE INDEX idx_tasks_prompt ON processed_tasks (prompt_id);
CREATE INDEX idx_tasks_created_at ON processed_tasks (created_at);
CREATE INDEX idx_tasks_unfinished ON processed_tasks (created_at)
    WHERE status IN ('pending', 'processing', 'retrying');

ALTER TABLE processed_tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE processed_tasks FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON processed_tasks USING (app_sees_owned(organization_id, user_id));
GRANT SELECT, INSERT, UPDATE ON processed_tasks TO celaest_app;
SELECT protect_partition('processed_tasks_default', 'processed_tasks');

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
GRANT SELECT ON v_daily_task_metrics TO celaest_app;

SELECT ensure_partitions(3);

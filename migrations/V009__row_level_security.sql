-- Row-level security and grants: what the run-time role may see and do.
--
-- Security is ENABLED and FORCED everywhere, so that it also binds an owner who
-- is no superuser. A transaction that made no settings sees no tenant row at all.
-- Policies are the second fence: the worker's own WHERE names the tenant too.

-- ------------------------------------------------------------- whole schema

-- Every table but the two that the run-time role has no grant on: the invoice
-- counters and the history of migrations.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
          AND NOT relispartition
          AND relname NOT IN ('invoice_counters', 'refinery_schema_history')
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    END LOOP;
END
$$;

-- ---------------------------------------- rows of an organization, no owner

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'products', 'product_releases', 'roi_metrics',
        'outbox_messages', 'idempotency_keys'
    ] LOOP
        EXECUTE format('CREATE POLICY tenant ON %I USING (app_sees(organization_id))', name);
    END LOOP;
END
$$;

-- An organization is its own tenant; only the system founds one.
CREATE POLICY tenant_read ON organizations FOR SELECT USING (app_sees(id));
CREATE POLICY tenant_update ON organizations FOR UPDATE USING (app_sees(id));
CREATE POLICY system_insert ON organizations FOR INSERT WITH CHECK (app_is_system());

-- ------------------------------------ rows of a person within an organization

-- Members of the organization see them all; a client only the own ones.
CREATE POLICY tenant ON users_profile USING (app_sees_owned(organization_id, id));
CREATE POLICY tenant ON licenses USING (app_sees_owned(organization_id, owner_id));

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'task_batches', 'processed_tasks', 'payment_methods', 'orders', 'invoices',
        'customer_assets', 'asset_downloads', 'user_sessions', 'user_api_keys', 'webhooks',
        'telemetry_events'
    ] LOOP
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (app_sees_owned(organization_id, user_id))', name);
    END LOOP;
END
$$;

-- ------------------------------------------------------ rows behind a parent

-- They carry the organization themselves. For a client the parent decides: the
-- sub-query is under the parent's own policy.
DO $$
DECLARE
    child  text;
    column_name text;
    parent text;
BEGIN
    FOR child, column_name, parent IN VALUES
        ('license_ip_bindings', 'license_id', 'licenses'),
        ('license_validations', 'license_id', 'licenses'),
        ('license_collisions',  'license_id', 'licenses'),
        ('license_usage_log',   'license_id', 'licenses'),
        ('order_items',         'order_id',   'orders'),
        ('webhook_deliveries',  'webhook_id', 'webhooks')
    LOOP
        EXECUTE format(
            'CREATE POLICY tenant ON %1$I USING (app_sees(organization_id) AND '
            '(app_owner_id() IS NULL OR EXISTS (SELECT FROM %3$I AS parent '
            'WHERE parent.id = %1$I.%2$I)))', child, column_name, parent);
    END LOOP;
END
$$;

-- ------------------------------------------------------------- special cases

-- Whoever sees a product sees what was said about it; only the author writes.
CREATE POLICY tenant ON product_reviews USING (app_sees_owned(organization_id, user_id));
CREATE POLICY product_read ON product_reviews FOR SELECT
    USING (app_has_access() AND EXISTS (SELECT FROM products WHERE products.id = product_id));

-- Prompts and coupons without an organization are the platform's: shared to read.
CREATE POLICY tenant ON prompts_master USING (app_sees(organization_id));
CREATE POLICY shared_read ON prompts_master FOR SELECT
    USING (organization_id IS NULL AND app_has_access());
CREATE POLICY tenant ON coupons USING (app_sees(organization_id));
CREATE POLICY shared_read ON coupons FOR SELECT
    USING (organization_id IS NULL AND app_has_access());

-- A client reads only what it did itself, but everything done is logged.
CREATE POLICY tenant_read ON audit_logs FOR SELECT
    USING (app_sees_owned(organization_id, user_id));
CREATE POLICY tenant_insert ON audit_logs FOR INSERT WITH CHECK (app_sees(organization_id));
-- Nobody updates or deletes but the owner, from within ensure_partitions().
CREATE POLICY system_maintenance ON audit_logs USING (app_is_system());

CREATE POLICY tenant_read ON audit_seals FOR SELECT USING (app_sees(organization_id));
CREATE POLICY system_insert ON audit_seals FOR INSERT WITH CHECK (app_is_system());

-- ---------------------------------------------------------- global catalogues

-- One list for all tenants: readable by every transaction, also by one that has
-- not said who it is (they name no tenant), written by the system only.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'subscription_plans', 'ai_models', 'product_categories',
        'payment_gateways', 'tax_rates'
    ] LOOP
        EXECUTE format('CREATE POLICY everybody_reads ON %I FOR SELECT USING (true)', name);
        EXECUTE format('CREATE POLICY system_writes ON %I USING (app_is_system())', name);
    END LOOP;
END
$$;

-- Configuration marked sensitive never leaves the system.
CREATE POLICY everybody_reads ON system_config FOR SELECT USING (NOT is_sensitive);
CREATE POLICY system_writes ON system_config USING (app_is_system());

-- A flag lists people and organizations of every tenant, so reading it asks for
-- access; the worker evaluates it and never hands the lists on.
CREATE POLICY members_read ON feature_flags FOR SELECT USING (app_has_access());
CREATE POLICY system_writes ON feature_flags USING (app_is_system());

-- Only the system's own business: no tenant sees a row.
CREATE POLICY system_only ON ai_api_pool USING (app_is_system());
CREATE POLICY system_only ON payment_events USING (app_is_system());
CREATE POLICY system_only ON system_events USING (app_is_system());

-- --------------------------------------------------------------------- grants

-- Read and write, never remove: these are soft-deleted, terminal or evidence.
GRANT SELECT, INSERT, UPDATE ON
    organizations, users_profile, products, licenses, license_ip_bindings,
    license_collisions, license_usage_log, task_batches, processed_tasks, roi_metrics,
    payment_methods, orders, order_items, invoices, payment_events, coupons,
    product_releases, customer_assets, user_sessions, user_api_keys, webhooks,
    webhook_deliveries, subscription_plans, payment_gateways, ai_models
    TO celaest_app;

-- Rows that may really go: personal, temporary or plain configuration.
GRANT SELECT, INSERT, UPDATE, DELETE ON
    product_categories, product_reviews, tax_rates, prompts_master, ai_api_pool,
    system_config, feature_flags, outbox_messages, idempotency_keys
    TO celaest_app;

-- Logs: added to and read.
GRANT SELECT, INSERT ON
    audit_logs, audit_seals, telemetry_events, system_events, license_validations,
    asset_downloads
    TO celaest_app;

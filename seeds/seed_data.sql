-- Sample data for development and tests: 3 organizations, 5 users with different
-- roles, 4 plans, 3 products, 3 licenses. Running it again changes nothing.
--
-- License keys end in a checksum made with LICENSE_KEY_SECRET, which is different
-- on every machine. So a key is written here as a placeholder with the product's
-- code and the random part, and the seed runner fills in the whole key.

-- Forced policies also bind a database owner who is no superuser.
SET celaest.access = 'system';

INSERT INTO organizations (id, name, slug, email, country_code, max_users, settings) VALUES
    ('10000000-0000-4000-8000-000000000001', 'Acme Software', 'acme', 'hello@acme.test', 'MX', 25,
     '{"timezone": "America/Mexico_City", "locale": "es-MX"}'),
    ('10000000-0000-4000-8000-000000000002', 'Globex Industrial', 'globex', 'hello@globex.test', 'ES', 50,
     '{"timezone": "Europe/Madrid", "locale": "es-ES"}'),
    ('10000000-0000-4000-8000-000000000003', 'Initech', 'initech', 'hello@initech.test', 'US', 5,
     '{"timezone": "America/Chicago", "locale": "en-US"}')
ON CONFLICT DO NOTHING;

INSERT INTO users_profile (id, organization_id, email, first_name, last_name, display_name, role, locale) VALUES
    ('20000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-000000000001',
     'root@celaest.dev', 'Rita', 'Raíz', 'Rita Raíz', 'super_admin', 'es'),
    ('20000000-0000-4000-8000-000000000002', '10000000-0000-4000-8000-000000000001',
     'admin@acme.test', 'Ana', 'Acosta', 'Ana Acosta', 'admin', 'es'),
    ('20000000-0000-4000-8000-000000000003', '10000000-0000-4000-8000-000000000001',
     'dev@acme.test', 'Diego', 'Duarte', 'Diego Duarte', 'developer', 'es'),
    ('20000000-0000-4000-8000-000000000004', '10000000-0000-4000-8000-000000000002',
     'manager@globex.test', 'Marta', 'Molina', 'Marta Molina', 'manager', 'es'),
    ('20000000-0000-4000-8000-000000000005', '10000000-0000-4000-8000-000000000001',
     'client@acme.test', 'Carl', 'Clark', 'Carl Clark', 'client', 'en')
ON CONFLICT DO NOTHING;

INSERT INTO subscription_plans
    (id, code, name, description, price_monthly, price_yearly, limits, features, sort_order) VALUES
    ('30000000-0000-4000-8000-000000000001', 'free', 'Free', 'To try the platform out', 0, 0,
     '{"max_users": 2, "max_ai_requests_per_month": 100, "max_storage_gb": 1, "max_concurrent_tasks": 1, "max_batch_size": 5}',
     '["licensing"]', 1),
    ('30000000-0000-4000-8000-000000000002', 'starter', 'Starter', 'For a first team', 99, 990,
     '{"max_users": 5, "max_ai_requests_per_month": 1000, "max_storage_gb": 10, "max_concurrent_tasks": 2, "max_batch_size": 20}',
     '["licensing", "ai_mesh"]', 2),
    ('30000000-0000-4000-8000-000000000003', 'professional', 'Professional', 'For a growing company', 299, 2990,
     '{"max_users": 25, "max_ai_requests_per_month": 10000, "max_storage_gb": 100, "max_concurrent_tasks": 10, "max_batch_size": 100}',
     '["licensing", "ai_mesh", "webhooks", "api_keys"]', 3),
    ('30000000-0000-4000-8000-000000000004', 'enterprise', 'Enterprise', 'Without limits on people', 1200, 12000,
     '{"max_users": -1, "max_ai_requests_per_month": 100000, "max_storage_gb": 1000, "max_concurrent_tasks": 50, "max_batch_size": 1000}',
     '["licensing", "ai_mesh", "webhooks", "api_keys", "white_label", "audit_export"]', 4)
ON CONFLICT DO NOTHING;

INSERT INTO products
    (id, organization_id, code, name, slug, short_description, product_type, status, price,
     is_subscription, billing_cycle, published_at) VALUES
    ('50000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-000000000001', 'MKT',
     'Marketing Studio', 'marketing-studio', 'Campaigns planned, written and measured in one place',
     'software', 'published', 490, false, NULL, now()),
    ('50000000-0000-4000-8000-000000000002', '10000000-0000-4000-8000-000000000001', 'CRM',
     'Customer Desk', 'customer-desk', 'Contacts, offers and follow-ups for small sales teams',
     'saas', 'published', 49, true, 'monthly', now()),
    ('50000000-0000-4000-8000-000000000003', '10000000-0000-4000-8000-000000000002', 'IOT',
     'Plant Gateway', 'plant-gateway', 'Connects machines of a plant to its dashboards',
     'software', 'published', 1900, false, NULL, now())
ON CONFLICT DO NOTHING;

INSERT INTO licenses
    (id, organization_id, plan_id, product_id, owner_id, license_key, status, starts_at, expires_at,
     trial_ends_at, billing_cycle, current_period_start, current_period_end, suspended_at,
     suspension_reason) VALUES
    ('40000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-000000000001',
     '30000000-0000-4000-8000-000000000003', '50000000-0000-4000-8000-000000000001', NULL,
     '{{license_key:MKT:A8F9D2E1}}', 'active', now(), now() + interval '1 year', NULL, 'yearly',
     now(), now() + interval '1 month', NULL, NULL),
    ('40000000-0000-4000-8000-000000000002', '10000000-0000-4000-8000-000000000001',
     '30000000-0000-4000-8000-000000000002', '50000000-0000-4000-8000-000000000002',
     '20000000-0000-4000-8000-000000000005',
     '{{license_key:CRM:7K2MX9QP}}', 'trial', now(), NULL, now() + interval '30 days', 'monthly',
     now(), now() + interval '1 month', NULL, NULL),
    ('40000000-0000-4000-8000-000000000003', '10000000-0000-4000-8000-000000000002',
     '30000000-0000-4000-8000-000000000004', '50000000-0000-4000-8000-000000000003', NULL,
     '{{license_key:IOT:D4T6W8Z3}}', 'suspended', now() - interval '1 month',
     now() + interval '11 months', NULL, 'yearly',
     now(), now() + interval '1 month', now(), 'Unpaid invoice')
ON CONFLICT DO NOTHING;

-- The model of the local provider: what an Ollama server answers with costs nothing that anybody knows.
INSERT INTO ai_models (id, provider, model_id, display_name, aliases, capabilities, is_default, priority) VALUES
    ('60000000-0000-4000-8000-000000000001', 'local', 'llama3.2', 'Llama 3.2 on Ollama', '{fast}',
     '{"text_generation": true, "code_generation": true, "vision": true, "function_calling": true, "streaming": true,
       "json_mode": true, "json_schema": true, "reasoning": false}', true, 10)
ON CONFLICT DO NOTHING;

RESET celaest.access;

-- One row in every tenant table for one organization; $ORG and $USER are filled in
-- by the test. Needs seed_data.sql. Every new tenant table gets a line here.
INSERT INTO product_releases (product_id, organization_id, version, status)
SELECT id, organization_id, '1.0.0', 'stable' FROM products WHERE organization_id = $ORG LIMIT 1;
INSERT INTO license_ip_bindings (license_id, organization_id, ip_address)
SELECT id, organization_id, '192.0.2.1' FROM licenses WHERE organization_id = $ORG;
INSERT INTO license_validations (license_id, organization_id, ip_address, is_valid)
SELECT id, organization_id, '192.0.2.1', true FROM licenses WHERE organization_id = $ORG;
INSERT INTO license_usage_counts (license_id, organization_id, period_start, validations)
SELECT id, organization_id, '2026-02-01', 1 FROM licenses WHERE organization_id = $ORG;
INSERT INTO license_collisions (license_id, organization_id, ip_address_a, ip_address_b)
SELECT id, organization_id, '192.0.2.1', '192.0.2.2' FROM licenses WHERE organization_id = $ORG;
INSERT INTO license_usage_log (license_id, organization_id, period_start, period_end)
SELECT id, organization_id, '2026-01-01', '2026-02-01' FROM licenses WHERE organization_id = $ORG;
INSERT INTO prompts_master (organization_id, slug, name, category, system_prompt)
VALUES ($ORG, 'summary', 'Summary', 'text', 'Summarise');
INSERT INTO ai_api_pool (organization_id, provider, key_name, key_value_encrypted)
VALUES ($ORG, 'groq', 'own', '\x00');
INSERT INTO task_batches (organization_id, user_id) VALUES ($ORG, $USER);
INSERT INTO processed_tasks (organization_id, user_id, batch_id)
SELECT organization_id, user_id, id FROM task_batches WHERE organization_id = $ORG;
INSERT INTO ai_task_queue (task_id, task_created_at, organization_id, user_id, license_id, batch_id, call_id)
SELECT t.id, t.created_at, t.organization_id, t.user_id, l.id, t.batch_id, uuid_generate_v4() FROM processed_tasks t, licenses l
WHERE t.organization_id = $ORG AND l.organization_id = $ORG LIMIT 1;
INSERT INTO ai_task_turns (license_id, organization_id, served_at)
SELECT id, organization_id, now() FROM licenses WHERE organization_id = $ORG;
INSERT INTO roi_metrics (organization_id, period_type, period_start, period_end)
VALUES ($ORG, 'daily', '2026-01-01', '2026-01-01');
INSERT INTO payment_methods (organization_id, user_id) VALUES ($ORG, $USER);
INSERT INTO coupons (organization_id, code, discount_type, discount_value)
VALUES ($ORG, 'WELCOME', 'percentage', 10);
INSERT INTO orders (organization_id, user_id, subtotal, total) VALUES ($ORG, $USER, 10, 10);
INSERT INTO order_items (order_id, organization_id, product_id, name, unit_price, total)
SELECT o.id, $ORG, p.id, p.name, 10, 10 FROM orders o, products p
WHERE o.organization_id = $ORG AND p.organization_id = $ORG LIMIT 1;
INSERT INTO invoices (organization_id, user_id, order_id)
SELECT organization_id, user_id, id FROM orders WHERE organization_id = $ORG;
INSERT INTO gateway_customers (organization_id, user_id, gateway_id, customer_id)
SELECT $ORG, $USER, id, 'cus_' || $USER FROM payment_gateways WHERE code = 'manual';
INSERT INTO coupon_redemptions (order_id, organization_id, user_id, coupon_id)
SELECT o.id, $ORG, $USER, c.id FROM orders o, coupons c WHERE o.organization_id = $ORG AND c.organization_id = $ORG LIMIT 1;
INSERT INTO order_grants (order_item_id, position, order_id, organization_id)
SELECT id, 0, order_id, $ORG FROM order_items WHERE organization_id = $ORG;
INSERT INTO subscriptions (organization_id, user_id, seller_id, order_item_id, name, quantity, unit_price, currency,
    billing_cycle, current_period_start, current_period_end)
SELECT $ORG, $USER, $ORG, id, name, 1, 10, 'USD', 'monthly', '2026-01-01', '2026-02-01'
FROM order_items WHERE organization_id = $ORG LIMIT 1;
INSERT INTO refunds (order_id, organization_id, seller_id, amount)
SELECT id, $ORG, $ORG, 1 FROM orders WHERE organization_id = $ORG LIMIT 1;
INSERT INTO disputes (order_id, organization_id, seller_id, gateway_dispute_id, status, amount)
SELECT id, $ORG, $ORG, 'dp_' || id, 'won', 1 FROM orders WHERE organization_id = $ORG LIMIT 1;
INSERT INTO product_reviews (product_id, organization_id, user_id, rating)
SELECT id, organization_id, $USER, 5 FROM products WHERE organization_id = $ORG LIMIT 1;
INSERT INTO product_review_votes (review_id, organization_id, user_id)
SELECT id, organization_id, $USER FROM product_reviews WHERE organization_id = $ORG;
INSERT INTO product_review_replies (review_id, product_id, organization_id, user_id, reply)
SELECT r.id, r.product_id, $ORG, $USER, 'Thank you' FROM product_reviews r WHERE r.organization_id = $ORG;
INSERT INTO customer_assets (organization_id, user_id, product_id)
SELECT organization_id, $USER, id FROM products WHERE organization_id = $ORG LIMIT 1;
INSERT INTO asset_downloads (asset_id, organization_id, release_id, user_id)
SELECT a.id, $ORG, r.id, $USER FROM customer_assets a, product_releases r
WHERE a.organization_id = $ORG AND r.organization_id = $ORG;
INSERT INTO user_sessions (user_id, organization_id, session_token)
VALUES ($USER, $ORG, 'session-' || $USER);
INSERT INTO user_api_keys (user_id, organization_id, name, key_hash, key_prefix)
VALUES ($USER, $ORG, 'test', 'hash-' || $USER, 'ck_test');
INSERT INTO license_key_spending (license_id, api_key_id, organization_id, period_start, cost_usd)
SELECT l.id, k.id, $ORG, '2026-02-01', 1 FROM licenses l, user_api_keys k
WHERE l.organization_id = $ORG AND k.key_hash = 'hash-' || $USER;
INSERT INTO webhooks (organization_id, user_id, name, url, secret_hash, secret_encrypted)
VALUES ($ORG, $USER, 'test', 'https://hooks.test/', 'hash', '\x00');
INSERT INTO webhook_deliveries (webhook_id, organization_id, event_id, event_type, payload)
SELECT id, organization_id, uuid_generate_v4(), 'license.created', '{}' FROM webhooks
WHERE organization_id = $ORG;
INSERT INTO audit_logs (organization_id, user_id, action, event, resource_type)
VALUES ($ORG, $USER, 'create', 'license.created', 'license');
INSERT INTO telemetry_events (organization_id, user_id, event_type, event_name)
VALUES ($ORG, $USER, 'page', 'opened');
INSERT INTO audit_seals (organization_id, first_sequence, last_sequence, row_count, row_hashes, digest, signature, key_id)
VALUES ($ORG, 1, 1, 1, '1:hash', 'digest', 'signature', 'key');
INSERT INTO outbox_messages (organization_id, topic, payload) VALUES ($ORG, 'test', '{}');
INSERT INTO idempotency_keys (caller, key, organization_id, method, path, request_hash)
VALUES ('user:' || $USER, 'key', $ORG, 'POST', '/api/licenses', 'hash');
INSERT INTO organization_usage (organization_id, period, api_calls) VALUES ($ORG, '2026-01-01', 1);
INSERT INTO analytics_marks (kind, organization_id, quarter) VALUES ('sales', $ORG, '2026-01-01');
INSERT INTO rollup_sales SELECT $ORG, 'total', 15, '2026-01-01', 'USD', 'order', NULL, NULL, NULL, 1, 1, 1, 1, 0, 0, 1;
INSERT INTO rollup_subscriptions SELECT $ORG, 'total', 15, '2026-01-01', 'USD', 'new', NULL, NULL, 1, 1;
INSERT INTO rollup_ai SELECT $ORG, 'user', 15, '2026-01-01', 'groq', NULL, NULL, NULL, NULL, $USER, 1, 1, 0, 1, 1, 1, 0, 1, 1, '{512}';
INSERT INTO rollup_validations SELECT $ORG, 'total', 15, '2026-01-01', 'VALID', NULL, NULL, NULL, 1;
INSERT INTO rollup_collisions SELECT $ORG, 'total', 15, '2026-01-01', 'low', NULL, 1;
INSERT INTO rollup_people SELECT $ORG, 'user', 15, '2026-01-01', $USER, 1;
INSERT INTO roi_metrics_parts (organization_id, period_type, period_start, period_end, user_id)
VALUES ($ORG, 'daily', '2026-01-01', '2026-01-01', $USER);

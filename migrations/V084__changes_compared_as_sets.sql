-- What changed is found by comparing sets. A join of the rows of before and after keeps the plan that a session made for
-- one row, and compares every row with every other when there are a thousand.

SET LOCAL celaest.access = 'system';

-- As in V071.
CREATE OR REPLACE FUNCTION analytics_orders_changed() RETURNS trigger
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
            (SELECT id, seller_id, completed_at, currency, coupon_id, subtotal, discount_total, tax_total, total FROM old_rows
             EXCEPT
             SELECT id, seller_id, completed_at, currency, coupon_id, subtotal, discount_total, tax_total, total FROM new_rows)
            UNION ALL
            (SELECT id, seller_id, completed_at, currency, coupon_id, subtotal, discount_total, tax_total, total FROM new_rows
             EXCEPT
             SELECT id, seller_id, completed_at, currency, coupon_id, subtotal, discount_total, tax_total, total FROM old_rows)
        ) AS c
        WHERE c.completed_at IS NOT NULL HAVING count(*) > 0;
    END IF;
    PERFORM app_switch(was);
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION analytics_tasks_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was text := app_switch('system');
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM analytics_mark(array_agg(m.kind), array_agg(n.organization_id), array_agg(m.at))
        FROM new_rows n CROSS JOIN LATERAL (VALUES ('people', n.created_at), ('ai', n.completed_at)) AS m (kind, at);
    ELSE
        PERFORM analytics_mark(array_agg('ai'::text), array_agg(c.organization_id), array_agg(c.completed_at))
        FROM (
            (SELECT id, created_at, organization_id, completed_at, status, model_id, prompt_id, api_key_id, license_id, user_id,
                tokens_input, tokens_output, cost_usd, execution_time_ms FROM old_rows
             EXCEPT
             SELECT id, created_at, organization_id, completed_at, status, model_id, prompt_id, api_key_id, license_id, user_id,
                tokens_input, tokens_output, cost_usd, execution_time_ms FROM new_rows)
            UNION ALL
            (SELECT id, created_at, organization_id, completed_at, status, model_id, prompt_id, api_key_id, license_id, user_id,
                tokens_input, tokens_output, cost_usd, execution_time_ms FROM new_rows
             EXCEPT
             SELECT id, created_at, organization_id, completed_at, status, model_id, prompt_id, api_key_id, license_id, user_id,
                tokens_input, tokens_output, cost_usd, execution_time_ms FROM old_rows)
        ) AS c
        WHERE c.completed_at IS NOT NULL;
    END IF;
    PERFORM app_switch(was);
    RETURN NULL;
END
$$;

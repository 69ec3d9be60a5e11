-- What whoever sold a license sees of it: the rows are the buyer's, and stay so.

-- The licenses that an order gave, for the organization that sold it; nobody else learns anything. Neither the key nor
-- what the buyer keeps with a license is in it, and why they stopped it themselves is theirs.
CREATE FUNCTION sold_licenses(of_order uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
    seller uuid := app_organization_id();
    found  jsonb;
BEGIN
    IF NOT (app_is_system() OR (app_access() = 'tenant' AND app_owner_id() IS NULL)) THEN
        RETURN '[]';
    END IF;
    PERFORM set_config('celaest.access', 'system', true);
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', l.id, 'order_item_id', i.id, 'name', i.name,
        'product_id', l.product_id, 'plan_id', l.plan_id, 'key_ends_with', right(l.license_key, 4), 'status', l.status,
        'starts_at', l.starts_at, 'expires_at', l.expires_at,
        'suspension_reason', CASE WHEN l.suspension_reason LIKE 'seller: %' OR l.suspension_reason IN (
            'order refunded', 'payment disputed', 'subscription unpaid', 'COLLISION_LIMIT') THEN l.suspension_reason END,
        'suspended_at', l.suspended_at, 'cancelled_at', l.cancelled_at, 'created_at', l.created_at)
        ORDER BY i.position, g.position), '[]') INTO found
    FROM orders o
    JOIN order_grants g ON g.order_id = o.id
    JOIN order_items i ON i.id = g.order_item_id
    JOIN licenses l ON l.id = g.license_id
    WHERE o.id = of_order AND (access = 'system' OR o.seller_id = seller);
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    RETURN found;
END
$$;
GRANT EXECUTE ON FUNCTION sold_licenses(uuid) TO celaest_app;

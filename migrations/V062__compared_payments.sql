-- When what the gateway says of an order was last compared with what is said here: those
-- that were not looked at for longest come first, so that none is left out while others
-- come in.

ALTER TABLE orders ADD COLUMN compared_at timestamptz;
-- What is compared: what was paid or given up lately, and what is not decided yet.
CREATE INDEX idx_orders_completed_at ON orders (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX idx_orders_cancelled_at ON orders (cancelled_at) WHERE cancelled_at IS NOT NULL;
CREATE INDEX idx_disputes_open ON disputes (order_id) WHERE closed_at IS NULL;
-- A comparison is no change of the order.
DROP TRIGGER set_updated_at ON orders;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON orders
    FOR EACH ROW WHEN (OLD.compared_at IS NOT DISTINCT FROM NEW.compared_at)
    EXECUTE FUNCTION set_updated_at();

-- In the order in which they are read.
CREATE INDEX idx_payment_differences_found ON payment_differences (found_at DESC, id DESC);

-- Somebody has a default card in each organization that they buy for, one after the other.

SET LOCAL celaest.access = 'system';

DROP INDEX payment_methods_default_key;
CREATE UNIQUE INDEX payment_methods_default_key ON payment_methods (user_id, organization_id)
    WHERE is_default AND deleted_at IS NULL;

-- Prices of plans reach as far as all other money does. What was paid back at the gateway itself has no reason of the
-- seller's.

SET LOCAL celaest.access = 'system';

ALTER TABLE subscription_plans
    ALTER COLUMN price_monthly TYPE numeric(12,2),
    ALTER COLUMN price_yearly TYPE numeric(12,2);

UPDATE refunds SET reason = NULL WHERE reason = 'made at the gateway' AND requested_by IS NULL;

-- An answer that is given again is the one that was given, to the byte: jsonb keeps neither the order of fields nor how
-- numbers are written.

ALTER TABLE idempotency_keys ALTER COLUMN response TYPE json USING response::json;

-- The day of the month that a license is renewed to. A shorter month ends earlier, and the day comes back in the
-- next one that has it. NULL: as starts_at and expires_at have it.
ALTER TABLE licenses ADD COLUMN renewal_day smallint
    CONSTRAINT licenses_renewal_day_check CHECK (renewal_day BETWEEN 1 AND 31);

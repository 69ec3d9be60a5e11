-- Whoever writes to the log of one tenant holds up nobody else's seals.

SET LOCAL celaest.access = 'system';

-- A writer says for which tenant it takes a place in the log before it takes it, with a
-- shared lock until its end, which nobody ever waits for. The place that the column's
-- default took before that is left empty. Only for the run-time role: who restores a
-- log gives the places.
CREATE FUNCTION take_audit_place() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1635083369, hashtext(coalesce(NEW.organization_id::text, 'none')));
    NEW.sequence := nextval('public.audit_logs_sequence_seq');
    RETURN NEW;
END
$$;
CREATE TRIGGER take_place BEFORE INSERT ON audit_logs
    FOR EACH ROW WHEN (current_user = 'celaest_app') EXECUTE FUNCTION take_audit_place();

-- Up to which sequence number no row of this tenant (NULL: of none) can still appear;
-- NULL while somebody who has taken a place of it takes longer than a second to end.
-- SECURITY DEFINER: the run-time role may draw numbers, but not read the last one.
CREATE FUNCTION audit_horizon(tenant uuid) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    place   bigint := hashtext(coalesce(tenant::text, 'none'))::bigint & 4294967295;
    horizon bigint;
    writers text[];
BEGIN
    SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO horizon
    FROM public.audit_logs_sequence_seq;
    -- A virtual transaction names one transaction for good, not a session.
    SELECT array_agg(virtualtransaction) INTO writers FROM pg_locks
    WHERE locktype = 'advisory' AND classid = 1635083369 AND objid::bigint = place AND objsubid = 2
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
    FOR attempt IN 1..100 LOOP
        IF writers IS NULL OR NOT EXISTS (
            SELECT FROM pg_locks
            WHERE locktype = 'advisory' AND classid = 1635083369 AND objid::bigint = place
              AND virtualtransaction = ANY (writers)
        ) THEN
            RETURN horizon;
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RETURN NULL;
END
$$;
GRANT EXECUTE ON FUNCTION audit_horizon(uuid) TO celaest_app;

-- A seal's id is the beginning of its digest, so that it is sealed as well.
-- No policy lets anybody change a seal, so the owner does it past them.
ALTER TABLE audit_seals NO FORCE ROW LEVEL SECURITY;
UPDATE audit_seals SET id = left(digest, 32)::uuid WHERE id <> left(digest, 32)::uuid;
ALTER TABLE audit_seals FORCE ROW LEVEL SECURITY;

-- A connection that was forgotten in a transaction lets go of what it holds.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'celaest_app'
                   AND rolconfig @> ARRAY['idle_in_transaction_session_timeout=60s']) THEN
        ALTER ROLE celaest_app SET idle_in_transaction_session_timeout = '60s';
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE WARNING 'ALTER ROLE celaest_app SET idle_in_transaction_session_timeout = ''60s'' was refused: run it as a superuser';
END
$$;

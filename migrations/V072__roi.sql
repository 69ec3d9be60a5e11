-- The return on AI by day, week and month: which rows of roi_metrics are due, and the same of each product and
-- person.

SET LOCAL celaest.access = 'system';

-- What was added up anew since its periods were measured. As with marks, no key but its own.
CREATE TABLE roi_due (
    organization_id uuid        NOT NULL,
    quarter         timestamptz NOT NULL,
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY
);
CREATE INDEX idx_roi_due_organization ON roi_due (organization_id, quarter);
ALTER TABLE roi_due ENABLE ROW LEVEL SECURITY;
ALTER TABLE roi_due FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON roi_due USING (app_sees(organization_id));
GRANT SELECT, DELETE ON roi_due TO celaest_app;

-- roi_metrics of a part of the organization's tasks: those of a product, or of a person.
CREATE TABLE roi_metrics_parts (
    organization_id           uuid          NOT NULL REFERENCES organizations (id),
    period_type               varchar(20)   NOT NULL,
    period_start              date          NOT NULL,
    period_end                date          NOT NULL,
    product_id                uuid,
    user_id                   uuid,
    tasks_completed           bigint        NOT NULL DEFAULT 0,
    tasks_failed              bigint        NOT NULL DEFAULT 0,
    success_rate              numeric(5,2),
    time_saved_minutes        bigint        NOT NULL DEFAULT 0,
    manual_equivalent_minutes bigint        NOT NULL DEFAULT 0,
    cost_ai                   numeric(12,2) NOT NULL DEFAULT 0,
    cost_manual_equivalent    numeric(12,2) NOT NULL DEFAULT 0,
    money_saved               numeric(12,2) NOT NULL DEFAULT 0,
    total_tokens              bigint        NOT NULL DEFAULT 0,
    avg_tokens_per_task       integer,
    avg_execution_time_ms     integer,
    p95_execution_time_ms     integer,
    p99_execution_time_ms     integer,
    metadata                  jsonb         NOT NULL DEFAULT '{}',
    created_at                timestamptz   NOT NULL DEFAULT now(),
    updated_at                timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT roi_metrics_parts_type_check CHECK (period_type IN ('daily', 'weekly', 'monthly')),
    CONSTRAINT roi_metrics_parts_period_check CHECK (period_end >= period_start),
    CONSTRAINT roi_metrics_parts_part_check CHECK (num_nonnulls(product_id, user_id) = 1),
    CONSTRAINT roi_metrics_parts_success_rate_check CHECK (success_rate BETWEEN 0 AND 100),
    CONSTRAINT roi_metrics_parts_counts_check CHECK (tasks_completed >= 0 AND tasks_failed >= 0)
);
CREATE UNIQUE INDEX roi_metrics_parts_key
    ON roi_metrics_parts (organization_id, period_type, period_start, product_id, user_id) NULLS NOT DISTINCT;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON roi_metrics_parts
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
ALTER TABLE roi_metrics_parts ENABLE ROW LEVEL SECURITY;
ALTER TABLE roi_metrics_parts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON roi_metrics_parts USING (app_sees(organization_id)
    AND (app_owner_id() IS NULL OR user_id = app_owner_id()));
GRANT SELECT, INSERT, UPDATE, DELETE ON roi_metrics_parts TO celaest_app;

-- Notes what a return is made of as it is added up. Called by who adds up alone, one at a time.
CREATE FUNCTION roi_note() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    was text := app_switch('system');
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO roi_due (organization_id, quarter)
        SELECT DISTINCT n.organization_id, n.at FROM new_rows n WHERE n.span = 15;
    ELSE
        INSERT INTO roi_due (organization_id, quarter)
        SELECT DISTINCT o.organization_id, o.at FROM old_rows o WHERE o.span = 15;
    END IF;
    PERFORM app_switch(was);
    RETURN NULL;
END
$$;
DO $$
DECLARE
    kind text;
BEGIN
    FOREACH kind IN ARRAY ARRAY['ai', 'people', 'sales'] LOOP
        EXECUTE format('CREATE TRIGGER note_new AFTER INSERT ON rollup_%s REFERENCING NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION roi_note()', kind);
        EXECUTE format('CREATE TRIGGER note_gone AFTER DELETE ON rollup_%s REFERENCING OLD TABLE AS old_rows
            FOR EACH STATEMENT EXECUTE FUNCTION roi_note()', kind);
    END LOOP;
END
$$;

-- The pool of provider keys and the catalogue of models, as the worker runs them.

-- ------------------------------------------------------------------ ai_models

ALTER TABLE ai_models
    -- Other names for it: "fast", "smart". Several models may share one.
    ADD COLUMN aliases            text[] NOT NULL DEFAULT '{}',
    -- Of the part of a question that the provider reads from its cache. Some prices have more than six places.
    ADD COLUMN cost_per_1k_cached numeric(14,9),
    ADD CONSTRAINT ai_models_cost_cached_check CHECK (cost_per_1k_cached >= 0),
    ADD CONSTRAINT ai_models_aliases_check CHECK (cardinality(aliases) <= 20);

-- ---------------------------------------------------------------- ai_api_pool

ALTER TABLE ai_api_pool
    -- Whose key it is; without one it is the platform's, and serves everybody.
    ADD COLUMN organization_id uuid REFERENCES organizations (id),
    -- SHA-256 of provider and key: the same key is not added twice.
    ADD COLUMN key_fingerprint char(64),
    -- Raised when a person gives the key a clean record.
    ADD COLUMN generation      integer     NOT NULL DEFAULT 1,
    -- What the pool's object knows of it, written behind.
    ADD COLUMN state           varchar(20) NOT NULL DEFAULT 'active',
    ADD COLUMN state_reason    varchar(100),
    ADD COLUMN state_since     timestamptz,
    ADD COLUMN cooling_until   timestamptz,
    ADD COLUMN report_sequence bigint      NOT NULL DEFAULT 0,
    ADD CONSTRAINT ai_api_pool_state_check CHECK (state IN ('active', 'cooling', 'disabled')),
    ADD CONSTRAINT ai_api_pool_name_key UNIQUE NULLS NOT DISTINCT (organization_id, provider, key_name),
    -- A weight of nothing or less: only where nothing else weighs more.
    DROP CONSTRAINT ai_api_pool_counts_check,
    ADD CONSTRAINT ai_api_pool_counts_check CHECK (
        consecutive_failures >= 0 AND usage_count >= 0 AND tokens_used >= 0 AND generation > 0);

CREATE UNIQUE INDEX ai_api_pool_fingerprint_key ON ai_api_pool (key_fingerprint, organization_id)
    NULLS NOT DISTINCT WHERE key_fingerprint IS NOT NULL;
-- What the health check looks for.
CREATE INDEX idx_ai_api_pool_checked ON ai_api_pool (last_health_check NULLS FIRST) WHERE is_active;

-- A use, or what is known of the key, is no change of the key.
DROP TRIGGER set_updated_at ON ai_api_pool;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON ai_api_pool
    FOR EACH ROW
    WHEN ((OLD.key_name, OLD.key_value_encrypted, OLD.is_active, OLD.generation, OLD.rate_limit_rpm,
           OLD.rate_limit_tpm, OLD.rate_limit_rpd, OLD.priority, OLD.weight, OLD.notes, OLD.metadata, OLD.expires_at)
          IS DISTINCT FROM
          (NEW.key_name, NEW.key_value_encrypted, NEW.is_active, NEW.generation, NEW.rate_limit_rpm,
           NEW.rate_limit_tpm, NEW.rate_limit_rpd, NEW.priority, NEW.weight, NEW.notes, NEW.metadata, NEW.expires_at))
    EXECUTE FUNCTION set_updated_at();

-- An organization sees and keeps its own keys; the platform's are the system's.
DROP POLICY system_only ON ai_api_pool;
CREATE POLICY tenant ON ai_api_pool USING (app_sees(organization_id) AND app_owner_id() IS NULL);

-- ------------------------------------------------------------- ai_key_imports

-- Keys that were taken from the worker's variables, each once: one that was deleted does not come back.
CREATE TABLE ai_key_imports (
    key_fingerprint char(64)    PRIMARY KEY,
    variable        varchar(50) NOT NULL,
    imported_at     timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE ai_key_imports ENABLE ROW LEVEL SECURITY;
ALTER TABLE ai_key_imports FORCE ROW LEVEL SECURITY;
CREATE POLICY system_only ON ai_key_imports USING (app_is_system());
GRANT SELECT, INSERT ON ai_key_imports TO celaest_app;

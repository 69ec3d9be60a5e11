-- IA-Mesh: models, the pool of provider keys, prompts, batches, tasks and the
-- return on investment computed from them.

CREATE TYPE ai_provider AS ENUM ('gemini', 'groq', 'deepseek', 'openai', 'anthropic', 'local');

-- ------------------------------------------------------------------ ai_models

CREATE TABLE ai_models (
    id                 uuid          PRIMARY KEY DEFAULT uuid_generate_v4(),
    provider           ai_provider   NOT NULL,
    model_id           varchar(100)  NOT NULL,
    display_name       varchar(200)  NOT NULL,
    capabilities       jsonb         NOT NULL DEFAULT '{"text_generation": true, "code_generation": false, "vision": false, "function_calling": false, "streaming": true, "json_mode": false}',
    max_tokens_input   integer,
    max_tokens_output  integer,
    context_window     integer,
    cost_per_1k_input  numeric(10,6),
    cost_per_1k_output numeric(10,6),
    is_active          boolean       NOT NULL DEFAULT true,
    is_default         boolean       NOT NULL DEFAULT false,
    priority           integer       NOT NULL DEFAULT 0,
    notes              text,
    metadata           jsonb         NOT NULL DEFAULT '{}',
    created_at         timestamptz   NOT NULL DEFAULT now(),
    updated_at         timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT ai_models_provider_model_key UNIQUE (provider, model_id),
    CONSTRAINT ai_models_tokens_check CHECK (
        max_tokens_input > 0 AND max_tokens_output > 0 AND context_window > 0),
    CONSTRAINT ai_models_cost_check CHECK (cost_per_1k_input >= 0 AND cost_per_1k_output >= 0)
);
CREATE UNIQUE INDEX ai_models_default_key ON ai_models (is_default) WHERE is_default;
CREATE INDEX idx_ai_models_active ON ai_models (provider, priority) WHERE is_active;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON ai_models
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- ---------------------------------------------------------------- ai_api_pool

-- The keys are encrypted by the worker (AES-256-GCM, the row's id as associated
-- data); the database never holds what would decrypt them.
CREATE TABLE ai_api_pool (
    id                     uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    provider               ai_provider  NOT NULL,
    key_name               varchar(100) NOT NULL,
    key_value_encrypted    bytea        NOT NULL,
    encryption_key_version integer      NOT NULL DEFAULT 1,
    key_hint               varchar(10),
    is_active              boolean      NOT NULL DEFAULT true,
    is_healthy             boolean      NOT NULL DEFAULT true,
    last_health_check      timestamptz,
    consecutive_failures   integer      NOT NULL DEFAULT 0,
    rate_limit_rpm         integer,
    rate_limit_tpm         integer,
    rate_limit_rpd         integer,
    usage_count            bigint       NOT NULL DEFAULT 0,
    tokens_used            bigint       NOT NULL DEFAULT 0,
    last_used_at           timestamptz,
    priority               integer      NOT NULL DEFAULT 0,
    weight                 integer      NOT NULL DEFAULT 100,
    notes                  text,
    metadata               jsonb        NOT NULL DEFAULT '{}',
    created_at             timestamptz  NOT NULL DEFAULT now(),
    updated_at             timestamptz  NOT NULL DEFAULT now(),
    expires_at             timestamptz,
    CONSTRAINT ai_api_pool_limits_check CHECK (
        rate_limit_rpm > 0 AND rate_limit_tpm > 0 AND rate_limit_rpd > 0),
    CONSTRAINT ai_api_pool_counts_check CHECK (
        consecutive_failures >= 0 AND usage_count >= 0 AND tokens_used >= 0 AND weight >= 0)
);
CREATE INDEX idx_ai_api_pool_health ON ai_api_pool (is_healthy, priority) WHERE is_active;
CREATE INDEX idx_ai_api_pool_provider ON ai_api_pool (provider) WHERE is_active;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON ai_api_pool
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- ------------------------------------------------------------- prompts_master

-- Without an organization a prompt is the platform's own: everybody reads it,
-- only the system changes it.
CREATE TABLE prompts_master (
    id                   uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    organization_id      uuid         REFERENCES organizations (id),
    slug                 varchar(100) NOT NULL,
    name                 varchar(200) NOT NULL,
    description          text,
    category             varchar(50)  NOT NULL,
    subcategory          varchar(50),
    system_prompt        text         NOT NULL,
    user_prompt_template text,
    variables            jsonb        NOT NULL DEFAULT '[]',
    preferred_model_id   uuid         REFERENCES ai_models (id) ON DELETE SET NULL,
    temperature          numeric(3,2) NOT NULL DEFAULT 0.7,
    max_tokens           integer      NOT NULL DEFAULT 2048,
    top_p                numeric(3,2) NOT NULL DEFAULT 1.0,
    version              integer      NOT NULL DEFAULT 1,
    is_active            boolean      NOT NULL DEFAULT true,
    is_default           boolean      NOT NULL DEFAULT false,
    parent_id            uuid         REFERENCES prompts_master (id) ON DELETE SET NULL,
    usage_count          bigint       NOT NULL DEFAULT 0,
    avg_response_time_ms integer,
    success_rate         numeric(5,2),
    tags                 text[],
    notes                text,
    metadata             jsonb        NOT NULL DEFAULT '{}',
    created_at           timestamptz  NOT NULL DEFAULT now(),
    updated_at           timestamptz  NOT NULL DEFAULT now(),
    -- Unique within its owner: a global rule would let one tenant find out, and
    -- block, the names another one uses.
    CONSTRAINT prompts_master_slug_version_key
        UNIQUE NULLS NOT DISTINCT (slug, version, organization_id),
    CONSTRAINT prompts_master_temperature_check CHECK (temperature BETWEEN 0 AND 2),
    CONSTRAINT prompts_master_top_p_check CHECK (top_p > 0 AND top_p <= 1),
    CONSTRAINT prompts_master_numbers_check CHECK (
        max_tokens > 0 AND version > 0 AND usage_count >= 0 AND avg_response_time_ms >= 0),
    CONSTRAINT prompts_master_success_rate_check CHECK (success_rate BETWEEN 0 AND 100),
    CONSTRAINT prompts_master_parent_check CHECK (parent_id <> id)
);
CREATE INDEX idx_prompts_master_organization ON prompts_master (organization_id, category);
CREATE INDEX idx_prompts_master_active ON prompts_master (slug, version DESC) WHERE is_active;
CREATE INDEX idx_prompts_master_preferred_model ON prompts_master (preferred_model_id);
CREATE INDEX idx_prompts_master_parent ON prompts_master (parent_id);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON prompts_master
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- --------------------------------------------------------------- task_batches

CREATE TABLE task_batches (
    id              uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    organization_id uuid         NOT NULL REFERENCES organizations (id),
    user_id         uuid         NOT NULL REFERENCES users_profile (id),
    name            varchar(200),
    status          task_status  NOT NULL DEFAULT 'pending',
    total_tasks     integer      NOT NULL DEFAULT 0,
    completed_tasks integer      NOT NULL DEFAULT 0,
    failed_tasks    integer      NOT NULL DEFAULT 0,
    metadata        jsonb        NOT NULL DEFAULT '{}',
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    started_at      timestamptz,
    completed_at    timestamptz,
    CONSTRAINT task_batches_id_organization_key UNIQUE (id, organization_id),
    CONSTRAINT task_batches_counts_check CHECK (
        total_tasks >= 0 AND completed_tasks >= 0 AND failed_tasks >= 0
        AND completed_tasks + failed_tasks <= total_tasks)
);
CREATE INDEX idx_task_batches_organization ON task_batches (organization_id, created_at DESC);
CREATE INDEX idx_task_batches_user ON task_batches (user_id);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON task_batches
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- ------------------------------------------------------------ processed_tasks

CREATE TABLE processed_tasks (
    id                uuid          PRIMARY KEY DEFAULT uuid_generate_v4(),
    organization_id   uuid          NOT NULL REFERENCES organizations (id),
    user_id           uuid          NOT NULL REFERENCES users_profile (id),
    license_id        uuid,
    batch_id          uuid,
    model_id          uuid          REFERENCES ai_models (id),
    api_key_id        uuid          REFERENCES ai_api_pool (id) ON DELETE SET NULL,
    prompt_id         uuid          REFERENCES prompts_master (id) ON DELETE SET NULL,
    -- The request_id that /api/v1/ai/process answered with.
    core_request_id   uuid,
    input_type        varchar(50),
    input_text        text,
    input_metadata    jsonb         NOT NULL DEFAULT '{}',
    output_json       jsonb,
    output_raw        text,
    output_confidence numeric(5,4),
    status            task_status   NOT NULL DEFAULT 'pending',
    error_message     text,
    error_code        varchar(50),
    retry_count       integer       NOT NULL DEFAULT 0,
    tokens_input      integer       NOT NULL DEFAULT 0,
    tokens_output     integer       NOT NULL DEFAULT 0,
    tokens_total      integer       GENERATED ALWAYS AS (tokens_input + tokens_output) STORED,
    cost_usd          numeric(10,6) NOT NULL DEFAULT 0,
    execution_time_ms integer,
    queue_time_ms     integer,
    ai_time_ms        integer,
    request_id        varchar(100),
    user_agent        varchar(500),
    ip_address        inet,
    metadata          jsonb         NOT NULL DEFAULT '{}',
    created_at        timestamptz   NOT NULL DEFAULT now(),
    started_at        timestamptz,
    completed_at      timestamptz,
    CONSTRAINT processed_tasks_license_fkey FOREIGN KEY (license_id, organization_id)
        REFERENCES licenses (id, organization_id),
    CONSTRAINT processed_tasks_batch_fkey FOREIGN KEY (batch_id, organization_id)
        REFERENCES task_batches (id, organization_id),
    CONSTRAINT processed_tasks_confidence_check CHECK (output_confidence BETWEEN 0 AND 1),
    CONSTRAINT processed_tasks_numbers_check CHECK (
        retry_count >= 0 AND tokens_input >= 0 AND tokens_output >= 0 AND cost_usd >= 0),
    CONSTRAINT processed_tasks_times_check CHECK (
        execution_time_ms >= 0 AND queue_time_ms >= 0 AND ai_time_ms >= 0)
);
CREATE UNIQUE INDEX processed_tasks_core_request_key ON processed_tasks (core_request_id);
CREATE INDEX idx_tasks_org_created ON processed_tasks (organization_id, created_at);
CREATE INDEX idx_tasks_user ON processed_tasks (user_id, created_at);
CREATE INDEX idx_tasks_license ON processed_tasks (license_id, created_at);
CREATE INDEX idx_tasks_batch ON processed_tasks (batch_id);
CREATE INDEX idx_tasks_model ON processed_tasks (model_id);
CREATE INDEX idx_tasks_api_key ON processed_tasks (api_key_id);
CREATE INDEX idx_tasks_prompt ON processed_tasks (prompt_id);
CREATE INDEX idx_tasks_unfinished ON processed_tasks (created_at)
    WHERE status IN ('pending', 'processing', 'retrying');

-- ---------------------------------------------------------------- roi_metrics

CREATE TABLE roi_metrics (
    id                       uuid          PRIMARY KEY DEFAULT uuid_generate_v4(),
    organization_id          uuid          NOT NULL REFERENCES organizations (id),
    period_type              varchar(20)   NOT NULL,
    period_start             date          NOT NULL,
    period_end               date          NOT NULL,
    tasks_completed          bigint        NOT NULL DEFAULT 0,
    tasks_failed             bigint        NOT NULL DEFAULT 0,
    success_rate             numeric(5,2),
    time_saved_minutes       bigint        NOT NULL DEFAULT 0,
    manual_equivalent_minutes bigint       NOT NULL DEFAULT 0,
    cost_ai                  numeric(12,2) NOT NULL DEFAULT 0,
    cost_manual_equivalent   numeric(12,2) NOT NULL DEFAULT 0,
    money_saved              numeric(12,2) NOT NULL DEFAULT 0,
    total_tokens             bigint        NOT NULL DEFAULT 0,
    avg_tokens_per_task      integer,
    avg_execution_time_ms    integer,
    p95_execution_time_ms    integer,
    p99_execution_time_ms    integer,
    active_users_count       integer       NOT NULL DEFAULT 0,
    new_users_count          integer       NOT NULL DEFAULT 0,
    metadata                 jsonb         NOT NULL DEFAULT '{}',
    created_at               timestamptz   NOT NULL DEFAULT now(),
    updated_at               timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT roi_metrics_period_type_check CHECK (period_type IN ('daily', 'weekly', 'monthly')),
    CONSTRAINT roi_metrics_period_check CHECK (period_end >= period_start),
    CONSTRAINT roi_metrics_success_rate_check CHECK (success_rate BETWEEN 0 AND 100),
    CONSTRAINT roi_metrics_counts_check CHECK (tasks_completed >= 0 AND tasks_failed >= 0)
);
CREATE UNIQUE INDEX idx_roi_org_period ON roi_metrics (organization_id, period_type, period_start);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON roi_metrics
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- Prompts: what a version weighs beside others, what was measured of it, and an end that keeps what refers to it.

ALTER TABLE prompts_master
    ADD COLUMN weight            integer NOT NULL DEFAULT 100,
    ADD COLUMN success_count     bigint  NOT NULL DEFAULT 0,
    -- Of the successful ones, so that the mean is exact.
    ADD COLUMN response_ms_total bigint  NOT NULL DEFAULT 0,
    ADD COLUMN deleted_at        timestamptz,
    ADD CONSTRAINT prompts_master_weight_check CHECK (weight BETWEEN 0 AND 1000),
    ADD CONSTRAINT prompts_master_measured_check CHECK (
        success_count BETWEEN 0 AND usage_count AND response_ms_total >= 0);

DROP INDEX idx_prompts_master_active;
CREATE INDEX idx_prompts_master_active ON prompts_master (slug, organization_id)
    WHERE is_active AND deleted_at IS NULL;

-- What is measured is no change of the prompt.
DROP TRIGGER set_updated_at ON prompts_master;
CREATE TRIGGER set_updated_at
    BEFORE UPDATE OF slug, name, description, category, subcategory, system_prompt, user_prompt_template, variables,
        preferred_model_id, temperature, max_tokens, top_p, is_active, is_default, weight, tags, notes, metadata,
        deleted_at
    ON prompts_master FOR EACH ROW EXECUTE FUNCTION set_updated_at();

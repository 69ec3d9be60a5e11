-- Whose budget the AI calls of an API key count against: one that was rotated, or made with a key that has a budget,
-- goes on with what that one has spent.

SET LOCAL celaest.access = 'system';

ALTER TABLE user_api_keys
    -- The key that had the budget first; its own where there is none.
    ADD COLUMN ai_account uuid REFERENCES user_api_keys (id) ON DELETE SET NULL;
CREATE INDEX idx_user_api_keys_ai_account ON user_api_keys (ai_account) WHERE ai_account IS NOT NULL;

-- Batches go once the tasks that they had have gone.
CREATE INDEX idx_task_batches_created ON task_batches (created_at);
GRANT DELETE ON task_batches TO celaest_app;
CREATE POLICY system_alone ON task_batches AS RESTRICTIVE FOR DELETE USING ((SELECT app_is_system()));
INSERT INTO retentions (table_name, setting, days) VALUES ('task_batches', 'tasks.retention_days', 730);

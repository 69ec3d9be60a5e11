-- AI tasks that are handed in and done later, alone or in batches: what is asked, who is next, how far a batch is.

SET LOCAL celaest.access = 'system';

-- ------------------------------------------------------------- processed_tasks

-- What is asked, beside input_text, of a task that is done later; what came of it beside its output.
ALTER TABLE processed_tasks
    ADD COLUMN request     jsonb,
    ADD COLUMN outcome     jsonb,
    -- Its place in its batch, from 0.
    ADD COLUMN batch_index integer;
DROP INDEX idx_tasks_batch;
CREATE INDEX idx_tasks_batch ON processed_tasks (batch_id, created_at, id) WHERE batch_id IS NOT NULL;
-- Who is next is in a table of its own.
DROP INDEX idx_tasks_unfinished;

-- ---------------------------------------------------------------- task_batches

ALTER TABLE task_batches
    ADD COLUMN license_id      uuid,
    ADD COLUMN prompt_id       uuid    REFERENCES prompts_master (id) ON DELETE SET NULL,
    ADD COLUMN cancelled_tasks integer NOT NULL DEFAULT 0,
    -- What all its tasks have in common.
    ADD COLUMN request         jsonb   NOT NULL DEFAULT '{}',
    -- Whether each task's end is told outside, or only the whole's.
    ADD COLUMN notify_each     boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT task_batches_counts_check,
    ADD CONSTRAINT task_batches_counts_check CHECK (
        total_tasks >= 0 AND completed_tasks >= 0 AND failed_tasks >= 0 AND cancelled_tasks >= 0
        AND completed_tasks + failed_tasks + cancelled_tasks <= total_tasks),
    ADD CONSTRAINT task_batches_license_fkey FOREIGN KEY (license_id, organization_id)
        REFERENCES licenses (id, organization_id);
CREATE INDEX idx_task_batches_license ON task_batches (license_id);
CREATE INDEX idx_task_batches_prompt ON task_batches (prompt_id);
DROP INDEX idx_task_batches_organization;
CREATE INDEX idx_task_batches_organization ON task_batches (organization_id, created_at, id);

-- --------------------------------------------------------------- ai_task_queue

-- A row for each task that is not finished. Whoever holds it has drawn its lease; it is nobody else's before due_at,
-- when it is due again whatever became of them.
CREATE TABLE ai_task_queue (
    task_id         uuid        PRIMARY KEY,
    task_created_at timestamptz NOT NULL,
    organization_id uuid        NOT NULL REFERENCES organizations (id),
    user_id         uuid        NOT NULL REFERENCES users_profile (id),
    license_id      uuid        NOT NULL,
    batch_id        uuid,
    -- The call that it becomes: one for all attempts, so that it is charged once.
    call_id         uuid        NOT NULL,
    -- Our API key that it was handed in with.
    caller_key_id   uuid        REFERENCES user_api_keys (id) ON DELETE SET NULL,
    place           bigint      GENERATED ALWAYS AS IDENTITY,
    queued_at       timestamptz NOT NULL DEFAULT now(),
    due_at          timestamptz NOT NULL DEFAULT now(),
    attempts        integer     NOT NULL DEFAULT 0,
    lease           uuid,
    -- While somebody holds it: its answer is not wanted any more.
    is_cancelled    boolean     NOT NULL DEFAULT false,
    CONSTRAINT ai_task_queue_license_fkey FOREIGN KEY (license_id, organization_id)
        REFERENCES licenses (id, organization_id),
    CONSTRAINT ai_task_queue_batch_fkey FOREIGN KEY (batch_id, organization_id)
        REFERENCES task_batches (id, organization_id),
    CONSTRAINT ai_task_queue_attempts_check CHECK (attempts >= 0)
);
-- The next of a license, those alone and those in batches apart.
CREATE INDEX idx_ai_task_queue_next ON ai_task_queue (license_id, (batch_id IS NOT NULL), due_at, place);
CREATE INDEX idx_ai_task_queue_due ON ai_task_queue (due_at);
CREATE INDEX idx_ai_task_queue_held ON ai_task_queue (due_at) WHERE lease IS NOT NULL;
CREATE INDEX idx_ai_task_queue_batch ON ai_task_queue (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX idx_ai_task_queue_organization ON ai_task_queue (organization_id);
CREATE INDEX idx_ai_task_queue_user ON ai_task_queue (user_id);
CREATE INDEX idx_ai_task_queue_caller_key ON ai_task_queue (caller_key_id) WHERE caller_key_id IS NOT NULL;

ALTER TABLE ai_task_queue ENABLE ROW LEVEL SECURITY;
ALTER TABLE ai_task_queue FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON ai_task_queue USING (app_sees_owned(organization_id, user_id));
GRANT SELECT, INSERT, UPDATE, DELETE ON ai_task_queue TO celaest_app;

-- --------------------------------------------------------------- ai_task_turns

-- When a license's tasks were last taken up, so that the next is somebody else's; and until when none is, because
-- there was no room for it.
CREATE TABLE ai_task_turns (
    license_id      uuid        PRIMARY KEY,
    organization_id uuid        NOT NULL REFERENCES organizations (id),
    served_at       timestamptz NOT NULL,
    held_until      timestamptz,
    CONSTRAINT ai_task_turns_license_fkey FOREIGN KEY (license_id, organization_id)
        REFERENCES licenses (id, organization_id)
);
CREATE INDEX idx_ai_task_turns_organization ON ai_task_turns (organization_id);
ALTER TABLE ai_task_turns ENABLE ROW LEVEL SECURITY;
ALTER TABLE ai_task_turns FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON ai_task_turns USING (app_sees(organization_id));
GRANT SELECT, INSERT, UPDATE ON ai_task_turns TO celaest_app;

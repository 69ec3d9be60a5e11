-- Invitations, sessions and keys that replace each other; and an outbox that knows
-- what was done with a message, not only that a queue took it.

-- ------------------------------------------------------------- users_profile

-- Somebody who was invited gets a profile before the sign-in provider knows them.
-- auth_user_id is the subject of their tokens, found at the first sign-in; NULL
-- for a profile whose id is the subject itself.
ALTER TABLE users_profile
    ADD COLUMN auth_user_id uuid,
    ADD COLUMN invited_by   uuid REFERENCES users_profile (id),
    ADD COLUMN invited_at   timestamptz,
    ADD COLUMN activated_at timestamptz;
CREATE UNIQUE INDEX idx_users_profile_auth_user ON users_profile (auth_user_id)
    WHERE deleted_at IS NULL AND auth_user_id IS NOT NULL;
CREATE INDEX idx_users_profile_invited_by ON users_profile (invited_by);

-- ------------------------------------------------------------- user_api_keys

-- The key that a rotation made in this one's place, and who made this one.
ALTER TABLE user_api_keys
    ADD COLUMN replaced_by uuid REFERENCES user_api_keys (id),
    ADD COLUMN created_by  uuid REFERENCES users_profile (id);
CREATE INDEX idx_user_api_keys_replaced_by ON user_api_keys (replaced_by);
CREATE INDEX idx_user_api_keys_created_by ON user_api_keys (created_by);

-- ----------------------------------------------------------- outbox_messages

-- Set by the consumer. A message that a queue took and lost is sent again.
ALTER TABLE outbox_messages ADD COLUMN processed_at timestamptz;
UPDATE outbox_messages SET processed_at = sent_at WHERE sent_at IS NOT NULL;

DROP INDEX idx_outbox_messages_due, idx_outbox_messages_sent;
CREATE INDEX idx_outbox_messages_due ON outbox_messages (available_at) WHERE processed_at IS NULL;
CREATE INDEX idx_outbox_messages_processed ON outbox_messages (processed_at)
    WHERE processed_at IS NOT NULL;
-- Replaying what an organization was told since a moment.
DROP INDEX idx_outbox_messages_organization;
CREATE INDEX idx_outbox_messages_organization ON outbox_messages (organization_id, created_at);

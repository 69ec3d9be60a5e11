-- Invitations that reserve nothing and are accepted by their token; addresses that are
-- compared as they are stored; and keys that end with the key they were made with.

-- Forced policies also bind a database owner who is no superuser.
SET LOCAL celaest.access = 'system';

-- ------------------------------------------------------------- users_profile

-- A hash of the token in the e-mail. It stays when the invitation was accepted, so that
-- whoever accepts twice gets the same answer. Invitations from before have none: they are
-- sent again.
ALTER TABLE users_profile
    ADD COLUMN invitation_hash       varchar(64),
    ADD COLUMN invitation_expires_at timestamptz;
CREATE UNIQUE INDEX idx_users_profile_invitation ON users_profile (invitation_hash)
    WHERE invitation_hash IS NOT NULL;

-- The worker stores addresses in the one form in which it compares them, and the database
-- folds nothing. What is there is brought near that form.
DROP INDEX idx_users_profile_email;
UPDATE users_profile SET email = lower(normalize(email) COLLATE "C")
    WHERE email <> lower(normalize(email) COLLATE "C");

-- An address names one living person who came, and one of an organization, invited or not.
CREATE UNIQUE INDEX idx_users_profile_email ON users_profile (email)
    WHERE deleted_at IS NULL AND (invited_at IS NULL OR activated_at IS NOT NULL);
CREATE UNIQUE INDEX idx_users_profile_organization_email ON users_profile (organization_id, email)
    WHERE deleted_at IS NULL;

-- Whoever may take a super administrator away holds these rows first.
CREATE INDEX idx_users_profile_super_admins ON users_profile (id)
    WHERE role = 'super_admin' AND deleted_at IS NULL;

-- ----------------------------------------------------------- outbox_messages

-- What the worker tells itself, whoever's change it was, is of no organization.
CREATE POLICY internal_insert ON outbox_messages FOR INSERT
    WITH CHECK (organization_id IS NULL AND app_has_access());

-- ------------------------------------------------------------- user_api_keys

-- The key with which this one was made, and with which it ends.
ALTER TABLE user_api_keys ADD COLUMN made_with uuid REFERENCES user_api_keys (id);
CREATE INDEX idx_user_api_keys_made_with ON user_api_keys (made_with);
-- Keys are found by their hash.
DROP INDEX idx_user_api_keys_prefix;

-- A webhook carries what its owner may read, keeps every secret that was promised, and
-- knows when somebody brought it back.

SET LOCAL celaest.access = 'system';

ALTER TABLE webhooks
    -- Grows when somebody activates it or gives it another address: what was given up
    -- before is tried again.
    ADD COLUMN generation       bigint NOT NULL DEFAULT 1,
    -- What whoever subscribed it could read then. It carries of that what its owner may
    -- read now.
    ADD COLUMN carries          text[] NOT NULL DEFAULT '{}',
    -- Secrets that sign as well until their end, the latest last:
    -- [{"sealed": base64, "key_version": number, "expires_at": time}]
    ADD COLUMN previous_secrets jsonb  NOT NULL DEFAULT '[]';

UPDATE webhooks SET
    carries = '{licenses:read,users:read,api_keys:read,organizations:read,webhooks:read}',
    previous_secrets = CASE WHEN previous_secret_encrypted IS NULL THEN '[]' ELSE jsonb_build_array(jsonb_build_object(
        'sealed', translate(encode(previous_secret_encrypted, 'base64'), E'\n', ''),
        'key_version', previous_encryption_key_version, 'expires_at', previous_secret_expires_at)) END;

ALTER TABLE webhooks
    DROP CONSTRAINT webhooks_version_check,
    DROP CONSTRAINT webhooks_disabled_reason_check,
    DROP COLUMN previous_secret_encrypted,
    DROP COLUMN previous_encryption_key_version,
    DROP COLUMN previous_secret_expires_at,
    ADD CONSTRAINT webhooks_version_check CHECK (version > 0 AND generation > 0 AND report_sequence >= 0),
    ADD CONSTRAINT webhooks_disabled_reason_check
        CHECK (disabled_reason IN ('gone', 'failing', 'backlog', 'owner')),
    ADD CONSTRAINT webhooks_previous_secrets_check CHECK (jsonb_typeof(previous_secrets) = 'array');

-- Flags by environment and with values for single users and organizations; and who
-- changed them last.

ALTER TABLE feature_flags
    -- Where the flag is known; empty for everywhere.
    ADD COLUMN environments text[] NOT NULL DEFAULT '{}',
    -- {"users": {id: on or off}, "organizations": {id: on or off}}
    ADD COLUMN overrides    jsonb  NOT NULL DEFAULT '{"users": {}, "organizations": {}}',
    ADD COLUMN updated_by   uuid   REFERENCES users_profile (id),
    ADD CONSTRAINT feature_flags_flag_key_check
        CHECK (flag_key ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'),
    ADD CONSTRAINT feature_flags_environments_check
        CHECK (array_position(environments, NULL) IS NULL),
    ADD CONSTRAINT feature_flags_overrides_check CHECK (
        jsonb_typeof(overrides) = 'object'
        AND overrides - 'users' - 'organizations' = '{}'
        AND NOT jsonb_path_exists(overrides, 'strict $.* ? (@.type() != "object")')
        AND NOT jsonb_path_exists(overrides,
            'strict $.* ? (@.type() == "object").* ? (@.type() != "boolean")'));
CREATE INDEX idx_feature_flags_updated_by ON feature_flags (updated_by);

-- What is marked sensitive is stored sealed: {"version": 1, "sealed": "…"}. A value
-- in clear, written by hand, is refused rather than kept.
ALTER TABLE system_config ADD CONSTRAINT system_config_sensitive_check CHECK (
    NOT is_sensitive OR coalesce(
        jsonb_typeof(value) = 'object' AND jsonb_typeof(value -> 'version') = 'number'
        AND jsonb_typeof(value -> 'sealed') = 'string', false));

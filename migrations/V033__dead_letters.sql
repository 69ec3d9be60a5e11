-- What no consumer could deal with, where an operator reads it and sends it again; an
-- outbox that tries less and less often and has an end; and what became of the jobs.

SET LOCAL celaest.access = 'system';

-- ---------------------------------------------------------------- dead_letters

CREATE TABLE dead_letters (
    id            uuid         PRIMARY KEY DEFAULT uuid_generate_v4(),
    -- Where it came from, and where it goes when it is sent again.
    queue         varchar(100) NOT NULL,
    -- The message as it was. What dies again is the same row.
    body          text         NOT NULL,
    body_hash     varchar(64)  NOT NULL,
    reason        text         NOT NULL,
    -- When the queue took it the last time, and how often it came here.
    queued_at     timestamptz  NOT NULL,
    deaths        integer      NOT NULL DEFAULT 1,
    status        varchar(20)  NOT NULL DEFAULT 'waiting',
    first_seen_at timestamptz  NOT NULL DEFAULT now(),
    last_seen_at  timestamptz  NOT NULL DEFAULT now(),
    replayed_at   timestamptz,
    replayed_by   uuid         REFERENCES users_profile (id),
    CONSTRAINT dead_letters_message_key UNIQUE (queue, body_hash),
    CONSTRAINT dead_letters_status_check CHECK (status IN ('waiting', 'replayed')),
    CONSTRAINT dead_letters_counts_check CHECK (deaths > 0)
);
CREATE INDEX idx_dead_letters_last_seen ON dead_letters (last_seen_at, id);
CREATE INDEX idx_dead_letters_waiting ON dead_letters (queue) WHERE status = 'waiting';
CREATE INDEX idx_dead_letters_replayed_by ON dead_letters (replayed_by);
ALTER TABLE dead_letters ENABLE ROW LEVEL SECURITY;
ALTER TABLE dead_letters FORCE ROW LEVEL SECURITY;
CREATE POLICY system_only ON dead_letters USING (app_is_system());
GRANT SELECT, INSERT, UPDATE, DELETE ON dead_letters TO celaest_app;

-- -------------------------------------------------------------------- job_runs

-- The last run of each job of the clock.
CREATE TABLE job_runs (
    name             varchar(100) PRIMARY KEY,
    started_at       timestamptz  NOT NULL,
    finished_at      timestamptz  NOT NULL,
    -- How many things it dealt with.
    done             bigint,
    runs             bigint       NOT NULL DEFAULT 1,
    failures         bigint       NOT NULL DEFAULT 0,
    last_failed_at   timestamptz,
    last_error       text
);
ALTER TABLE job_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE job_runs FORCE ROW LEVEL SECURITY;
CREATE POLICY system_only ON job_runs USING (app_is_system());
GRANT SELECT, INSERT, UPDATE ON job_runs TO celaest_app;

-- ------------------------------------------------------------- outbox_messages

-- available_at says when a message is sent next. A new one is its request's business for
-- ten seconds; each time it is sent it moves on. One that became a dead letter is parked at
-- infinity, so that its payload stays until somebody has dealt with that.
ALTER TABLE outbox_messages ALTER COLUMN available_at SET DEFAULT now() + interval '10 seconds';

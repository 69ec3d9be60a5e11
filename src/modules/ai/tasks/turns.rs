//! Who is next, and what became of them: two statements, each one transaction.
//!
//! Turns go round the tenants: whoever has the fewest tasks under way comes first, and of those whoever waited
//! longest. Within a tenant they go round its licenses, each with no more under way than it allows. Within a license
//! tasks that were handed in alone come before those of batches, four to one, so that neither starves.

use crate::db::facts::{Action, Fact, Message};
use crate::db::{Query, Tx, sql};
use crate::error::{Code, Result};
use crate::language::Language;
use crate::modules::ai::batches::queries::COLUMNS as BATCH;
use crate::modules::ai::tasks::asking::Asked;
use crate::modules::ai::tasks::queries::COLUMNS;
use celaest_domain::ai::chat::Options;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Tasks of one license under way, whatever it allows.
const MOST_OF_LICENSE: u32 = 32;
/// How much longer a task is held than it may take, in milliseconds.
const GRACE_MS: u32 = 30_000;

/// A task that was taken up.
#[derive(Debug, Deserialize)]
pub struct Turn {
    /// The task.
    pub task_id: Uuid,
    /// Proves that it is still ours when we settle it.
    pub lease: Uuid,
    /// The call that it becomes.
    pub call_id: Uuid,
    /// Attempts so far, this one included.
    pub attempts: u32,
    /// The organization.
    pub organization_id: Uuid,
    /// Who handed it in.
    pub user_id: Uuid,
    /// Whether they may use only their own licenses.
    pub own_only: bool,
    /// Whether they are still there and may ask.
    pub is_welcome: bool,
    /// Their role, for what it allows.
    pub role: String,
    /// Their scopes.
    pub scopes: Option<Vec<String>>,
    /// With which API key.
    pub caller_key: Option<CallerKey>,
    /// The license that it uses.
    pub license_id: Uuid,
    /// The version of a stored prompt.
    pub prompt_id: Option<Uuid>,
    /// The text that is asked about.
    pub input_text: Option<String>,
    /// Everything else.
    pub request: Asked,
    /// What all tasks of its batch have in common.
    pub common: Option<Common>,
    /// The request that it was handed in with.
    pub request_id: Option<String>,
    /// Where that came from.
    pub ip: Option<String>,
    /// By which program.
    pub user_agent: Option<String>,
}

/// One of our API keys.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct CallerKey {
    /// Which one.
    pub id: Uuid,
    /// Whether it still works.
    pub works: bool,
    /// What it may spend in a period of a license, in millionths of a dollar.
    pub budget_micro: Option<i64>,
    /// The key whose spending it goes on with.
    pub account: Option<Uuid>,
}

/// What all tasks of a batch have in common.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Common {
    /// Values of the prompt's variables, unless a task has its own.
    pub variables: BTreeMap<String, Value>,
    /// How they are asked.
    #[serde(flatten)]
    pub options: Options,
}

/// What [`claim`] takes.
#[derive(Debug, Deserialize)]
pub struct Claimed {
    /// The tasks.
    pub turns: Vec<Turn>,
    /// There are some, but somebody else holds all of them at this moment: takes them up, or changes them. In the
    /// second case nobody comes for them again.
    pub passed_over: bool,
}

/// Takes up to `room` tasks: each is nobody else's until its time is over. Returns a [`Claimed`].
pub fn claim(room: usize) -> Query {
    let allowed = "CASE WHEN jsonb_typeof(c.most) = 'number' THEN CASE WHEN c.most::numeric < 0 THEN $2::numeric
        ELSE floor(c.most::numeric) END ELSE 2 END";
    let lane = |condition: &str, weight: &str| {
        format!(
            "(SELECT q.task_id, (row_number() OVER (ORDER BY q.due_at, q.place) + {weight}) AS turn
              FROM ai_task_queue q
              WHERE q.license_id = o.license_id AND (q.batch_id IS NOT NULL) = {condition} AND q.due_at <= now()
                AND NOT q.is_cancelled AND q.attempts < $3::integer
              ORDER BY q.due_at, q.place LIMIT least(o.room, $1::bigint * 2))"
        )
    };
    // In four of five turns those alone come first; in the fifth the oldest of a batch does.
    let alone = lane("false", "CASE WHEN o.is_batchs THEN 1 ELSE 0 END");
    let batched = lane("true", "CASE WHEN o.is_batchs THEN 0 ELSE 1000 END");
    sql(format!(
        "WITH RECURSIVE walk AS (
           (SELECT q.license_id, q.organization_id FROM ai_task_queue q ORDER BY q.license_id LIMIT 1)
           UNION ALL
           SELECT n.license_id, n.organization_id FROM walk w CROSS JOIN LATERAL (
             SELECT q.license_id, q.organization_id FROM ai_task_queue q WHERE q.license_id > w.license_id
             ORDER BY q.license_id LIMIT 1) n
         ), busy AS (
           SELECT q.license_id, q.organization_id, count(*) AS tasks FROM ai_task_queue q
           WHERE q.lease IS NOT NULL AND q.due_at > now() GROUP BY 1, 2
         ), open AS MATERIALIZED (
           SELECT w.license_id, w.organization_id, coalesce(t.served_at, '-infinity') AS served_at,
             (least($2::numeric, {allowed}) - coalesce(b.tasks, 0))::bigint AS room, random() < 0.2 AS is_batchs
           FROM walk w
           JOIN licenses l ON l.id = w.license_id
           JOIN subscription_plans p ON p.id = l.plan_id
           CROSS JOIN LATERAL (SELECT coalesce(l.custom_limits->'max_concurrent_tasks',
             p.limits->'max_concurrent_tasks') AS most) c
           LEFT JOIN busy b ON b.license_id = w.license_id
           LEFT JOIN ai_task_turns t ON t.license_id = w.license_id
           WHERE t.held_until IS NULL OR t.held_until <= now()
         ), head AS (
           SELECT o.organization_id, o.license_id, o.served_at, o.room, n.task_id,
             row_number() OVER (PARTITION BY o.license_id ORDER BY n.turn) AS place
           FROM open o CROSS JOIN LATERAL ({alone} UNION ALL {batched}) n
           WHERE o.room > 0
         ), fair AS (
           SELECT h.organization_id, h.task_id, max(h.served_at) OVER (PARTITION BY h.organization_id) AS served_at,
             row_number() OVER (PARTITION BY h.organization_id ORDER BY h.place, h.served_at, h.license_id) AS place
           FROM head h WHERE h.place <= h.room
         ), next AS (
           SELECT f.task_id, f.place + coalesce(b.tasks, 0) AS turn, f.served_at
           FROM fair f LEFT JOIN (SELECT organization_id, sum(tasks) AS tasks FROM busy GROUP BY 1) b
             ON b.organization_id = f.organization_id
           ORDER BY turn, f.served_at, f.task_id LIMIT $1::bigint * 2
         ), mine AS (
           -- Whoever takes tasks at the same time takes others, and nobody waits for one that is being changed.
           SELECT q.task_id, q.task_created_at, q.queued_at, q.attempts FROM ai_task_queue q JOIN next n ON n.task_id = q.task_id
           JOIN processed_tasks t ON t.id = q.task_id AND t.created_at IS NOT DISTINCT FROM q.task_created_at
           WHERE q.task_id = ANY (ARRAY(SELECT task_id FROM next)) AND q.due_at <= now() AND NOT q.is_cancelled
           ORDER BY n.turn, n.served_at, q.task_id LIMIT $1::bigint
           FOR NO KEY UPDATE OF t SKIP LOCKED FOR UPDATE OF q SKIP LOCKED
         ), task AS (
           UPDATE processed_tasks t SET status = 'processing', started_at = now(),
             queue_time_ms = (extract(epoch FROM now() - m.queued_at) * 1000)::integer, retry_count = least(m.attempts, $3::integer - 1)
           FROM mine m WHERE t.id = m.task_id AND t.created_at IS NOT DISTINCT FROM m.task_created_at
           RETURNING t.id, t.batch_id, t.prompt_id, t.input_text, t.request, t.request_id, t.ip_address, t.user_agent
         ), taken AS (
           UPDATE ai_task_queue q SET lease = uuid_generate_v4(), attempts = q.attempts + 1,
             due_at = now() + make_interval(secs => (coalesce((b.request->>'deadline_ms')::integer,
               (t.request->>'deadline_ms')::integer, 120000) + $4::integer) / 1000.0)
           FROM task t LEFT JOIN task_batches b ON b.id = t.batch_id
           WHERE q.task_id = t.id AND q.task_id = ANY (ARRAY(SELECT task_id FROM mine))
           RETURNING q.*, t.prompt_id, t.input_text, t.request, t.request_id, t.ip_address, t.user_agent,
             b.request AS common
         ), started AS (
           SELECT b.id FROM task_batches b WHERE b.id IN (SELECT batch_id FROM taken) AND b.status = 'pending'
           ORDER BY b.id FOR NO KEY UPDATE
         ), batch AS (
           UPDATE task_batches b SET status = 'processing', started_at = coalesce(b.started_at, now())
           FROM started s WHERE b.id = s.id AND b.status = 'pending'
         ), turned AS (
           INSERT INTO ai_task_turns AS t (license_id, organization_id, served_at)
           SELECT license_id, organization_id, clock_timestamp() FROM taken GROUP BY 1, 2 ORDER BY 1
           ON CONFLICT (license_id) DO UPDATE SET served_at = excluded.served_at
         )
         SELECT json_build_object('passed_over', EXISTS (SELECT FROM next) AND NOT EXISTS (SELECT FROM mine), 'turns',
           (SELECT coalesce(json_agg(json_build_object('task_id', k.task_id, 'lease', k.lease,
             'call_id', k.call_id, 'attempts', k.attempts, 'organization_id', k.organization_id, 'user_id', k.user_id,
             'own_only', u.role = 'client', 'role', u.role, 'scopes', u.scopes,
             'is_welcome', u.deleted_at IS NULL AND g.deleted_at IS NULL
               AND (u.role = 'super_admin' OR u.organization_id = k.organization_id),
             'caller_key', CASE WHEN a.id IS NOT NULL THEN json_build_object('id', a.id,
               'works', a.is_active AND (a.expires_at IS NULL OR a.expires_at > now()), 'budget_micro',
               round(a.max_ai_cost_usd_per_month * 1000000)::bigint, 'account', coalesce(a.ai_account, a.id)) END,
             'license_id', k.license_id, 'prompt_id', k.prompt_id, 'input_text', k.input_text, 'request', k.request,
             'common', k.common, 'request_id', k.request_id, 'ip', host(k.ip_address), 'user_agent', k.user_agent)), '[]')
           FROM taken k JOIN users_profile u ON u.id = k.user_id JOIN organizations g ON g.id = k.organization_id
           LEFT JOIN user_api_keys a ON a.id = k.caller_key_id))::text",
    ))
    .bind(room)
    .bind(MOST_OF_LICENSE)
    .bind(MOST_ATTEMPTS)
    .bind(GRACE_MS)
}

/// Attempts that a task has.
pub const MOST_ATTEMPTS: u32 = celaest_domain::ai::task::MAX_RETRIES + 1;

/// What became of a turn.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Settled {
    /// The task.
    pub task_id: Uuid,
    /// What it was taken up with.
    pub lease: Uuid,
    /// `completed`, `failed`, or `retrying`.
    pub status: &'static str,
    /// Of a task that comes again: after so many seconds.
    pub wait_s: Option<u64>,
    /// That there was no room for it: it was no attempt, and the license's others wait so many seconds.
    pub hold_s: Option<u64>,
    /// The answer's text.
    pub output_raw: Option<String>,
    /// The answer as JSON.
    pub output_json: Option<Value>,
    /// Everything else about the answer, or the particulars of a failure.
    pub outcome: Map<String, Value>,
    /// Why it failed, for programs.
    pub error_code: Option<String>,
    /// Why it failed, for people.
    pub error_message: Option<String>,
    /// Tokens of the question.
    pub tokens_input: u64,
    /// Tokens of the answer.
    pub tokens_output: u64,
    /// What it cost, in millionths of a dollar.
    pub cost_micro: Option<i64>,
    /// The model that answered.
    pub model_id: Option<Uuid>,
    /// The provider's key that was used.
    pub pool_key: Option<Uuid>,
    /// How long the provider took, in milliseconds.
    pub ai_ms: Option<i64>,
}

impl Settled {
    /// The same as a failure, with nothing in it that comes from outside.
    pub fn without_answer(&self) -> Self {
        let code = Code::Internal;
        Self {
            task_id: self.task_id,
            lease: self.lease,
            status: "failed",
            error_code: Some(code.as_str().to_owned()),
            error_message: Some(code.message(Language::default()).to_owned()),
            tokens_input: self.tokens_input,
            tokens_output: self.tokens_output,
            cost_micro: self.cost_micro,
            ..Self::default()
        }
    }
}

/// Writes down what became of turns, tells of what ended, and returns the messages to send. Whoever does not hold a
/// task any more changes nothing.
pub fn settle(settled: &[Settled]) -> Query {
    // PostgreSQL keeps no NUL, wherever a model puts one.
    let settled = json!(settled).to_string().replace("\\u0000", "\\ufffd");
    sql(format!(
        "WITH told AS (
           SELECT * FROM jsonb_to_recordset($1::jsonb) AS d(task_id uuid, lease uuid, status text, wait_s integer,
             hold_s integer, output_raw text, output_json jsonb, outcome jsonb, error_code text, error_message text,
             tokens_input integer, tokens_output integer, cost_micro numeric, model_id uuid, pool_key uuid, ai_ms integer)
         ), ours AS MATERIALIZED (
           SELECT t.id FROM ai_task_queue q JOIN told d ON d.task_id = q.task_id AND d.lease = q.lease
           JOIN processed_tasks t ON t.id = q.task_id AND t.created_at IS NOT DISTINCT FROM q.task_created_at
           WHERE q.task_id = ANY (ARRAY(SELECT task_id FROM told)) ORDER BY t.id FOR NO KEY UPDATE OF t
         ), held AS MATERIALIZED (
           SELECT q.task_id, q.task_created_at, q.license_id, q.organization_id, q.attempts, q.is_cancelled,
             q.is_cancelled OR d.status <> 'retrying' AS has_ended
           FROM ai_task_queue q JOIN told d ON d.task_id = q.task_id AND d.lease = q.lease
           WHERE q.task_id = ANY (ARRAY(SELECT id FROM ours)) ORDER BY q.task_id FOR UPDATE OF q
         ), ended AS (
           DELETE FROM ai_task_queue WHERE task_id = ANY (ARRAY(SELECT task_id FROM held WHERE has_ended))
         ), again AS (
           UPDATE ai_task_queue q SET lease = NULL, due_at = now() + make_interval(secs => d.wait_s),
             attempts = q.attempts - CASE WHEN d.hold_s IS NULL THEN 0 ELSE 1 END
           FROM held h JOIN told d ON d.task_id = h.task_id WHERE q.task_id = h.task_id AND NOT h.has_ended
             AND q.task_id = ANY (ARRAY(SELECT task_id FROM held))
         ), kept AS (
           UPDATE ai_task_turns t SET held_until = now() + make_interval(secs => n.hold_s)
           FROM (SELECT h.license_id, max(d.hold_s) AS hold_s FROM held h JOIN told d ON d.task_id = h.task_id
                 WHERE d.hold_s IS NOT NULL AND NOT h.has_ended GROUP BY 1 ORDER BY 1) n
           WHERE t.license_id = n.license_id
         ), task AS (
           UPDATE processed_tasks t SET
             status = CASE WHEN h.is_cancelled THEN 'cancelled' WHEN d.hold_s IS NOT NULL AND h.attempts <= 1 THEN 'pending'
               ELSE d.status END::task_status,
             output_raw = CASE WHEN h.is_cancelled THEN NULL ELSE d.output_raw END,
             output_json = CASE WHEN h.is_cancelled THEN NULL ELSE d.output_json END,
             outcome = d.outcome, error_code = CASE WHEN h.is_cancelled THEN NULL ELSE d.error_code END,
             error_message = CASE WHEN h.is_cancelled THEN NULL ELSE d.error_message END,
             tokens_input = coalesce(d.tokens_input, 0), tokens_output = coalesce(d.tokens_output, 0),
             cost_usd = d.cost_micro / 1000000, ai_time_ms = d.ai_ms,
             model_id = coalesce((SELECT m.id FROM ai_models m WHERE m.id = d.model_id), t.model_id),
             api_key_id = coalesce((SELECT k.id FROM ai_api_pool k WHERE k.id = d.pool_key), t.api_key_id),
             execution_time_ms = CASE WHEN h.has_ended
               THEN greatest(extract(epoch FROM now() - t.started_at) * 1000, 0)::integer END,
             completed_at = CASE WHEN h.has_ended THEN coalesce(t.completed_at, now()) END
           FROM held h JOIN told d ON d.task_id = h.task_id
           WHERE t.id = h.task_id AND t.created_at IS NOT DISTINCT FROM h.task_created_at
           RETURNING t.*, h.has_ended
         ), locked AS (
           SELECT b.id FROM task_batches b WHERE b.id IN (SELECT batch_id FROM task WHERE has_ended)
           ORDER BY b.id FOR NO KEY UPDATE
         ), batch AS (
           UPDATE task_batches b SET completed_tasks = b.completed_tasks + n.completed, failed_tasks = b.failed_tasks + n.failed,
             {progress}
           FROM locked, (SELECT batch_id, count(*) FILTER (WHERE status = 'completed') AS completed,
                           count(*) FILTER (WHERE status = 'failed') AS failed, 0 AS cancelled
                         FROM task WHERE has_ended AND status <> 'cancelled' GROUP BY 1) n
           WHERE b.id = locked.id AND n.batch_id = b.id
           RETURNING b.*
         ), message AS (
           INSERT INTO outbox_messages (id, organization_id, topic, payload)
           SELECT uuid_generate_v4(), t.organization_id, 'ai.task.' || t.status, json_build_object('task',
             (SELECT row_to_json(told) FROM (SELECT {COLUMNS}) told))
           FROM task t LEFT JOIN task_batches b ON b.id = t.batch_id
           WHERE t.has_ended AND t.status IN ('completed', 'failed') AND (b.id IS NULL OR b.notify_each)
           UNION ALL
           SELECT uuid_generate_v4(), b.organization_id, 'ai.batch.completed', json_build_object('batch',
             (SELECT row_to_json(told) FROM (SELECT {BATCH}) told))
           FROM batch b WHERE b.completed_at = now()
           RETURNING id, organization_id, topic, payload, created_at
         )
         SELECT coalesce(json_agg(message), '[]')::text FROM message",
        progress = PROGRESS
    ))
    .bind(settled)
}

/// The assignments that end a batch `b` when the tasks counted in `n` were its last.
const PROGRESS: &str = "
    status = CASE WHEN b.completed_tasks + b.failed_tasks + b.cancelled_tasks + n.completed + n.failed + n.cancelled
        < b.total_tasks THEN b.status
      WHEN b.completed_tasks + n.completed > 0 THEN 'completed'
      WHEN b.failed_tasks + n.failed > 0 THEN 'failed' ELSE 'cancelled' END::task_status,
    completed_at = CASE WHEN b.completed_tasks + b.failed_tasks + b.cancelled_tasks + n.completed + n.failed + n.cancelled
        >= b.total_tasks THEN now() END";

/// Counts cancelled tasks of a batch, which may end it, and tells of that.
///
/// # Errors
/// When the database refuses.
pub async fn count_cancelled(tx: &mut Tx, batch: Uuid, tasks: u64) -> Result<()> {
    let query = sql(format!(
        "UPDATE task_batches b SET cancelled_tasks = b.cancelled_tasks + n.cancelled, {PROGRESS}
         FROM (SELECT 0 AS completed, 0 AS failed, $2::integer AS cancelled) n
         WHERE b.id = $1::uuid AND n.cancelled > 0 AND ($3::uuid IS NULL OR b.organization_id = $3::uuid)
           AND ($4::uuid IS NULL OR b.user_id = $4::uuid)
         RETURNING {BATCH}"
    ));
    let scope = tx.scope();
    let query = query.bind(batch).bind(tasks);
    let query = query.bind(scope.organization()).bind(scope.owner());
    let batch_now: Option<Value> = tx.row(query).await?;
    let ended = batch_now.filter(|batch| !batch["completed_at"].is_null());
    if let Some(ended) = ended {
        let organization = ended["organization_id"].as_str();
        tx.record(Fact {
            organization_id: organization.and_then(|id| Uuid::try_parse(id).ok()),
            action: Action::Update,
            event: "ai.batch.completed",
            resource_type: "ai_batch",
            resource_id: batch,
            changes: json!({}),
            payload: Some(json!({ "batch": ended })),
        });
    }
    Ok(())
}

/// The messages that [`settle`] returns.
pub type Messages = Vec<Message>;

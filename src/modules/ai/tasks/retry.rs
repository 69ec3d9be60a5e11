//! `POST /api/ai/tasks/{id}/retry`

use super::asking::{self, Asked};
use super::cancel::TASK;
use super::license;
use super::model::{Status, Task};
use super::queries::{self, COLUMNS, TOPIC, mine};
use super::turns::Common;
use crate::db::{Raw, Tx, sql};
use crate::error::{Code, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Access, AiUse, Permit};
use crate::http::reply::Accepted;
use crate::modules::ai::asking::who;
use crate::modules::ai::prompts::active;
use crate::modules::ai::{engine, models};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::ops::AddAssign;
use uuid::Uuid;

/// Tasks of one statement.
pub const AT_ONCE: usize = 1_000;

/// Nothing has to be said.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
#[schemars(rename = "AiTaskRetry")]
pub struct Again {}

/// How many tasks were put back into the queue, by what they were.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct PutBack {
    failed: usize,
    cancelled: usize,
}

impl PutBack {
    /// All of them.
    pub fn count(self) -> usize {
        self.failed + self.cancelled
    }
}

impl AddAssign for PutBack {
    fn add_assign(&mut self, more: Self) {
        self.failed += more.failed;
        self.cancelled += more.cancelled;
    }
}

/// Puts failed or cancelled tasks of the caller back into the queue, [`AT_ONCE`] at a time, each with a call of its
/// own. [`reopen`] follows for their batch.
/// `which` is a condition on `t` with `$1` in it, which is `id`. Those that were asked at once have nothing to be
/// asked again with. One whose holder is still at it stays cancelled.
///
/// # Errors
/// When the database refuses.
pub async fn again(tx: &mut Tx, which: &str, id: Uuid, key: Option<Uuid>) -> Result<PutBack> {
    let scope = tx.scope();
    let query = sql(format!(
        "WITH t AS (
           SELECT t.*, uuid_generate_v4() AS call_id FROM processed_tasks t
           WHERE {which} AND coalesce(t.organization_id = $3::uuid, $3 IS NULL)
             AND coalesce(t.user_id = $4::uuid, $4 IS NULL) AND t.status IN ('failed', 'cancelled') AND t.request IS NOT NULL
             AND NOT EXISTS (SELECT FROM ai_task_queue q WHERE q.task_id = t.id)
           ORDER BY t.id LIMIT $5::bigint FOR NO KEY UPDATE
         ), queued AS (
           INSERT INTO ai_task_queue (task_id, task_created_at, organization_id, user_id, license_id, batch_id,
             call_id, caller_key_id)
           SELECT id, created_at, organization_id, user_id, license_id, batch_id, call_id, $2::uuid FROM t
           ON CONFLICT (task_id) DO NOTHING RETURNING task_id
         ), task AS (
           UPDATE processed_tasks p SET status = 'pending', core_request_id = t.call_id, error_code = NULL, error_message = NULL, outcome = NULL,
             retry_count = 0, queue_time_ms = NULL, execution_time_ms = NULL, ai_time_ms = NULL, started_at = NULL,
             completed_at = NULL
           FROM t WHERE p.id = t.id AND p.created_at IS NOT DISTINCT FROM t.created_at
             AND (t.id IN (SELECT task_id FROM queued)) IS TRUE
           RETURNING t.status AS was
         )
         SELECT json_build_object('failed', count(*) FILTER (WHERE was = 'failed'),
           'cancelled', count(*) FILTER (WHERE was = 'cancelled'))::text FROM task"
    ));
    let query = query.bind(id).bind(key);
    let query = query.bind(scope.organization()).bind(scope.owner());
    tx.value(query.bind(AT_ONCE)).await
}

/// Counts tasks of a batch as waiting again. Everybody holds a batch after its tasks: so it is the last that is held,
/// whatever number of tasks there are.
///
/// # Errors
/// When the database refuses.
pub async fn reopen(tx: &mut Tx, batch: Uuid, back: PutBack) -> Result<()> {
    if back.count() == 0 {
        return Ok(());
    }
    let scope = tx.scope();
    let query = sql("UPDATE task_batches b SET status = 'processing', completed_at = NULL,
           failed_tasks = b.failed_tasks - $2::integer, cancelled_tasks = b.cancelled_tasks - $3::integer
         WHERE b.id = $1::uuid AND ($4::uuid IS NULL OR b.organization_id = $4::uuid)
           AND ($5::uuid IS NULL OR b.user_id = $5::uuid)");
    let query = query.bind(batch).bind(back.failed).bind(back.cancelled);
    tx.execute(query.bind(scope.organization()).bind(scope.owner()))
        .await
}

/// What a task is asked again with.
#[derive(Deserialize)]
struct Kept {
    status: Status,
    organization_id: Uuid,
    license_id: Option<Uuid>,
    prompt_id: Option<Uuid>,
    input_text: Option<String>,
    request: Option<Asked>,
    common: Option<Common>,
}

const KEPT: &str = "t.status, t.organization_id, t.license_id, t.prompt_id, t.input_text, t.request,
    (SELECT b.request FROM task_batches b WHERE b.id = t.batch_id AND b.organization_id = t.organization_id) AS common";

/// Whether a task could be asked now, as it is looked at when it is handed in: by what is in it, and by its license.
///
/// # Errors
/// As for whoever hands it in.
async fn admits(permit: &Access, id: Uuid) -> Result<()> {
    let mut tx = permit.begin();
    let query = mine(&tx).id(id).read(KEPT);
    let found: Option<Kept> = tx.row(query).await?;
    // Whether it is there, and may be retried, says whoever changes it.
    let found = found.filter(|task| task.status.may_retry());
    let Some((kept, (license, request))) = found.and_then(|mut task| {
        let asked = task.license_id.zip(task.request.take())?;
        Some((task, asked))
    }) else {
        return permit.commit_aside(tx).await;
    };
    let version = match kept.prompt_id {
        Some(prompt) => Some(active::handed_in(&mut tx, kept.organization_id, prompt).await?),
        None => None,
    };
    permit.commit_aside(tx).await?;
    let license = license::of(permit, Some(license)).await?;
    let (common, input) = (kept.common, kept.input_text);
    let ask = asking::stored(who(permit), request, common, input, version.as_ref())?;
    let catalogue = models::catalogue(&*permit.call).await?;
    let cost_micro = engine::judge(&*permit.call, &catalogue, &ask, "")?;
    license.admits(permit, &ask, cost_micro).await
}

/// Has a task done again that failed or was cancelled.
pub async fn retry(
    permit: Permit<AiUse>,
    Id(id): Id,
    Once(key, Body(Again {})): Once<Body<Again>>,
) -> Outcome<Accepted<Task>> {
    let admitted = admits(&permit, id).await;
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    if !before.status.may_retry() {
        return Err(queries::conflict(before.status).into());
    }
    admitted?;
    let key = permit.principal.api_key_id;
    let back = again(&mut tx, "t.id = $1::uuid", id, key).await?;
    if back.count() == 0 {
        return Err(queries::conflict(before.status).into());
    }
    if let Some(batch) = before.batch_id {
        reopen(&mut tx, batch, back).await?;
    }
    let query = mine(&tx).id(id).read(COLUMNS);
    let after: Raw<Task> = tx.one(query, Code::TaskNotFound).await?;
    tx.record_change(&TASK, "ai.task.retried", &before.row, &after);
    tx.tell(TOPIC, json!({}));
    permit.commit(tx, Accepted::raw(&after)).await
}

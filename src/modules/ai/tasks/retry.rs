//! `POST /api/ai/tasks/{id}/retry`

use super::cancel::TASK;
use super::model::Task;
use super::queries::{self, COLUMNS, TOPIC, mine};
use crate::db::{Raw, Tx, sql};
use crate::error::{Code, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{AiUse, Permit};
use crate::http::reply::Accepted;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// Tasks of one statement.
pub const AT_ONCE: usize = 1_000;

/// Nothing has to be said.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
#[schemars(rename = "AiTaskRetry")]
pub struct Again {}

/// Puts failed or cancelled tasks of the caller back into the queue, [`AT_ONCE`] at a time, each with a call of its
/// own; returns how many.
/// `which` is a condition on `t` with `$1` in it, which is `id`. Those that were asked at once have nothing to be
/// asked again with. One whose holder is still at it stays cancelled.
///
/// # Errors
/// When the database refuses.
pub async fn again(tx: &mut Tx, which: &str, id: Uuid, key: Option<Uuid>) -> Result<usize> {
    let scope = tx.scope();
    let query = sql(format!(
        "WITH t AS (
           SELECT t.* FROM processed_tasks t
           WHERE {which} AND ($3::uuid IS NULL OR t.organization_id = $3::uuid)
             AND ($4::uuid IS NULL OR t.user_id = $4::uuid) AND t.status IN ('failed', 'cancelled') AND t.request IS NOT NULL
             AND NOT EXISTS (SELECT FROM ai_task_queue q WHERE q.task_id = t.id)
           ORDER BY t.id LIMIT $5::bigint FOR NO KEY UPDATE
         ), queued AS (
           INSERT INTO ai_task_queue (task_id, task_created_at, organization_id, user_id, license_id, batch_id,
             call_id, caller_key_id)
           SELECT id, created_at, organization_id, user_id, license_id, batch_id, uuid_generate_v4(), $2::uuid FROM t
           ON CONFLICT (task_id) DO NOTHING RETURNING task_id, call_id
         ), task AS (
           UPDATE processed_tasks p SET status = 'pending', core_request_id = queued.call_id, error_code = NULL, error_message = NULL, outcome = NULL,
             retry_count = 0, queue_time_ms = NULL, execution_time_ms = NULL, ai_time_ms = NULL, started_at = NULL,
             completed_at = NULL
           FROM t JOIN queued ON queued.task_id = t.id WHERE p.id = t.id AND p.created_at = t.created_at
           RETURNING p.batch_id, t.status AS was
         ), locked AS (
           SELECT b.id FROM task_batches b WHERE b.id IN (SELECT batch_id FROM task) ORDER BY b.id FOR NO KEY UPDATE
         ), batch AS (
           UPDATE task_batches b SET status = 'processing', completed_at = NULL,
             failed_tasks = b.failed_tasks - n.failed, cancelled_tasks = b.cancelled_tasks - n.cancelled
           FROM locked, (SELECT batch_id, count(*) FILTER (WHERE was = 'failed') AS failed,
                           count(*) FILTER (WHERE was = 'cancelled') AS cancelled
                         FROM task GROUP BY 1) n
           WHERE b.id = locked.id AND n.batch_id = b.id
         )
         SELECT to_json(count(*))::text FROM task"
    ));
    let query = query.bind(id).bind(key);
    let query = query.bind(scope.organization()).bind(scope.owner());
    tx.value(query.bind(AT_ONCE)).await
}

/// Has a task done again that failed or was cancelled.
pub async fn retry(
    permit: Permit<AiUse>,
    Id(id): Id,
    Once(key, Body(Again {})): Once<Body<Again>>,
) -> Outcome<Accepted<Task>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    if !before.status.may_retry() {
        return Err(queries::conflict(before.status).into());
    }
    let key = permit.principal.api_key_id;
    if again(&mut tx, "t.id = $1::uuid", id, key).await? == 0 {
        return Err(queries::conflict(before.status).into());
    }
    let query = mine(&tx).id(id).read(COLUMNS);
    let after: Raw<Task> = tx.one(query, Code::TaskNotFound).await?;
    tx.record_change(&TASK, "ai.task.retried", &before.row, &after);
    tx.tell(TOPIC, json!({}));
    permit.commit(tx, Accepted::raw(&after)).await
}

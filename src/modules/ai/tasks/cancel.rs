//! `DELETE /api/ai/tasks/{id}`

use super::model::{Status, Task};
use super::queries::{self, COLUMNS, mine};
use super::turns;
use crate::db::facts::Subject;
use crate::db::{Raw, Set, sql};
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{AiUse, Permit};
use crate::http::reply::NoContent;

/// What the log learns of a task.
pub const TASK: Subject = Subject {
    kind: "ai_task",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// Cancels a task. One that a model is being asked is cancelled as well: its answer is not kept, and what it cost
/// is.
pub async fn cancel(
    permit: Permit<AiUse>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    if before.status == Status::Cancelled {
        return permit.commit(tx, NoContent::done()).await;
    }
    if before.status.is_final() {
        return Err(queries::conflict(before.status).into());
    }
    let unqueue = sql(
        "WITH held AS (
           UPDATE ai_task_queue q SET is_cancelled = true WHERE q.task_id = $1::uuid AND q.lease IS NOT NULL
             AND ($2::uuid IS NULL OR q.organization_id = $2::uuid) AND ($3::uuid IS NULL OR q.user_id = $3::uuid))
         DELETE FROM ai_task_queue q WHERE q.task_id = $1::uuid AND q.lease IS NULL
           AND ($2::uuid IS NULL OR q.organization_id = $2::uuid) AND ($3::uuid IS NULL OR q.user_id = $3::uuid)",
    );
    let scope = tx.scope();
    let unqueue = unqueue.bind(id).bind(scope.organization());
    tx.execute(unqueue.bind(scope.owner())).await?;
    let set = Set::new()
        .fixed("status = 'cancelled'")
        .fixed("completed_at = now()");
    let query = mine(&tx).id(id).set(set, COLUMNS);
    let after: Raw<Task> = tx.one(query, Code::TaskNotFound).await?;
    if let Some(batch) = before.batch_id {
        turns::count_cancelled(&mut tx, batch, 1).await?;
    }
    tx.record_change(&TASK, "ai.task.cancelled", &before.row, &after);
    permit.commit(tx, NoContent::done()).await
}

//! `DELETE /api/ai/batches/{id}` and `POST /api/ai/batches/{id}/retry`

use super::model::Batch;
use super::queries::{self, BATCH};
use crate::db::{Query, Tx, sql};
use crate::error::Result;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Access, AiUse, Permit};
use crate::http::reply::{Accepted, NoContent};
use crate::modules::ai::asking::who;
use crate::modules::ai::engine::Ask;
use crate::modules::ai::tasks::queries::TOPIC;
use crate::modules::ai::tasks::retry::{AT_ONCE, Again, PutBack, again, reopen};
use crate::modules::ai::tasks::{drain, license, turns};
use celaest_domain::ai::chat::ChatRequest;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// Tasks of one statement: what ten thousand take at once can be longer than a statement may.
const STEP: u64 = 1_000;
/// The least that a call can cost, in millionths of a dollar.
const LEAST_MICRO: i64 = 1;

/// Cancels every task of a batch that has not ended. Of those that a model is being asked the answers are not kept,
/// and what they cost is.
pub async fn cancel(
    permit: Permit<AiUse>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::find(&mut tx, id).await?;
    let mut cancelled = 0;
    loop {
        let query = cancel_some(&tx, id);
        let (seen, some): (u64, u64) = tx.value(query).await?;
        cancelled += some;
        if seen < STEP {
            break;
        }
    }
    turns::count_cancelled(&mut tx, id, cancelled).await?;
    let after = queries::find(&mut tx, id).await?;
    tx.record_change(&BATCH, "ai.batch.cancelled", &before, &after);
    permit.commit(tx, NoContent::done()).await
}

/// Cancels some tasks of a batch: how many were looked at, and how many were cancelled. They are held before their places
/// in the queue, as everybody does.
fn cancel_some(tx: &Tx, batch: Uuid) -> Query {
    sql(
        "WITH due AS MATERIALIZED (
           SELECT q.task_id, q.task_created_at FROM ai_task_queue q
           WHERE q.batch_id = $1::uuid AND NOT q.is_cancelled
             AND ($2::uuid IS NULL OR q.organization_id = $2::uuid) AND ($3::uuid IS NULL OR q.user_id = $3::uuid)
           ORDER BY q.task_id LIMIT $4::bigint
         ), seen AS MATERIALIZED (
           SELECT t.id FROM due d JOIN processed_tasks t ON t.id = d.task_id AND t.created_at IS NOT DISTINCT FROM d.task_created_at
           ORDER BY t.id FOR NO KEY UPDATE OF t
         ), place AS MATERIALIZED (
           SELECT q.task_id, q.task_created_at, q.lease FROM ai_task_queue q
           WHERE q.task_id = ANY (ARRAY(SELECT id FROM seen)) AND NOT q.is_cancelled ORDER BY q.task_id FOR UPDATE OF q
         ), held AS (
           UPDATE ai_task_queue SET is_cancelled = true
           WHERE task_id = ANY (ARRAY(SELECT task_id FROM place WHERE lease IS NOT NULL))
         ), free AS (
           DELETE FROM ai_task_queue WHERE task_id = ANY (ARRAY(SELECT task_id FROM place WHERE lease IS NULL))
         ), task AS (
           UPDATE processed_tasks t SET status = 'cancelled', completed_at = now() FROM place p
           WHERE t.id = p.task_id AND t.created_at IS NOT DISTINCT FROM p.task_created_at
           RETURNING t.id)
         SELECT json_build_array((SELECT count(*) FROM due), (SELECT count(*) FROM task))::text",
    )
    .bind(batch)
    .bind(tx.scope().organization())
    .bind(tx.scope().owner())
    .bind(STEP)
}

/// Has the tasks of a batch done again that failed or were cancelled.
pub async fn retry(
    permit: Permit<AiUse>,
    Id(id): Id,
    Once(key, Body(Again {})): Once<Body<Again>>,
) -> Outcome<Accepted<Batch>> {
    let admitted = admits(&permit, id).await;
    let mut tx = permit.begin_once(key).await?;
    let before = queries::find(&mut tx, id).await?;
    let key = permit.principal.api_key_id;
    let mut queued = PutBack::default();
    loop {
        let some = again(&mut tx, "t.batch_id = $1::uuid", id, key).await?;
        queued += some;
        if some.count() < AT_ONCE {
            break;
        }
    }
    // Where there is nothing to be done again nobody has to be let in.
    if queued.count() > 0 {
        admitted?;
    }
    reopen(&mut tx, id, queued).await?;
    let after = queries::find(&mut tx, id).await?;
    for _ in 0..drain::runners(queued.count()) {
        tx.tell(TOPIC, json!({}));
    }
    tx.record_change(&BATCH, "ai.batch.retried", &before, &after);
    permit.commit(tx, Accepted::raw(&after)).await
}

#[derive(Deserialize)]
struct Licensed {
    license_id: Option<Uuid>,
}

/// Whether the license of a batch lets anything in now, however little it costs.
async fn admits(permit: &Access, id: Uuid) -> Result<()> {
    let tx = permit.begin();
    let query = queries::mine(&tx).id(id).read("b.license_id");
    let found: Option<Licensed> = tx.only_row(query).await?;
    // Whether it is there says whoever changes it.
    let Some(named) = found.and_then(|batch| batch.license_id) else {
        return Ok(());
    };
    let license = license::of(permit, Some(named)).await?;
    let ask = Ask::new(who(permit), ChatRequest::default(), "task");
    license.admits(permit, &ask, LEAST_MICRO).await
}

//! The SQL of tasks as people see them. Who is next is in `turns.rs`.

use super::asking::Asked;
use super::model::{Status, Task};
use crate::db::{Key, Query, Raw, Rows, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::platform::{clock, random};
use celaest_domain::json;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::{Builder, Uuid};

/// The columns of [`Task`], from alias `t`.
pub const COLUMNS: &str =
    "t.id, t.organization_id, t.user_id, t.license_id, t.batch_id, t.batch_index, t.prompt_id, t.model_id, t.input_type,
    t.status, t.error_code, t.error_message, t.retry_count, t.tokens_input, t.tokens_output, t.tokens_total, t.cost_usd,
    t.queue_time_ms, t.execution_time_ms, t.ai_time_ms, t.request_id, t.metadata, t.created_at, t.started_at,
    t.completed_at";

/// The columns of [`super::model::TaskResult`], from alias `t`.
pub const RESULT: &str =
    "t.id, t.batch_index, t.status, t.output_raw AS output_text, t.output_json, t.outcome, t.error_code, t.error_message,
    t.tokens_input, t.tokens_output, t.cost_usd, t.metadata, t.completed_at";

/// What orders the table.
pub const KEY: Key = &[("created_at", "timestamptz"), ("id", "uuid")];

/// The topic of the messages that say that there is something to do.
pub const TOPIC: &str = crate::db::outbox::TASKS;

/// The caller's tasks.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("processed_tasks", "t")
        .when("t.organization_id = {}::uuid", tx.scope().organization())
        .when("t.user_id = {}::uuid", tx.scope().owner())
}

/// One task that is handed in.
#[derive(Serialize)]
pub struct New {
    /// Identifier.
    pub id: Uuid,
    /// Its place in its batch.
    pub batch_index: Option<usize>,
    /// The text that is asked about.
    pub input_text: Option<String>,
    /// Everything else that is asked.
    pub request: Asked,
    /// Anything that was handed in with it.
    pub metadata: Map<String, Value>,
}

/// Whose tasks are handed in, and how.
pub struct Handed<'a> {
    /// The organization.
    pub organization: Uuid,
    /// Who.
    pub user: Uuid,
    /// With which of our API keys.
    pub key: Option<Uuid>,
    /// The license that they use.
    pub license: Uuid,
    /// The version of a stored prompt.
    pub prompt: Option<Uuid>,
    /// The batch that they belong to.
    pub batch: Option<Uuid>,
    /// When, to the millisecond.
    pub at: DateTime<Utc>,
    /// The request.
    pub request_id: &'a str,
    /// The address of the connection.
    pub ip: &'a str,
    /// The caller's program.
    pub user_agent: Option<&'a str>,
}

/// When something is handed in now: to the millisecond, as the ids have it.
pub fn now() -> DateTime<Utc> {
    clock::now()
}

/// The id of the task number `place` of those that are handed in at `at`: a UUID of version 7, in the order of
/// the places.
///
/// # Errors
/// When there is no randomness.
pub fn id(at: DateTime<Utc>, place: usize) -> Result<Uuid> {
    let mut bytes: [u8; 10] = random::bytes()?;
    // Eighteen bits that the version and the variant leave free come before the random ones.
    let place = place as u32;
    bytes[0] = (place >> 14) as u8 & 0x0f;
    bytes[1] = (place >> 6) as u8;
    bytes[2] = place as u8 & 0x3f;
    let ms = u64::try_from(at.timestamp_millis()).unwrap_or_default();
    Ok(Builder::from_unix_timestamp_millis(ms, &bytes).into_uuid())
}

/// Hands tasks in: a row for each, and its place in the queue.
pub fn insert(tasks: &[New], handed: &Handed<'_>) -> Query {
    sql("WITH new AS (
           SELECT n.*, uuid_generate_v4() AS call_id FROM jsonb_to_recordset($1::jsonb) AS n(
             id uuid, batch_index integer, input_text text, request jsonb, metadata jsonb)
         ), task AS (
           INSERT INTO processed_tasks (id, organization_id, user_id, license_id, prompt_id, batch_id, batch_index,
             core_request_id, input_type, input_text, request, metadata, status, cost_usd, request_id, ip_address,
             user_agent, created_at)
           SELECT id, $2::uuid, $3::uuid, $4::uuid, $5::uuid, $6::uuid, batch_index, call_id, 'task', input_text, request,
             metadata, 'pending', NULL, $7, $8::inet, $9, $10::timestamptz
           FROM new
         )
         INSERT INTO ai_task_queue (task_id, task_created_at, organization_id, user_id, license_id, batch_id,
           call_id, caller_key_id, queued_at, due_at)
         SELECT id, $10::timestamptz, $2::uuid, $3::uuid, $4::uuid, $6::uuid, call_id, $11::uuid, $10::timestamptz,
           least($10::timestamptz, now())
         FROM new ORDER BY id")
    .bind(json!(tasks))
    .bind(handed.organization)
    .bind(handed.user)
    .bind(handed.license)
    .bind(handed.prompt)
    .bind(handed.batch)
    .bind(handed.request_id)
    .bind(handed.ip)
    .bind(handed.user_agent)
    .bind(handed.at)
    .bind(handed.key)
}

/// A task whose row is held, with what rules look at.
pub struct Locked {
    /// The row.
    pub row: Raw<Task>,
    /// Where it is.
    pub status: Status,
    /// The batch it belongs to.
    pub batch_id: Option<Uuid>,
}

/// The parts of a row that rules look at.
#[derive(Deserialize)]
struct Parts {
    status: Status,
    batch_id: Option<Uuid>,
}

/// Reads a task and holds it until the transaction ends, and then its place in the queue, if it has one. Whoever takes
/// it up, settles it or cancels its batch holds them in the same order: the place may come to be only while its task
/// is waited for, so it cannot be the first.
///
/// # Errors
/// 404 when it is not there or not the caller's.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let query = mine(tx).id(id).lock(COLUMNS);
    let row: Raw<Task> = tx.one(query, Code::TaskNotFound).await?;
    let place = Rows::of("ai_task_queue", "q")
        .when("q.organization_id = {}::uuid", tx.scope().organization())
        .when("q.user_id = {}::uuid", tx.scope().owner())
        .when("q.task_id = {}::uuid", Some(id));
    let _: Option<Value> = tx.row(place.lock("q.task_id")).await?;
    let parts: Parts = json::read(row.text()).map_err(Error::internal)?;
    Ok(Locked {
        row,
        status: parts.status,
        batch_id: parts.batch_id,
    })
}

/// The refusal of something that is not possible with a task that is there.
pub fn conflict(status: Status) -> Error {
    Error::new(Code::TaskStatusConflict).with_details(json!({ "status": status }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_their_places() {
        let at = DateTime::from_timestamp_millis(1_800_000_000_123).unwrap();
        let ids: Vec<_> = [0, 1, 63, 64, 4_095, 16_383, 16_384, 99_999]
            .map(|place| id(at, place).unwrap())
            .into();
        let mut sorted = ids.clone();
        sorted.sort();
        assert_eq!(ids, sorted);
        for id in ids {
            assert_eq!(id.get_version_num(), 7);
            let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
            assert_eq!((seconds, nanos / 1_000_000), (1_800_000_000, 123));
        }
    }
}

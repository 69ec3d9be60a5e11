//! The SQL of batches.

use super::model::Batch;
use crate::db::facts::Subject;
use crate::db::{Key, Raw, Rows, Tx};
use crate::error::{Code, Result};
use uuid::Uuid;

/// The columns of [`Batch`], from alias `b`.
pub const COLUMNS: &str =
    "b.id, b.organization_id, b.user_id, b.license_id, b.prompt_id, b.name, b.status, b.total_tasks, b.completed_tasks,
    b.failed_tasks, b.cancelled_tasks,
    round(100.0 * (b.completed_tasks + b.failed_tasks + b.cancelled_tasks) / greatest(b.total_tasks, 1), 2) AS progress,
    b.notify_each, b.metadata, b.created_at, b.started_at, b.completed_at";

/// What orders the table.
pub const KEY: Key = &[("created_at", "timestamptz"), ("id", "uuid")];

/// What the log learns of a batch.
pub const BATCH: Subject = Subject {
    kind: "ai_batch",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// The caller's batches.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("task_batches", "b")
        .when("b.organization_id = {}::uuid", tx.scope().organization())
        .when("b.user_id = {}::uuid", tx.scope().owner())
}

/// Reads one batch.
///
/// # Errors
/// 404 when it is not there or not the caller's.
pub async fn find(tx: &mut Tx, id: Uuid) -> Result<Raw<Batch>> {
    let query = mine(tx).id(id).read(COLUMNS);
    tx.one(query, Code::BatchNotFound).await
}

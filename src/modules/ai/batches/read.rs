//! `GET /api/ai/batches`, `GET /api/ai/batches/{id}` and `GET /api/ai/batches/{id}/tasks`

use super::model::Batch;
use super::queries::{self, COLUMNS, KEY, mine};
use crate::db::Listing;
use crate::error::{Code, Result};
use crate::http::params::{Id, Paged};
use crate::http::permit::{AiRead, Permit};
use crate::http::reply::Data;
use crate::http::types::Ident;
use crate::modules::ai::tasks;
use crate::modules::ai::tasks::model::{Status, Task};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters of batches.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "AiBatchFilters")]
pub struct Filters {
    /// Only those that are here.
    pub status: Option<Status>,
    /// Only those of this license.
    pub license_id: Option<Ident>,
    /// Only those of this person.
    pub user_id: Option<Ident>,
}

/// Filters of the tasks of a batch.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "AiBatchTaskFilters")]
pub struct TaskFilters {
    /// Only those that are here.
    pub status: Option<Status>,
}

/// Lists batches, the newest first.
pub async fn list(
    permit: Permit<AiRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Batch>> {
    let tx = permit.begin();
    let found = mine(&tx)
        .growing(KEY)
        .when("b.license_id = {}::uuid", f.license_id)
        .when("b.user_id = {}::uuid", f.user_id)
        .sought("b.status = {}::task_status", f.status.map(Status::as_str));
    tx.page(found, COLUMNS, "b.created_at {}, b.id {}", &page)
        .await
}

/// One batch, with its progress.
pub async fn read(permit: Permit<AiRead>, Id(id): Id) -> Result<Data<Batch>> {
    let tx = permit.begin();
    let query = mine(&tx).id(id).read(COLUMNS);
    let batch = tx.only_one(query, Code::BatchNotFound).await?;
    Ok(Data::raw(&batch))
}

/// Lists the tasks of a batch, in their order.
pub async fn tasks(
    permit: Permit<AiRead>,
    Id(id): Id,
    Paged(f, page): Paged<TaskFilters>,
) -> Result<Listing<Task>> {
    let tx = permit.begin();
    let found = tasks::queries::mine(&tx)
        .within(queries::mine(&tx).id(id), "t.batch_id", Code::BatchNotFound)
        .growing(tasks::queries::KEY)
        .sought("t.status = {}::task_status", f.status.map(Status::as_str));
    let by = "t.created_at {}, t.id {}";
    tx.page(found, tasks::queries::COLUMNS, by, &page.rising())
        .await
}
